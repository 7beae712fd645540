"""The signal that has a host write where its threads stand."""

from __future__ import annotations

import signal

STACKS: int = signal.SIGRTMAX - 1 if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""
A real-time signal (63 on Linux), where there are such: programs and libraries use SIGUSR1 and SIGUSR2 for themselves, and the real-time signals, if
at all, from the lower end. Code that sets a handler of its own for it loses nothing but these stacks.
"""

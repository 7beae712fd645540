"""The process of one incarnation: ``python -m launcher.hosts.child DESCRIPTOR``.

It runs the same inline host as the launcher's own process does; only the transport differs.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from functools import partial
from types import FrameType

from launcher.components.identity import Identity
from launcher.hosts import pipe
from launcher.hosts.inline import InlineHost
from launcher.hosts.linux import die_with_parent
from launcher.hosts.preload import imported
from launcher.hosts.pulse import Left
from launcher.hosts.stacks import STACKS
from launcher.model.answers import Answer
from launcher.model.events import Event, Exited, Started
from launcher.model.logs import LOST, LogLine, Stream
from launcher.model.state import Exit

LATER = 5.0
"""Seconds after the start when a second look is taken at what was imported: some imports only come with the first work."""


def live(end: socket.socket, sockets: Sequence[int] | None = None) -> None:
    """Run one incarnation to its end; how it ended is told through the channel, not by the exit status.

    Args:
        end: the channel to the launcher; the first message is the setup.
        sockets: descriptors of the listening sockets, when they came on another way than the setup says.
    """
    channel = pipe.Channel(end)
    try:
        setup = pipe.to_setup(channel.wait())
    except EOFError:
        return
    if sockets is not None:
        setup = replace(setup, sockets=tuple(sockets))
    die_with_parent(signal.SIGKILL)
    if os.getppid() != setup.parent:
        return
    # To the real stderr, which the host reads: a crash in native code is told by its stacks.
    faulthandler.enable()
    # The handler is in C: it also answers while the loop is blocked, a lock is waited for, or native code holds the interpreter lock.
    faulthandler.register(STACKS, all_threads=True)
    _Child(channel, setup).run()


class _Child:
    """One incarnation in a process of its own."""

    def __init__(self, channel: pipe.Channel, setup: pipe.Setup) -> None:
        self._channel = channel
        self._setup = setup
        self._identity = Identity(setup.component.name, setup.incarnation)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._known = len(sys.modules)
        self._host = InlineHost(
            setup.launcher,
            [setup.component],
            {setup.component.name: [socket.socket(fileno=number) for number in setup.sockets]},
            self._report,
            self._log,
            fallback=self._identity,
            on_loop=self._listen,
            on_stuck=self._abandon,
        )

    def run(self) -> None:
        signal.signal(signal.SIGTERM, self._on_sigterm)
        # The terminal's Ctrl-C is the launcher's business. A handler rather than SIG_IGN, which programs started from here would inherit.
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
        for number in (self._channel.fileno(), *self._setup.sockets):
            os.set_inheritable(number, False)
        os.register_at_fork(after_in_child=self._channel.forked)
        self._host.launch(self._setup.component, self._setup.incarnation)
        self._host.run()
        self._channel.flush()

    # -- up --

    def _report(self, event: Event) -> None:
        if isinstance(event, Exited):
            self._tell_imports()
        self._channel.send(pipe.of_event(event))
        if isinstance(event, Exited):
            self._host.end()
        elif isinstance(event, Started) and self._loop is not None:
            self._loop.call_soon(self._tell_imports)
            self._loop.call_later(LATER, self._tell_imports)

    def _tell_imports(self) -> None:
        """Tell what had to be imported here, so that the next process may have it from the beginning."""
        fresh = imported(self._known)
        self._known = len(sys.modules)
        if fresh:
            self._channel.send({"imported": fresh})

    def _tell_answer(self, answer: Future[Answer]) -> None:
        self._channel.send({"checked": asdict(answer.result())})

    def _log(self, line: LogLine) -> None:
        self._channel.send_line(pipe.of_line(line), self._dropped)

    def _dropped(self, count: int) -> pipe.Message:
        text = f"{count} lines were dropped: the launcher did not read them in time"
        return pipe.of_line(
            LogLine(
                time.time(),
                self._identity.component,
                Stream.LAUNCHER,
                text,
                self._identity.incarnation,
                "WARNING",
                extra={LOST: count},
            )
        )

    # -- down --

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.add_reader(self._channel.fileno(), self._on_message)
        self._on_message()

    def _on_message(self) -> None:
        try:
            messages, _ = self._channel.read()
        except EOFError:
            self._on_parent_gone()
            return
        for message in messages:
            if "stop" in message:
                self._stop()
            elif "ask" in message:
                self._host.knock(partial(self._answer, message["ask"]))
            elif "check" in message:
                self._host.check(*self._identity, message["check"]).add_done_callback(self._tell_answer)

    def _answer(self, number: int, at: float, left: Left) -> None:
        self._channel.send({"answer": [number, at, left]})

    def _on_parent_gone(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._stop()
            self._loop.call_later(self._setup.component.stop_grace, os._exit, 1)

    def _stop(self) -> None:
        self._host.request_stop(*self._identity)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._stop()
        self._host.interrupt()

    def _abandon(self, _identity: Identity, ended: Exit) -> None:
        """Tasks that ignore every cancellation end with their process."""
        self._channel.send(pipe.of_event(Exited(*self._identity, ended)))
        self._channel.flush()
        os._exit(1)


if __name__ == "__main__":
    live(socket.socket(fileno=int(sys.argv[1])))

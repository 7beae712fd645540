"""Where threads stand: for people who want to know what keeps a process from going on."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from types import FrameType

from launcher.components.blame import frame_place, is_own
from launcher.components.identity import NOBODY, Identity
from launcher.components.scope import ComponentTask


def all_stacks() -> str:
    """Return the stack of every thread of this process but the calling one, innermost call last."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    own = threading.get_ident()
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame)).rstrip()}"
        for ident, frame in sys._current_frames().items()  # noqa: SLF001  # the documented way
        if ident != own
    )


def whose_turn(loop: asyncio.AbstractEventLoop) -> Identity:
    """Return whose task a loop of another thread is running just now; nobody for a bare callback."""
    task = asyncio.current_task(loop)
    return task.identity if isinstance(task, ComponentTask) else NOBODY


def place_of(thread: int) -> str:
    """Return ``file:line`` of the innermost frame of the user's own code in a thread, with the name of the function; empty for none."""
    frame: FrameType | None = sys._current_frames().get(thread)  # noqa: SLF001  # as above
    while frame is not None and not is_own(frame.f_code.co_filename):
        frame = frame.f_back
    return "" if frame is None else f"{frame_place(frame)} ({frame.f_code.co_name})"

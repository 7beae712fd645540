"""Which line of whose code: exceptions told in one line, with the last frame in the user's own code."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from functools import cache
from pathlib import Path
from types import FrameType

_PACKAGE = str(Path(__file__).resolve().parents[1])


@cache
def _foreign_roots() -> tuple[str, ...]:
    """Directories whose code is not the user's: the standard library and this package."""
    paths = sysconfig.get_paths()
    return (*{f"{paths[key]}{os.sep}" for key in ("stdlib", "platstdlib")}, f"{_PACKAGE}{os.sep}")


def is_own(filename: str) -> bool:
    """Whether a file is the user's own code: neither installed, nor of the standard library, nor of the launcher."""
    if filename.startswith("<"):
        return False
    if f"{os.sep}site-packages{os.sep}" in filename or f"{os.sep}dist-packages{os.sep}" in filename:
        return False
    return not filename.startswith(_foreign_roots())


def shown(filename: str, line: int) -> str:
    """Return ``file:line``, relative to the working directory where it lies in it."""
    try:
        inside = Path(filename).relative_to(Path.cwd())
    except (ValueError, OSError):  # elsewhere, or the working directory is gone
        return f"{filename}:{line}"
    return f"{inside}:{line}"


def place(error: BaseException) -> str:
    """Return ``file:line`` of the last frame in the user's own code that an exception passed, or nothing."""
    if isinstance(error, SyntaxError) and error.filename and is_own(error.filename):
        return shown(error.filename, error.lineno or 0)
    own = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if is_own(frame.f_code.co_filename)
    ]
    return shown(*own[-1]) if own else ""


def leaf(error: BaseException) -> BaseException:
    """Return the first exception inside groups of exceptions; task groups wrap what really happened."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def summary(error: BaseException) -> str:
    """Return ``Type: first line of the message``."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = text.strip().splitlines()[0] if text and text.strip() else ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def told(error: BaseException) -> str:
    """Return one line for people: ``file:line: Type: message``."""
    cause = leaf(error)
    where = place(cause) or place(error)
    return f"{where}: {summary(cause)}" if where else summary(cause)


def full(error: BaseException) -> str:
    """Return the whole traceback as text."""
    return "".join(traceback.format_exception(error)).rstrip()


def frame_place(frame: FrameType) -> str:
    """Return ``file:line`` where a frame stands."""
    return shown(frame.f_code.co_filename, frame.f_lineno)


def interpreter() -> str:
    """Return the Python that runs the backend, as the user would type it."""
    return sys.executable or "python"

"""The process that hosts are forked from: it has imported what they need, runs one thread, and never serves.

It is forked from the launcher before that has any thread or loop, or started as ``python -m launcher.hosts.zygote DESCRIPTOR`` when one is needed
later. It imports libraries, and of the project only what the declaration names: the rest is imported by the forked host, in its own environment
and directory, as a fresh interpreter would. So what a host runs is always what the files say, and one component's import cannot hold up another
one.

What is forked becomes a child of the launcher: the zygote forks twice, the process between ends at once, and the launcher adopts orphans. A zygote
that dies takes nobody with it.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import random
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import FrameType
from typing import NoReturn

from launcher.components.imports import libraries_of
from launcher.hosts import child, packets
from launcher.hosts.linux import die_with_parent, name_process
from launcher.hosts.preload import Preloader, changed_since, fingerprint
from launcher.hosts.tree import TAG

ADOPTION = 5.0
"""Seconds that a forked host waits to be adopted by the launcher, which takes microseconds unless the launcher is gone."""


def main(end: socket.socket, parent: int, brief: packets.Packet | None = None) -> NoReturn:
    """Prepare, then fork hosts as they are asked for, until the launcher is gone.

    Args:
        end: the socket to the launcher.
        parent: PID of the launcher.
        brief: what to prepare; otherwise it comes through the socket.
    """
    signal.signal(signal.SIGINT, _heedless)
    signal.signal(signal.SIGHUP, _heedless)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(signal.SIGKILL)
    name_process("launcher:zygote")
    if os.getppid() == parent:
        with suppress(EOFError, OSError):
            zygote = _Zygote(end)
            if brief is not None:
                zygote.prepare(brief)
            zygote.serve()
    os._exit(0)


def _heedless(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C and hang-up are the launcher's business. A handler rather than SIG_IGN, which programs started by hosts would inherit."""


class _Zygote:
    """Takes what it is asked for, one after the other."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._preloader = Preloader(lambda name: packets.send(end, {"importing": name}))
        self._files: dict[str, int] = {}

    def serve(self) -> NoReturn:
        """Answer packets; ends with `EOFError` when nobody is left to ask."""
        looked = False
        while True:
            # Hosts that were asked for together are forked after one look at the files of the libraries.
            looked = looked and bool(select.select([self._end], [], [], 0)[0])
            packet, descriptors = packets.receive(self._end)
            if "prepare" in packet:
                self.prepare(packet["prepare"])
            elif "preload" in packet:
                self._run(packet["preload"], {})
            else:
                self._fork(packet, descriptors, "" if looked else changed_since(self._files))
                looked = True

    def prepare(self, brief: packets.Packet) -> None:
        """Become what all hosts have in common, and import what they need."""
        os.environ.update(brief["environment"])
        os.chdir(brief["root"])
        # Each host sets it, too; where it is the same already, nothing of the many loggers is touched.
        logging.getLogger().setLevel(brief["log_level"])
        if not sys.flags.safe_path:
            del sys.path[
                0
            ]  # the directory of the launcher's command, or where it was started: nothing that hosts should see
        for directory in reversed(brief["pythonpath"]):
            sys.path.insert(0, directory)
        excluded = set(brief["excluded"])
        self._preloader.shared = frozenset(brief["preload"])
        names: dict[str, None] = dict.fromkeys(brief["own"])
        needs = {}
        for component, (target, learned, package) in brief["components"].items():
            module = target.partition(":")[0]
            needs[component] = learned or libraries_of(module, brief["pythonpath"], package=package)
            names |= dict.fromkeys(needs[component])
        names |= dict.fromkeys(brief["preload"])
        self._run([name for name in names if name not in excluded], {"needs": needs})

    def _run(self, names: Sequence[str], answer: packets.Packet) -> None:
        self._preloader.run(names)
        self._files = fingerprint()
        packets.send(self._end, {"prepared": asdict(self._preloader.done), **answer})

    def _fork(self, packet: packets.Packet, descriptors: Sequence[int], stale: str) -> None:
        if stale:
            answer: packets.Packet = {"stale": stale}
        else:
            try:
                answer = {"forked": self._forked_twice(packet, descriptors)}
            except OSError as error:
                answer = {"refused": error.strerror or str(error)}
        for descriptor in descriptors:
            os.close(descriptor)
        packets.send(self._end, answer)

    def _forked_twice(self, packet: packets.Packet, descriptors: Sequence[int]) -> int:
        reader, writer = os.pipe()
        try:
            between = os.fork()
            if between == 0:
                _between(writer, lambda: self._become(packet, descriptors, (reader, writer)))
        except OSError:
            os.close(writer)
            os.close(reader)
            raise
        os.close(writer)
        answer = os.read(reader, 256).decode()
        os.close(reader)
        os.waitpid(between, 0)
        if not answer.isdecimal():
            raise OSError(0, answer or "the process between ended without an answer")
        return int(answer)

    def _become(
        self, packet: packets.Packet, descriptors: Sequence[int], internal: Sequence[int]
    ) -> Callable[[], None]:
        """Turn this process from a copy of the zygote into a host; return what it is to run."""
        out, err, channel, *sockets = descriptors
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for descriptor in (out, err, *internal):
            os.close(descriptor)
        self._end.close()
        _renew_streams()
        resource.setrlimit(TAG, (packet["tag"], packet["tag"]))
        name_process(packet["name"])
        os.chdir(packet["directory"])
        sys.argv = [child.__file__]
        self._take_environment(packet["environment"])
        random.seed()
        _reseed_numpy()
        atexit._clear()  # noqa: SLF001  # what the launcher would do at its own end; `multiprocessing` does the same
        gc.enable()
        _await_adoption(packet["parent"])
        return lambda: child.live(socket.socket(fileno=channel), sockets)

    def _take_environment(self, environment: dict[str, str]) -> None:
        """Become a process with this environment, and on top of it what an import would have set here, too.

        Only differences are written: most variables are the same, and each that is set takes memory of its own.
        """
        wanted: dict[str, str | None] = {**environment, **self._preloader.done.changed}
        for name in [name for name in os.environ if wanted.get(name) is None]:
            del os.environ[name]
        for name, value in wanted.items():
            if value is not None and os.environ.get(name) != value:
                os.environ[name] = value
        time.tzset()


def _between(writer: int, become: Callable[[], Callable[[], None]]) -> NoReturn:
    """Fork the host, tell its number, and end, so that the launcher becomes its parent."""
    answer = ""
    try:
        host = os.fork()
        if host == 0:
            _leave_after(become)
        answer = str(host)
    except OSError as error:
        answer = error.strerror or str(error)
    finally:
        os.write(writer, answer.encode())
        os._exit(0)


def _leave_after(become: Callable[[], Callable[[], None]]) -> NoReturn:
    """Run a host to its end and leave as the interpreter leaves a program, without going back to whoever forked."""
    code = 1
    try:
        become()()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001  # told as the interpreter would tell it
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  # waits for threads, as at the end of every program
        with suppress(BaseException):
            atexit._run_exitfuncs()  # noqa: SLF001  # as above
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):
                stream.flush()
        os._exit(code)


def _renew_streams() -> None:
    """Give the process standard streams of its own: those of the launcher may belong to a terminal."""
    # Buffered as in a fresh interpreter whose output is a pipe.
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="strict", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc]  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )


def _reseed_numpy() -> None:
    """Let numpy's global generator begin anew, as each process has its own; Python's and OpenSSL's do so by themselves."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        with suppress(Exception):
            numpy.random.seed()


def _await_adoption(launcher: int) -> None:
    """Wait until the process between has ended and the launcher is the parent; leave if it never will be."""
    deadline = time.monotonic() + ADOPTION
    while os.getppid() != launcher:
        if time.monotonic() >= deadline:
            os._exit(1)
        time.sleep(0.0002)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))

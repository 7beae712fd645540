"""Start the backend as ``launcher up`` does, beside whatever else runs, and stop it in order."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import psutil

from launcher.client import Client
from launcher.compare.measure import tree, without
from launcher.config.locate import SOCKET
from launcher.errors import LauncherError, NotRunning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.documents import ComponentDocument, StatusDocument

LOOK = 0.01
"""Seconds between two looks whether the new launcher can be asked."""

STOP_PATIENCE = 120.0
"""Seconds after which a launcher that was asked to stop is killed; it ends its own stop by force after ``stop_timeout`` (30 s)."""

ENDING = 5.0
"""Seconds that a launcher which gave up or does not answer is given to end by itself."""

FINE = frozenset({"ready", "completed"})

OUTPUT = "output"
"""Name of the file that gets what a launcher says."""

TAIL = 8
"""Lines of it that are shown when the comparison fails."""


class ComparisonFailed(LauncherError):
    """The backend could not be started or stopped in one of the modes.

    Attributes:
        said: the last lines of what its launcher said.
    """

    def __init__(self, mode: str, why: str, said: tuple[str, ...]) -> None:
        super().__init__(
            f"cannot compare: in mode {mode}, {why}", hint=f"start it alone: launcher up --mode {mode}"
        )
        self.said = said


@dataclass(frozen=True, slots=True)
class Launch:
    """What every start of the comparison has in common.

    Attributes:
        words: selection and settings, as ``launcher up`` takes them.
        directory: that the command was given in.
    """

    words: tuple[str, ...]
    directory: Path

    @property
    def path(self) -> str:
        """Return where programs are looked for: ``python`` means this interpreter, as inside the backend."""
        return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


class Backend:
    """A backend that is up in one mode.

    Attributes:
        mode: that it runs in.
        process: the launcher, which is the parent of everything.
        environment: in which ``launcher`` finds this launcher and no other.
        ready_seconds: from the start of the launcher until all was ready.
    """

    def __init__(
        self, mode: str, process: subprocess.Popen[bytes], place: Path, environment: dict[str, str]
    ) -> None:
        self.mode = mode
        self.process = process
        self.environment = environment
        self.ready_seconds = 0.0
        self.client = Client(place / SOCKET)
        self._place = place

    def status(self) -> StatusDocument:
        """Ask for the whole picture."""
        return self.client.status()

    def components(self) -> dict[str, ComponentDocument]:
        """Ask for all components by name."""
        return {item["name"]: item for item in self.status()["components"]}

    def everyone(self) -> list[psutil.Process]:
        """Return the launcher, its guard, and all that they have started."""
        return tree([self.process.pid])

    def own(self) -> list[psutil.Process]:
        """Return everyone but the components that are commands: programs that are processes of their own in every mode."""
        commands = [
            item["pid"]
            for item in self.components().values()
            if item["kind"] == "command" and item["pid"] is not None
        ]
        return without(self.everyone(), commands)

    def await_ready(self, started: float) -> None:
        """Wait until the start is over.

        Raises:
            ComparisonFailed: something is not ready, or the launcher has ended.
        """
        status = self._settled()
        self.ready_seconds = time.monotonic() - started
        bad = [item for item in status["components"] if item["desired"] == "up" and item["phase"] not in FINE]
        if bad:
            name, phase, reason = bad[0]["name"], bad[0]["phase"], bad[0]["reason"]
            raise self.failure(f"{name} is {phase}" + (f" ({reason})" if reason else ""))

    def _settled(self) -> StatusDocument:
        while self.process.poll() is None:
            try:
                return cast("StatusDocument", self.client.wait("", "settled"))
            except NotRunning:
                time.sleep(LOOK)
            except LauncherError as error:
                self.ended()  # one that gave up says why
                raise self.failure(error.message) from error
        raise self.failure(f"the launcher ended with {self.process.returncode}")

    def ended(self) -> bool:
        """Whether the launcher has ended, or does so within a moment."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING)
        return self.process.poll() is not None

    def stop(self) -> float:
        """Ask the launcher to stop, wait until it has ended, and return how long that took in seconds.

        Raises:
            ComparisonFailed: it had to be killed.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self.clear()
            raise self.failure(
                f"the backend was still stopping after {STOP_PATIENCE:g} s and was killed"
            ) from None
        return time.monotonic() - began

    def clear(self) -> None:
        """Kill what is left; it has had its chance."""
        for process in self.everyone():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def failure(self, why: str) -> ComparisonFailed:
        """Say what is wrong; a launcher that could not even begin has said it best."""
        said = (self._place / OUTPUT).read_text(errors="replace").splitlines()[-TAIL:]
        errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        return ComparisonFailed(self.mode, errors[-1] if errors else why, tuple(said))


@contextmanager
def booted(launch: Launch, mode: str, place: Path) -> Iterator[Backend]:
    """Start the backend in a mode and wait until all of it is ready; at the end it is stopped in order, unless it has ended.

    Args:
        launch: what is started.
        mode: how.
        place: a new directory of its own for the control socket, the logs and the output; removed when all went well.

    Raises:
        ComparisonFailed: it does not become ready, or it does not stop, or it ended meanwhile.
    """
    place.mkdir(mode=0o700)
    environment = {
        **os.environ,
        "PATH": launch.path,
        "LAUNCHER_RUN_DIR": str(place),
        "LAUNCHER_LOG_DIR": str(place / "logs"),
        "LAUNCHER_STATE__URL": "memory://",  # what is tried out here is no history of the backend
        "NO_COLOR": "1",
    }
    # The variables are for commands given inside the backend or by the load, the settings win over what was set on the command line.
    settings = ["--set", f"launcher.run_dir={place}", "--set", f"launcher.log_dir={place / 'logs'}"]
    settings += ["--set", "state.url=memory://"]
    # -P: without it a launcher.py in the working directory would be run in our place.
    command = [
        sys.executable,
        "-P",
        "-m",
        "launcher",
        "up",
        "--quiet",
        "--mode",
        mode,
        *launch.words,
        *settings,
    ]
    with (place / OUTPUT).open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=launch.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    backend = Backend(mode, process, place, environment)
    try:
        backend.await_ready(started)
        yield backend
    except ComparisonFailed:
        raise
    except LauncherError as error:
        gone = (
            f"the launcher ended with {process.returncode} while it was measured" if backend.ended() else ""
        )
        raise backend.failure(gone or error.message) from error
    finally:
        if process.poll() is None:
            backend.stop()
    shutil.rmtree(place)

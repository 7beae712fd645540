"""What a start from the zygote promises beyond a start in a fresh interpreter, and what becomes of it when things go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from launcher.hosts import link, warm
from launcher.hosts.memory import Memory, remembered
from launcher.hosts.tree import everyone
from launcher.model.events import Launched
from launcher.model.spec import ComponentSpec
from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import (
    DEADLINE,
    Driver,
    Project,
    Seen,
    agent,
    alive,
    drive_processes,
    drive_warm,
    eventually,
)

IDLE = """
    import asyncio
    import lib
    async def run():
        print("lib", getattr(lib, "value", None))
        await asyncio.Event().wait()
"""


@pytest.fixture
def libraries(project: Project) -> Path:
    """A directory of installed packages."""
    return project.root / "site-packages"


def install(libraries: Path, **files: str) -> None:
    """Put libraries where the launcher takes them for installed ones."""
    libraries.mkdir(exist_ok=True)
    for name, text in files.items():
        (libraries / f"{name}.py").write_text(textwrap.dedent(text))


def play(
    project: Project,
    scenario: Callable[[Driver], None],
    *components: ComponentSpec,
    memory: Memory | None = None,
    **changes: Any,
) -> Seen:
    """Run a scenario with warm starts and the project's libraries on the module path."""
    spec = project.spec(pythonpath=(str(project.root), str(project.root / "site-packages")), **changes)
    return drive_warm(spec, components or [agent("worker", "jobs:run")], scenario, memory=memory)


def start_of(driver: Driver, name: str = "worker", incarnation: int = 1) -> str:
    """How an incarnation was started."""
    return driver.event(Launched, name, incarnation).start


def ended(pid: int) -> bool:
    """Whether a process is gone."""
    return not alive(pid)


def zygotes() -> list[int]:
    """The zygotes of this process."""
    found = [each.pid for each in everyone().values() if each.parent == os.getpid() and not each.zombie]
    return [pid for pid in found if Path(f"/proc/{pid}/comm").read_text().strip() == "launcher:zygote"]


def test_a_host_is_forked_with_its_libraries(project: Project, libraries: Path) -> None:
    """Libraries are imported once, by the zygote; code of the project is imported by each host, anew each time."""
    install(libraries, lib="import os\nvalue = os.getpid()\n")
    project.write(jobs=IDLE + "\n    import os\n    print('own', os.getpid())\n")

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        imported_by = int(driver.line("lib ").message.split()[1])
        assert start_of(driver) == "warm"
        assert [imported_by] == zygotes()
        assert driver.line("own ").message == f"own {driver.pid('worker')}"
        driver.down("worker")
        project.write(jobs="async def run():\n    print('mended')\n")
        driver.to_the_end("worker", 2)
        driver.line("mended")
        assert start_of(driver, incarnation=2) == "warm"

    play(project, scenario)


def facts() -> str:
    return """
        import asyncio, json, os, random, signal, sys, threading
        import lib

        async def run():
            print("facts " + json.dumps({
                "environment": {k: v for k, v in os.environ.items() if k not in ("LAUNCHER_LIFE", "_")},
                "directory": os.getcwd(),
                "argv": [os.path.basename(each) for each in sys.argv[:1]],
                "path": sys.path,
                "session": os.getsid(0) == os.getpid(),
                "parent": os.getppid(),
                "threads": threading.active_count(),
                "stdin": os.readlink("/proc/self/fd/0"),
                "int": str(signal.getsignal(signal.SIGHUP)),
                "encoding": (sys.__stdout__.encoding, sys.__stderr__.errors, sys.__stdout__.line_buffering),
                "set by the library": os.environ.get("FROM_LIB"),
            }, sort_keys=True))
    """


def test_warm_and_cold_cannot_be_told_apart(project: Project, libraries: Path) -> None:
    """Environment, directory, module path, session, streams and signals are those of a fresh interpreter."""
    install(libraries, lib="import os\nos.environ['FROM_LIB'] = 'yes'\n")
    (project.root / "inner").mkdir()
    project.write(jobs=facts())
    spec = project.spec(
        pythonpath=(str(project.root), str(libraries)), environment={"SHARED": "1", "TZ": "Asia/Shanghai"}
    )
    component = agent("worker", "jobs:run", environment={"OWN": "2"}, directory=str(project.root / "inner"))

    def found(drive: Callable[..., Seen]) -> Any:
        seen = drive(spec, [component], lambda driver: driver.to_the_end("worker"))
        return json.loads(
            next(line.message for line in seen.lines if line.message.startswith("facts ")).partition(" ")[2]
        )

    fresh = found(drive_processes)
    assert fresh["set by the library"] == "yes"
    assert found(drive_warm) == fresh


def test_chance_begins_anew_in_every_host(project: Project, libraries: Path) -> None:
    """Two hosts of one zygote do not draw the same random numbers."""
    install(libraries, lib="import random\nrandom.seed(1)\n")
    project.write(
        jobs="import lib, random, uuid\nasync def run():\n    print('drew', random.random(), uuid.uuid4())\n"
    )

    def scenario(driver: Driver) -> None:
        for incarnation in (1, 2):
            driver.to_the_end("worker", incarnation)

    seen = play(project, scenario)
    drawn = [line.message.split()[1:] for line in seen.lines if line.message.startswith("drew")]
    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


HAZARDS = {
    "a thread": (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n",
        "starts 1 thread when it is imported",
    ),
    "a socket": ("import socket\nleft, right = socket.socketpair()\n", "opens a socket when it is imported"),
    "an event loop": (
        "import select\npoll = select.epoll()\n",
        "makes an event loop when it is imported",
    ),
    "a pipe": ("import os\nends = os.pipe()\n", "opens pipe when it is imported"),
    "a process": (
        "import subprocess\nchild = subprocess.Popen(['sleep', '3600'])\n",
        "starts a process when it is imported",
    ),
    "code of the project": ("import own\n", "imports own, which is code of the project"),
}


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_hazard_costs_speed_and_nothing_else(
    project: Project, libraries: Path, tmp_path: Path, hazard: str
) -> None:
    """A library that cannot be shared by a fork is left to the hosts; they start warm but for it, it works there, and it is remembered."""
    code, what = HAZARDS[hazard]
    install(libraries, lib=f"{code}value = 'works'\n", fine="import os\nvalue = os.getpid()\n")
    project.write(jobs=IDLE + "\n    import fine\n    print('fine', fine.value)\n", own="")
    memory = remembered(str(tmp_path))

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.line("lib works")
        assert start_of(driver) == f"warm, but for lib ({what})"
        assert [int(driver.line("fine ").message.split()[1])] == zygotes()

    play(project, scenario, memory=memory)
    assert remembered(str(tmp_path)).hazards == {"lib": what}


def test_a_plain_file_is_no_hazard(project: Project, libraries: Path) -> None:
    """A library may keep a file of data open."""
    install(libraries, lib="file = open(__file__)\nvalue = 1\n")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert start_of(driver) == "warm"

    play(project, scenario)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os\nif os.path.basename(__import__('sys').argv[0]) != 'child.py': os._exit(3)\n", "ended"),
        (
            "import time, sys\nif not sys.argv[0].endswith('child.py'):\n    while True: time.sleep(0.01)\n",
            "takes more than",
        ),
    ],
)
def test_an_import_that_ends_or_holds_up_the_zygote_is_left_to_the_host(
    project: Project, libraries: Path, monkeypatch: pytest.MonkeyPatch, code: str, why: str
) -> None:
    """One bad library takes the others' warm start with it only until the next zygote."""
    monkeypatch.setattr(link, "STALL", 1.5)
    monkeypatch.setattr(warm, "PATIENCE", DEADLINE)
    install(libraries, lib=code)
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert start_of(driver).startswith("warm, but for lib (")
        assert why in driver.line("another zygote is made").message

    play(project, scenario)


def test_a_zygote_that_never_gets_ready_is_done_without(
    project: Project, libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start does not wait for ever: it goes on in a fresh interpreter."""
    monkeypatch.setattr(warm, "PATIENCE", 0.01)
    install(libraries, lib="")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert start_of(driver) == "cold (no zygote was ready within 0.01 s)"

    play(project, scenario)


def test_after_many_losses_no_other_zygote_is_made(project: Project, libraries: Path) -> None:
    """Whatever keeps killing the zygote does not keep the launcher busy, and components start all the same."""
    install(libraries, lib="")
    project.write(jobs=IDLE)
    most = warm.RENEWALS.max_restarts

    def scenario(driver: Driver) -> None:
        for incarnation in range(1, most + 2):
            driver.up("worker", incarnation)
            assert start_of(driver, incarnation=incarnation) == "warm"
            driver.down("worker", incarnation)
            os.kill(zygotes()[0], signal.SIGKILL)
            driver.seen.until(partial(lost, driver, incarnation), "news of the loss")
        driver.up("worker", most + 2)
        assert start_of(driver, incarnation=most + 2).startswith(f"cold ({most + 1} zygotes were lost")
        assert zygotes() == []

    def lost(driver: Driver, times: int) -> bool:
        told = [line.message for line in driver.seen.lines]
        return sum("another zygote" in each or "start cold" in each for each in told) >= times

    play(project, scenario)


def test_a_killed_zygote_takes_nobody_with_it(project: Project, libraries: Path) -> None:
    """Running hosts go on, and the next start comes from another zygote."""
    install(libraries, lib="")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        (first,) = zygotes()
        os.kill(first, signal.SIGKILL)
        driver.line("another zygote is made: the zygote ended")
        assert alive(driver.pid("worker"))
        driver.up("other")
        assert start_of(driver, "other") == "warm"
        assert zygotes() != [first]
        assert driver.down("worker").kind is ExitKind.RETURNED

    play(project, scenario, agent("worker", "jobs:run"), agent("other", "jobs:run"))


def test_changed_libraries_make_a_new_zygote(project: Project, libraries: Path) -> None:
    """After an upgrade the next start is cold, with the new version, and the one after it is warm again."""
    install(libraries, lib="value = 'old'\n")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.line("lib old")
        driver.down("worker")
        install(libraries, lib="value = 'newer'\n")
        driver.up("worker", 2)
        assert (
            start_of(driver, incarnation=2)
            == f"cold ({libraries / 'lib.py'} has changed since it was imported)"
        )
        driver.down("worker", 2)
        driver.up("worker", 3)
        assert start_of(driver, incarnation=3) == "warm"
        assert [line.message for line in driver.seen.lines if line.message.startswith("lib ")] == [
            "lib old",
            "lib newer",
            "lib newer",
        ]

    play(project, scenario)


def test_a_variable_that_a_library_reads_makes_a_cold_start(project: Project, libraries: Path) -> None:
    """What a library took from the environment while it was imported must be what the component has set."""
    install(libraries, lib="import os\nvalue = os.environ.get('LEVEL', 'default')\n")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("loud")
        assert start_of(driver, "loud") == "cold (LEVEL is set for it, and lib reads it while it is imported)"
        driver.line("lib loud")
        driver.up("plain")
        assert start_of(driver, "plain") == "warm"
        driver.line("lib default")

    play(
        project,
        scenario,
        agent("loud", "jobs:run", environment={"LEVEL": "loud"}),
        agent("plain", "jobs:run", environment={"OTHER": "1"}),
    )


def test_what_is_imported_late_is_there_the_next_time(
    project: Project, libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import inside a function is seen by the host, made by the zygote, and remembered in the run directory."""
    monkeypatch.setattr(warm, "SETTLE", 0.0)
    install(libraries, lib="", late="import os\nvalue = os.getpid()\n")
    project.write(
        jobs="""
        import asyncio, lib
        async def run():
            import late
            print("late", late.value)
            await asyncio.Event().wait()
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert int(driver.line("late ").message.split()[1]) == driver.pid("worker")
        eventually(lambda: "late" in remembered(str(tmp_path)).needs.get("worker", {}), "the memory of it")
        driver.down("worker")
        driver.up("worker", 2)
        assert int(driver.seen.lines[-1].message.split()[1]) in zygotes()

    def again(driver: Driver) -> None:
        driver.up("worker")
        assert [int(driver.line("late ").message.split()[1])] == zygotes()

    play(project, scenario, memory=remembered(str(tmp_path)))
    play(project, again, memory=remembered(str(tmp_path)))


def test_a_daemon_of_a_warm_host_is_found(project: Project, libraries: Path) -> None:
    """A process that left group, session and parents behind, without another program, ends with the component."""
    install(libraries, lib="")
    project.write(
        jobs="""
        import asyncio, lib, os, time
        async def run():
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.setsid()
                    os.write(1, b"daemon %d\\n" % os.getpid())
                    time.sleep(3600)
                os._exit(0)
            os.wait()
            await asyncio.Event().wait()
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        daemon = int(driver.line("daemon ").message.split()[1])
        eventually(lambda: everyone()[daemon].parent == os.getpid(), "the adoption of the daemon")
        assert start_of(driver) == "warm"
        driver.down("worker")
        assert not alive(daemon)

    play(project, scenario)


def test_the_families_of_two_launchers_are_not_mixed_up(project: Project, libraries: Path) -> None:
    """What one launcher stops is its own, although another one has forked as many hosts from a zygote of its own."""
    install(libraries, lib="")
    project.write(jobs=IDLE)

    def first(one: Driver) -> None:
        def second(other: Driver) -> None:
            one.up("worker")
            other.up("worker")
            assert start_of(one) == start_of(other) == "warm"
            one.down("worker")  # returns when nothing of its family is left
            assert alive(other.pid("worker"))

        play(project, second)

    play(project, first)


def test_a_stop_does_not_wait_for_the_zygote(project: Project, libraries: Path) -> None:
    """A component that is to be stopped while the zygote still imports never begins."""
    install(libraries, lib="import time\nprint('importing', flush=True)\nwhile True: time.sleep(0.01)\n")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        driver.line("importing")
        assert driver.down("worker").message == "stopped before it began"

    play(project, scenario)


def test_the_directory_that_is_missing_is_told(project: Project, libraries: Path) -> None:
    """A component whose directory does not exist cannot start, warm or cold."""
    install(libraries, lib="")
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        assert driver.exited("worker").message == "cannot start a process: No such file or directory"

    play(project, scenario, agent("worker", "jobs:run", directory=str(project.root / "nowhere")))


PARENT = """
    import asyncio, sys
    from launcher.hosts.linux import adopt_orphans
    from launcher.hosts.brief import brief
    from launcher.hosts.link import forked_early
    from launcher.hosts.memory import Memory
    from launcher.hosts.process import ProcessHost
    from launcher.hosts.warm import Warm
    from launcher.model.spec import ComponentSpec, Kind, LauncherSpec
    root = sys.argv[1]
    spec = LauncherSpec("test", root, (), pythonpath=(root,))
    component = ComponentSpec("worker", Kind.AGENT, "jobs:run")
    early = forked_early(brief(spec, [component], Memory()))
    def report(event):
        print(type(event).__name__, getattr(event, "pid", ""), flush=True)
    async def main():
        log = lambda line: None
        host = ProcessHost(spec, {}, report, log, Warm(spec, [component], Memory(), log, early))
        host.launch(component, 1)
        print("zygote", early.born.pid, flush=True)
        await asyncio.Event().wait()
    asyncio.run(main())
"""


def test_zygote_and_hosts_do_not_outlive_the_launcher(project: Project) -> None:
    """When the launcher is killed with -9, the zygote that was forked from it ends, and so do the hosts."""
    project.write(jobs="import asyncio\nasync def run():\n    await asyncio.Event().wait()\n")
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(project.root)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    try:
        told = dict(parent.stdout.readline().split() for _ in range(2))
        assert parent.stdout.readline().strip() == "Started"
        assert Path(f"/proc/{told['Launched']}/comm").read_text().strip() == "worker"
    finally:
        parent.kill()
        parent.wait(DEADLINE)
        parent.stdout.close()
    for pid in map(int, told.values()):
        eventually(partial(ended, pid), "the end of zygote and host")

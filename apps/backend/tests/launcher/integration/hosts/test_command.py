"""Commands: real programs, with everything that real programs do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import pytest

from launcher.hosts import spawn
from launcher.model.events import BecameReady, Exited, Launched, Started
from launcher.model.logs import MAX_LINE, Stream
from launcher.model.spec import Bind, ComponentSpec, Probe, ProbeKind
from launcher.model.state import Exit, ExitKind
from tests.launcher.integration.hosts.driver import (
    DEADLINE,
    Driver,
    Project,
    alive,
    command,
    drive_commands,
    eventually,
    marked,
    python,
)


def end_of(project: Project, spec: ComponentSpec) -> Exit:
    """Run a command to its end."""
    ends: list[Exit] = []

    def scenario(driver: Driver) -> None:
        driver.launch(spec.name)
        ends.append(driver.exited(spec.name))

    drive_commands(project.spec(), [spec], scenario)
    return ends[0]


def test_a_command_is_launched_started_and_ended(project: Project) -> None:
    """Started follows the start at once; an exit with 0 is an end of its own accord."""
    seen = drive_commands(project.spec(), [command("job", "true")], lambda driver: driver.to_the_end("job"))
    assert [type(event) for event in seen.events] == [Launched, Started, Exited]
    (ended,) = [event.exit for event in seen.events if isinstance(event, Exited)]
    assert (ended.kind, ended.code) == (ExitKind.RETURNED, 0)


@pytest.mark.parametrize(
    ("argv", "kind", "code", "number"),
    [
        (("sh", "-c", "exit 3"), ExitKind.EXITED, 3, 0),
        (("sh", "-c", "kill -SEGV $$"), ExitKind.SIGNALLED, None, signal.SIGSEGV),
        (("sh", "-c", "nosuchprogram"), ExitKind.EXITED, 127, 0),
    ],
)
def test_how_it_ended(
    project: Project, argv: tuple[str, ...], kind: ExitKind, code: int | None, number: int
) -> None:
    """Exit codes and signals are told apart."""
    ended = end_of(project, command("job", *argv))
    assert (ended.kind, ended.code, ended.signal, ended.killed) == (kind, code, number, False)


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (("nosuchprogram",), "command not found: nosuchprogram", "install it"),
        (("pyton3",), "command not found: pyton3", "did you mean python3"),
        (("sleep 5",), "command not found: sleep 5", "words of their own"),
        (("cd", "x"), "command not found: cd", '["sh", "-c", "cd x"]'),
        (
            ("echo", "a", "&&", "echo", "b"),
            "'&&' means nothing without a shell",
            '"sh", "-c", "echo a && echo b"',
        ),
        (("./plain.py",), "plain.py is not executable", "chmod +x"),
        (("plain.py",), "command not found: plain.py", "write ./plain.py"),
        (("./missing",), "command not found", ""),
        (("./broken",), "its interpreter does not exist", "#!/no/such/interpreter"),
        (("./garbage",), "is not a program for this system", "#!/bin/sh"),
        (("./",), "is a directory", ""),
        ((), "the command is empty", "command"),
    ],
)
def test_what_cannot_be_started_says_why(
    project: Project, argv: tuple[str, ...], message: str, hint: str
) -> None:
    """A command that cannot be started is unstartable, with the reason and what to do."""
    project.write(plain="print()")
    for name, content in (("broken", "#!/no/such/interpreter\n"), ("garbage", "\x00\x01 nonsense")):
        (project.root / name).write_text(content)
        (project.root / name).chmod(0o755)
    ended = end_of(project, command("job", *argv))
    assert ended.kind is ExitKind.UNSTARTABLE
    assert message in ended.message
    assert hint in ended.hint


def test_a_bad_directory_says_so(project: Project) -> None:
    """A working directory that does not exist is named."""
    ended = end_of(project, command("job", "true", directory="/no/such/place"))
    assert (ended.kind, ended.message) == (
        ExitKind.UNSTARTABLE,
        "its directory /no/such/place does not exist",
    )


def test_its_surroundings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets our environment overlaid by the declared one, who it is, its port, its directory, no stdin, and a session of its own."""
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.setenv("NOTIFY_SOCKET", "/meant/for/the/launcher")
    inner = project.root / "inner"
    inner.mkdir()
    spec = python(
        "job",
        """
        import os, sys
        for name in ("INHERITED", "SHARED", "OWN", "LAUNCHER_COMPONENT", "LAUNCHER_INCARNATION", "PORT", "NOTIFY_SOCKET"):
            print(name, os.environ.get(name))
        print("cwd", os.getcwd())
        print("stdin", repr(sys.stdin.read()))
        print("leads", os.getsid(0) == os.getpid())
        """,
        environment={"OWN": "own", "SHARED": "own"},
        directory=str(inner),
        bind=Bind(4321),
    )

    def scenario(driver: Driver) -> None:
        driver.launch("job", 3)
        driver.exited("job", 3)

    seen = drive_commands(project.spec(environment={"SHARED": "all"}), [spec], scenario)
    said = dict(line.message.split(" ", 1) for line in seen.lines)
    assert said == {
        "INHERITED": "yes",
        "SHARED": "own",
        "OWN": "own",
        "LAUNCHER_COMPONENT": "job",
        "LAUNCHER_INCARNATION": "3",
        "PORT": "4321",
        "NOTIFY_SOCKET": "None",
        "cwd": str(inner),
        "stdin": "''",
        "leads": "True",
    }


def test_stop_and_kill(project: Project) -> None:
    """The stop signal comes first; who ignores it is killed, and the exit says so."""
    obedient = python("obedient", "import time; print('up'); time.sleep(3600)", stop_signal="SIGINT")
    stubborn = python(
        "stubborn",
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: print('no')); print('deaf'); time.sleep(3600)",
    )

    def scenario(driver: Driver) -> None:
        driver.launch("obedient")
        driver.line("up")
        assert driver.down("obedient").signal == signal.SIGINT
        driver.launch("stubborn")
        driver.line("deaf")
        driver.stop("stubborn")
        driver.line("no")
        assert not driver.is_over("stubborn")
        driver.kill("stubborn")
        ended = driver.exited("stubborn")
        assert (ended.kind, ended.signal, ended.killed) == (ExitKind.SIGNALLED, signal.SIGKILL, True)

    drive_commands(project.spec(), [obedient, stubborn], scenario)


GRANDCHILDREN = """
    import os, subprocess, sys, time
    code = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(1, b'in %d\\n' % os.getpid()); time.sleep(3600)"
    subprocess.Popen([sys.executable, "-c", code])
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", code])
        os._exit(0)
    {then}
"""


@pytest.mark.parametrize("then", ["time.sleep(3600)", "sys.stdin.read()"])
def test_grandchildren_do_not_survive(project: Project, then: str) -> None:
    """Nothing of a killed or ended command is left when its end is reported: children, daemons, sessions of their own."""
    mark = uuid.uuid4().hex
    spec = python("job", GRANDCHILDREN.replace("{then}", then), environment={"CREW": mark})
    pids: list[int] = []

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        if then.startswith("time"):
            driver.seen.until(
                lambda: sum("in " in line.message for line in driver.seen.lines) == 3, "grandchildren"
            )
            driver.kill("job")
        driver.exited("job")
        pids.extend(
            int(line.message.split()[1]) for line in driver.seen.lines if line.message.startswith("in ")
        )
        assert not [pid for pid in pids if alive(pid)]
        assert marked("CREW", mark) == []

    drive_commands(project.spec(), [spec], scenario)


def test_what_a_command_leaves_behind_is_told(project: Project) -> None:
    """A command that ends and leaves a process is cleared up with a line that says so."""
    spec = command("job", "sh", "-c", "sleep 3600 & echo child $!")

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        assert driver.exited("job").kind is ExitKind.RETURNED
        left = int(driver.line("child ").message.split()[1])
        assert driver.line(f"left 1 process behind, now ended: {left}").stream is Stream.LAUNCHER
        assert not alive(left)

    drive_commands(project.spec(), [spec], scenario)


def test_no_zombies_stay(project: Project) -> None:
    """After the end of a command its PID is collected."""
    pids: list[int] = []

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        driver.exited("job")
        pids.append(driver.pid("job"))
        assert not Path(f"/proc/{pids[0]}").exists()

    drive_commands(project.spec(), [command("job", "true")], scenario)


def test_adopted_orphans_are_collected() -> None:
    """Orphans of a running command that die do not pile up as zombies, and children of our own are left to whoever waits for them."""
    code = """
    import asyncio, os, subprocess, sys
    from pathlib import Path
    from launcher.hosts import spawn
    from launcher.hosts.linux import adopt_orphans
    from launcher.hosts.tree import look
    spawn.SWEEP = 0.05
    adopt_orphans()
    def zombie(pid):
        process = look(pid)
        return process is not None and process.zombie
    async def until(condition):
        while not condition():
            await asyncio.sleep(0.01)
    async def main():
        own = [subprocess.Popen(["sh", "-c", "exit 7"], start_new_session=each) for each in (True, False)]
        lines = []
        argv = ["sh", "-c", "(sh -c 'echo $$') & wait; (sh -c 'echo $$; exec sleep 0.3' &); exec sleep 3600"]
        child = spawn.Child(spawn.start(spawn.Program(argv, dict(os.environ), "/")), lambda number, line: lines.append(int(line)))
        await until(lambda: len(lines) == 2)
        await until(lambda: look(lines[1]) is None)
        assert all(zombie(each.pid) for each in own)
        assert [each.wait() for each in own] == [7, 7]
        child.kill()
        assert await child.cleared() == -9
    asyncio.run(main())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=DEADLINE)


def test_output_of_any_shape(project: Project) -> None:
    """Lines are split, decoded and attributed, whatever they are; the last one needs no end."""
    spec = python(
        "job",
        r"""
        import sys
        out = sys.stdout.buffer
        out.write("grün\n".encode())
        out.write(b"bad \xff byte\n")
        out.write(b"windows\r\n")
        out.write(b"\n")
        out.write("split ü".encode()[:-1]); out.flush()
        out.write("split ü".encode()[-1:] + b"\n"); out.flush()
        print("to stderr", file=sys.stderr)
        out.write(b"no end")
        """,
    )
    seen = drive_commands(project.spec(), [spec], lambda driver: driver.to_the_end("job"))
    out = [line.message for line in seen.lines if line.stream is Stream.STDOUT]
    assert out == ["grün", r"bad \xff byte", "windows", "", "split ü", "no end"]
    assert [line.message for line in seen.lines if line.stream is Stream.STDERR] == ["to stderr"]
    assert {(line.component, line.incarnation) for line in seen.lines} == {("job", 1)}


def test_a_huge_line_is_cut_and_never_blocks(project: Project) -> None:
    """A line of ten megabytes is read at full speed and kept short, with a mark."""
    size = 10_000_000
    spec = python("job", f"import sys; sys.stdout.write('x' * {size} + chr(10) + 'after' + chr(10))")
    seen = drive_commands(project.spec(), [spec], lambda driver: driver.to_the_end("job"))
    long, after = (line.message for line in seen.lines)
    assert long == "x" * MAX_LINE + f"… [cut: {size - MAX_LINE} characters more]"
    assert after == "after"


def test_every_line_arrives(project: Project) -> None:
    """A command that writes much and ends at once loses nothing."""
    spec = python("job", "for i in range(50000): print(i)")
    seen = drive_commands(project.spec(), [spec], lambda driver: driver.to_the_end("job"))
    assert [line.message for line in seen.lines] == [str(i) for i in range(50000)]


def test_closed_outputs_are_no_end(project: Project) -> None:
    """A command that closes its outputs runs on until it ends."""
    spec = python("job", "import os, time; print('bye'); os.close(1); os.close(2); time.sleep(3600)")

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        driver.line("bye")
        eventually(lambda: len(list(Path(f"/proc/{driver.pid('job')}/fd").iterdir())) <= 1, "closing")
        assert not driver.is_over("job")
        assert driver.down("job").signal == signal.SIGTERM

    drive_commands(project.spec(), [spec], scenario)


def test_a_stranger_that_holds_the_pipe_does_not_hold_up_the_end(project: Project) -> None:
    """When somebody outside of the family has the pipe open, the end is reported all the same."""
    spec = python("job", "import time; print('up'); time.sleep(3600)")
    held: list[int] = []

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        driver.line("up")
        held.append(os.open(f"/proc/{driver.pid('job')}/fd/1", os.O_WRONLY))
        driver.kill("job")
        driver.exited("job")

    try:
        drive_commands(project.spec(), [spec], scenario)
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_ready_by_a_line(project: Project) -> None:
    """The first line that matches makes it ready, once."""
    spec = python(
        "job",
        "import time\nfor i in range(5): print('step', i)\ntime.sleep(3600)",
        ready=Probe(ProbeKind.LOG, target=r"^step [3-9]$"),
    )

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        driver.event(BecameReady, "job")
        driver.line("step 4")
        driver.down("job")

    seen = drive_commands(project.spec(), [spec], scenario)
    assert sum(isinstance(event, BecameReady) for event in seen.events) == 1


@pytest.mark.parametrize("place", ["run_dir", "none", "deep"])
def test_ready_by_notification(project: Project, tmp_path: Path, place: str) -> None:
    """READY=1 to NOTIFY_SOCKET makes it ready, whether or not the run directory can hold the socket."""
    spec = python(
        "job",
        """
        import os, socket, time
        address = os.environ["NOTIFY_SOCKET"]
        print("address", address)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.connect(chr(0) + address[1:] if address.startswith("@") else address)
        notify.send(b"STATUS=warming up")
        notify.send(b"STATUS=serving" + bytes([10]) + b"READY=1")
        notify.send(b"READY=1")
        time.sleep(3600)
        """,
        ready=Probe(ProbeKind.NOTIFY),
    )
    run_dir = {"run_dir": tmp_path / "run", "none": None, "deep": tmp_path / ("d" * 100)}[place]
    if run_dir is not None:
        run_dir.mkdir()

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        driver.event(BecameReady, "job")
        address = driver.line("address").message.split()[1]
        assert address.startswith("@") is (place != "run_dir")
        driver.down("job")

    seen = drive_commands(project.spec(run_dir=str(run_dir or "")), [spec], scenario)
    assert sum(isinstance(event, BecameReady) for event in seen.events) == 1
    assert run_dir is None or list(run_dir.iterdir()) == []


def test_without_pidfd(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel, or a sandbox, has no process descriptors, ends and families are seen all the same."""
    monkeypatch.setattr(spawn, "_pidfd", lambda _pid: None)

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        left = int(driver.line("left behind ").message.split()[2])
        assert driver.exited("job").code == 3
        assert not alive(left)

    drive_commands(
        project.spec(), [command("job", "sh", "-c", "sleep 3600 & echo left behind $!; exit 3")], scenario
    )


def test_closing_kills_what_runs(project: Project) -> None:
    """A host that is closed leaves no process."""
    pids: list[int] = []

    def scenario(driver: Driver) -> None:
        driver.launch("job")
        pids.append(driver.pid("job"))

    seen = drive_commands(
        project.spec(), [command("job", sys.executable, "-c", "import time; time.sleep(3600)")], scenario
    )
    assert isinstance(seen.events[-1], Exited)
    assert not alive(pids[0])

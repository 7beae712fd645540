"""An event loop that does not turn, for three reasons, in every mode: what is seen, what is said, and what follows."""

from __future__ import annotations

import os
import signal

import pytest

from tests.launcher.acceptance.project import AGENT, Project, eventually

HANGS = """
    import asyncio, pathlib, re, threading, time

    def wait_for_nothing():
        while not pathlib.Path("release").exists():
            time.sleep(0.02)

    async def sleeps():
        await until_asked()
        wait_for_nothing()
        await asyncio.Event().wait()

    async def computes():
        await until_asked()
        for_ever("a" * 100 + "!")

    def for_ever(text):
        re.match("(a+)+$", text)  # in C, and without ever giving the interpreter lock back

    async def deadlocks():
        await until_asked()
        first, second = threading.Lock(), threading.Lock()
        held = threading.Barrier(2)
        thread = threading.Thread(target=embrace, args=(second, first, held), name="the other one", daemon=True)
        thread.start()
        embrace(first, second, held)

    def embrace(mine, yours, held):
        with mine:
            held.wait()
            with yours:
                pass

    async def until_asked():
        mark = pathlib.Path("hang")
        while not mark.exists():
            await asyncio.sleep(0.02)
        mark.unlink()
"""


def log_of(project: Project, name: str) -> str:
    """Everything in the log of a component."""
    return project.run("logs", name).stdout


def declared(project: Project, run: str, **settings: str) -> Project:
    """An agent whose heartbeat is watched, and one beside it."""
    more = "\n".join(f"{key} = {value}" for key, value in settings.items())
    return project.write(jobs=AGENT, hangs=HANGS).declare(f"""
        [components.worker]
        run = "{run}"
        heartbeat = "1s"
        {more}

        [components.other]
        run = "jobs:run"
    """)


@pytest.mark.parametrize(
    ("run", "place"), [("sleeps", "wait_for_nothing"), ("deadlocks", "embrace"), ("computes", "for_ever")]
)
def test_a_loop_that_hangs_is_killed_and_restarted(project: Project, run: str, place: str) -> None:
    """In a process of its own: the stack of every thread is logged, the process killed, and its restart policy decides."""
    launcher = declared(project, f"hangs:{run}").up_and_ready("--mode", "multi")
    before = project.component("worker")["pid"]
    (project.root / "hang").touch()
    eventually(
        "a new incarnation is ready",
        lambda: (one := project.component("worker")).get("incarnation") == 2 and one["phase"] == "ready",
        launcher=launcher,
    )
    after = project.component("worker")
    assert after["pid"] != before
    assert after["restarts"] == 1
    assert after["last_exit"]["kind"] == "unhealthy"
    assert after["last_exit"]["killed"]
    assert "its event loop has not turned for 1 s" in after["last_exit"]["message"]
    assert (project.component("other")["incarnation"], project.component("other")["restarts"]) == (1, 0)
    told = log_of(project, "worker")
    assert "its event loop does not turn" in told
    assert f"in {place}" in told
    assert told.count("most recent call first") >= (2 if run == "deadlocks" else 1)


def test_a_process_that_stands_still_is_killed_and_restarted(project: Project) -> None:
    """Stopped by SIGSTOP it shows no stack, but it is noticed, killed and restarted like any other that hangs."""
    launcher = declared(project, "jobs:run").up_and_ready("--mode", "multi")
    os.kill(project.component("worker")["pid"], signal.SIGSTOP)
    eventually(
        "a new incarnation is ready",
        lambda: (one := project.component("worker")).get("incarnation") == 2 and one["phase"] == "ready",
        launcher=launcher,
    )
    assert project.component("worker")["last_exit"]["kind"] == "unhealthy"


def test_what_is_never_to_be_restarted_is_given_up(project: Project) -> None:
    """The policy decides what follows, as after any other end."""
    declared(project, "hangs:sleeps", restart='"never"').up_and_ready("--mode", "multi")
    (project.root / "hang").touch()
    assert "its event loop has not turned" in project.wait("worker", "failed")["reason"]


def test_a_shared_loop_that_hangs_is_told_and_forgiven(project: Project) -> None:
    """In one process: status and log say who blocks it and where, nothing is killed, and it is said when the loop turns again."""
    launcher = declared(project, "hangs:sleeps").up_and_ready("--mode", "single")
    (project.root / "hang").touch()
    hung = project.wait("worker", "unready")
    assert "its event loop has not turned for 1 s: blocked by worker at hangs.py:" in hung["reason"]
    assert "(wait_for_nothing)" in hung["reason"]
    assert "in wait_for_nothing" in log_of(project, "worker")
    (project.root / "release").touch()
    ready = project.wait("worker", "ready")
    assert (ready["incarnation"], ready["restarts"], ready["reason"]) == (1, 0, "")
    assert "its event loop turns again" in log_of(project, "worker")
    assert project.run("down").returncode == 0
    code, output = launcher.finished()
    assert code == 0
    assert "blocked by worker at hangs.py" in output
    assert "its event loop turns again" in output


def test_the_one_that_blocks_is_named_not_the_one_that_suffers(project: Project) -> None:
    """A component whose heartbeat is not even watched is named by those that share its loop."""
    project.write(jobs=AGENT, hangs=HANGS).declare("""
        [components.culprit]
        run = "hangs:sleeps"

        [components.victim]
        run = "jobs:run"
        heartbeat = "1s"
    """)
    project.up_and_ready("--mode", "single")
    (project.root / "hang").touch()
    assert "blocked by culprit at hangs.py:" in project.wait("victim", "unready")["reason"]
    assert "in wait_for_nothing" in log_of(project, "culprit")
    (project.root / "release").touch()
    project.wait("victim", "ready")


def test_a_loop_that_turns_is_left_alone(project: Project, mode: str) -> None:
    """Work in other threads and short pauses of the loop are no reason to do anything."""
    project.write(
        jobs="""
        import asyncio, time

        async def run():
            for number in range(20):
                time.sleep(0.1)
                await asyncio.to_thread(time.sleep, 0.05)
            print("a busy time is over")
            await asyncio.Event().wait()
        """
    ).declare("""
        [components.worker]
        run = "jobs:run"
        heartbeat = "1s"
    """)
    launcher = project.up_and_ready("--mode", mode)
    eventually("it has worked", lambda: "busy time is over" in log_of(project, "worker"), launcher=launcher)
    worker = project.component("worker")
    assert (worker["phase"], worker["incarnation"], worker["last_exit"]) == ("ready", 1, None)
    assert "does not turn" not in log_of(project, "worker")


def test_a_heartbeat_that_cannot_be(project: Project) -> None:
    """A command has no event loop that could be asked, a one-shot is never ready, and less than a second is too short."""
    project.write(jobs=AGENT).declare("""
        [components.server]
        command = "sleep 100"
        heartbeat = "30s"

        [components.job]
        run = "jobs:run"
        oneshot = true
        heartbeat = "30s"

        [components.worker]
        run = "jobs:run"
        heartbeat = "100ms"
    """)
    done = project.run("check")
    assert done.returncode == 2
    assert "heartbeat means nothing for a command" in done.stderr
    assert "is a one-shot: it is never ready" in done.stderr
    assert "must be at least 1s" in done.stderr

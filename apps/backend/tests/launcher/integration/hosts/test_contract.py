"""What every host of components promises: one suite for the launcher's own process and for processes of their own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from launcher.model.events import Exited, Launched, Started
from launcher.model.logs import Stream
from launcher.model.spec import ComponentSpec, Kind, TaskDeath
from launcher.model.state import ExitKind
from tests.launcher.integration.hosts.driver import Driver, Project, Seen, agent

Drive = Callable[..., Seen]

IDLE = """
    import asyncio
    async def run():
        print("working")
        await asyncio.sleep(3600)
"""


def kinds(seen: Seen, name: str) -> list[str]:
    """The events of a component in order."""
    return [type(event).__name__ for event in seen.events if getattr(event, "component", "") == name]


def test_an_agent_starts_works_and_stops(project: Project, drive: Drive) -> None:
    """A coroutine function is launched, started and ended once each, and its output carries its name."""
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        line = driver.line("working")
        assert (line.component, line.incarnation, line.stream) == ("worker", 1, Stream.STDOUT)
        ended = driver.down("worker")
        assert (ended.kind, ended.killed) == (ExitKind.RETURNED, False)

    seen = drive(project.spec(), [agent("worker", "jobs:run")], scenario)
    assert kinds(seen, "worker") == ["Launched", "Started", "Exited"]


def test_an_agent_that_returns_has_ended(project: Project, drive: Drive) -> None:
    """Returning is an end of its own accord."""
    project.write(jobs="async def run(): pass")
    seen = drive(
        project.spec(),
        [agent("worker", "jobs:run")],
        lambda driver: driver.to_the_end("worker"),
    )
    assert kinds(seen, "worker") == ["Launched", "Exited"]
    (ended,) = [event.exit for event in seen.events if isinstance(event, Exited)]
    assert (ended.kind, ended.message) == (ExitKind.RETURNED, "returned")


def test_an_agent_that_raises_is_blamed_by_line(project: Project, drive: Drive) -> None:
    """An exception is told with the last line of the user's own code, and its traceback is kept."""
    project.write(
        jobs="""
        import asyncio
        async def run():
            await asyncio.sleep(0)
            await asyncio.wait_for(inner(), 5)
        async def inner():
            raise ValueError("boom")
        """
    )

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        ended = driver.exited("worker")
        assert (ended.kind, ended.message) == (ExitKind.RAISED, "jobs.py:7: ValueError: boom")
        assert "in inner" in ended.traceback

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        ("SystemExit(7)", ExitKind.EXITED, 7),
        ("SystemExit", ExitKind.RETURNED, 0),
        ("SystemExit('no licence')", ExitKind.EXITED, 1),
    ],
)
@pytest.mark.parametrize("where", ["itself", "a task"])
def test_system_exit_ends_its_component_only(
    project: Project, drive: Drive, raised: str, kind: ExitKind, code: int, where: str
) -> None:
    """A component that calls sys.exit, in a task too, ends with that code; others go on."""
    body = "await leave()" if where == "itself" else "asyncio.create_task(leave()); await asyncio.sleep(3600)"
    project.write(
        jobs=f"""
        import asyncio
        async def leave():
            await asyncio.sleep(0)
            raise {raised}
        async def run():
            {body}
        """,
        other=IDLE,
    )

    def scenario(driver: Driver) -> None:
        driver.up("other")
        driver.launch("worker")
        ended = driver.exited("worker")
        assert (ended.kind, ended.code) == (kind, code)
        assert "jobs.py:5" in ended.message
        assert not driver.is_over("other")
        assert driver.down("other").kind is ExitKind.RETURNED

    drive(project.spec(), [agent("worker", "jobs:run"), agent("other", "other:run")], scenario)


@pytest.mark.parametrize(
    ("target", "code", "message", "hint"),
    [
        ("nothere:run", "", "there is no module nothere", "pythonpath"),
        ("jobz:run", "async def run(): pass", "there is no module jobz", "did you mean jobs?"),
        ("jobs:rum", "async def run(): pass", "jobs has no attribute rum", "did you mean run?"),
        ("jobs:run", "x = 1\nimport missing_thing\n", "jobs.py:2: ModuleNotFoundError", "install"),
        ("jobs:run", "def f():\n    return undefined\nf()\n", "jobs.py:2: NameError", ""),
        ("jobs:run", "async def run(:\n", "jobs.py:1: SyntaxError", ""),
        ("jobs:run", "import sys\nsys.exit(3)\n", "called sys.exit(3)", "__main__"),
        ("jobs:run", "run = 5\n", "jobs:run is not an agent but an int", "async def"),
        ("jobs:run", "async def run(x): pass\n", "needs arguments", "without parameters"),
    ],
)
def test_what_cannot_start_says_why(
    project: Project, drive: Drive, target: str, code: str, message: str, hint: str
) -> None:
    """A target that cannot be had is unstartable, with the reason and what to do."""
    project.write(jobs=code)

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        ended = driver.exited("worker")
        assert ended.kind is ExitKind.UNSTARTABLE
        assert message in ended.message
        assert hint in ended.hint

    drive(project.spec(), [agent("worker", target)], scenario)


def test_a_mended_module_is_imported_anew(project: Project, drive: Drive) -> None:
    """After an import error the next launch sees what the user has changed."""
    project.write(jobs="raise RuntimeError('not yet')")

    def scenario(driver: Driver) -> None:
        driver.launch("worker")
        assert driver.exited("worker").kind is ExitKind.UNSTARTABLE
        project.write(
            jobs="""
            import asyncio
            async def run():
                print("it works now")
                await asyncio.sleep(3600)
            """
        )
        driver.up("worker", 2)

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


@pytest.mark.parametrize("policy", list(TaskDeath))
def test_a_background_task_never_dies_unseen(project: Project, drive: Drive, policy: TaskDeath) -> None:
    """A task whose exception nobody takes ends its component, or is logged, as the policy says, although it is still referenced."""
    project.write(
        jobs="""
        import asyncio
        async def background():
            await asyncio.sleep(0)
            raise KeyError("lost")
        async def run():
            kept = asyncio.create_task(background(), name="bookkeeper")
            await asyncio.sleep(3600)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        if policy is TaskDeath.LOG:
            said = driver.line("task 'bookkeeper'")
            assert (said.component, said.level) == ("worker", "ERROR")
            assert not driver.is_over("worker")
            assert driver.down("worker").kind is ExitKind.RETURNED
            return
        ended = driver.exited("worker")
        assert ended.kind is ExitKind.RAISED
        assert "task 'bookkeeper' (background" in ended.message
        assert "jobs.py:5: KeyError: 'lost'" in ended.message
        assert "on_task_death" in ended.hint

    drive(project.spec(), [agent("worker", "jobs:run", on_task_death=policy)], scenario)


@pytest.mark.parametrize(
    "waiting",
    [
        "await asyncio.gather(*tasks, return_exceptions=True)",
        "await asyncio.wait(tasks)",
        "for task in tasks:\n                try: await task\n                except ValueError: pass",
        "[task.add_done_callback(lambda t: t.exception()) for task in tasks]; await asyncio.sleep(1)",
    ],
)
def test_a_task_that_somebody_waits_for_is_that_ones_business(
    project: Project, drive: Drive, waiting: str
) -> None:
    """An exception that is taken, however late, is no death of a background task."""
    project.write(
        jobs=f"""
        import asyncio
        async def fails():
            raise ValueError
        async def slow():
            await asyncio.sleep(1.0)
        async def run():
            tasks = [asyncio.create_task(fails()), asyncio.create_task(slow())]
            {waiting}
            await asyncio.gather(*tasks, return_exceptions=True)
            print("all well")
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.line("all well")
        assert driver.exited("worker").message == "returned"

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_tasks_left_behind_are_named_and_cancelled(project: Project, drive: Drive) -> None:
    """What a component leaves running is named with the line it waits at, and is gone when the end is reported."""
    project.write(
        jobs="""
        import asyncio
        async def forgotten():
            try:
                await asyncio.sleep(3600)
            finally:
                print("forgotten is over")
        async def run():
            asyncio.create_task(forgotten(), name="straggler")
            await asyncio.sleep(3600)
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.down("worker")
        assert any("forgotten is over" in line.message for line in driver.seen.lines)
        said = driver.line("left behind")
        assert "task 'straggler' (forgotten, at jobs.py:5)" in said.message

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_a_stubborn_agent_is_named_and_outlasted(project: Project, drive: Drive) -> None:
    """An agent that swallows the first cancellation ends by force, and the exit says so."""
    project.write(
        jobs="""
        import asyncio
        async def run():
            for attempt in range(2):
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    print("no")
        """
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        driver.stop("worker")
        driver.line("no")
        assert not driver.is_over("worker")
        driver.kill("worker")
        assert driver.exited("worker").killed

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)


def test_output_is_told_apart_by_component(project: Project, drive: Drive) -> None:
    """Whatever prints or logs on behalf of a component, in tasks, threads and executors, carries its name."""
    code = """
        import asyncio, logging, sys
        log = logging.getLogger("the.log")
        def say(how):
            print(f"{ME} by {how}")
        async def sub():
            say("subtask")
        async def run():
            say("coroutine")
            print(f"{ME} on stderr", file=sys.stderr)
            sys.stdout.buffer.write(f"{ME} in bytes\\n".encode())
            log.warning("%s logs", ME, extra={"answer": 42})
            try:
                1 / 0
            except ZeroDivisionError:
                log.exception(f"{ME} caught")
            await asyncio.create_task(sub())
            await asyncio.to_thread(say, "to_thread")
            await asyncio.get_running_loop().run_in_executor(None, say, "run_in_executor")
            asyncio.get_running_loop().call_soon(say, "callback")
            await asyncio.sleep(0)
            print(f"{ME} without end", end="")
    """
    names = ("left", "right")
    for name in names:
        project.write(**{name: f"ME = {name!r}\n{textwrap.dedent(code)}"})

    def scenario(driver: Driver) -> None:
        for name in names:
            driver.launch(name)
        for name in names:
            driver.exited(name)

    seen = drive(project.spec(), [agent(name, f"{name}:run") for name in names], scenario)
    for name in names:
        said = {line.message: line for line in seen.lines if line.message.startswith(name)}
        ways = ("coroutine", "subtask", "to_thread", "run_in_executor", "callback")
        expected = {f"{name} by {way}" for way in ways} | {
            f"{name} on stderr",
            f"{name} in bytes",
            f"{name} logs",
            f"{name} without end",
        }
        assert expected <= said.keys()
        assert {line.component for line in said.values()} == {name}
        logged = said[f"{name} logs"]
        assert (logged.stream, logged.level, logged.logger) == (Stream.LOG, "WARNING", "the.log")
        assert logged.extra == {"answer": 42}
        assert said[f"{name} on stderr"].stream is Stream.STDERR
        assert any(
            message.startswith(f"{name} caught") and "ZeroDivisionError" in message for message in said
        )


def test_restarting_one_leaves_the_others_alone(project: Project, drive: Drive) -> None:
    """A new incarnation of one component does not touch another one."""
    project.write(jobs=IDLE, other=IDLE)

    def scenario(driver: Driver) -> None:
        driver.up("other")
        driver.up("worker")
        for incarnation in (1, 2):
            driver.down("worker", incarnation)
            driver.up("worker", incarnation + 1)
        assert not driver.is_over("other")
        driver.down("other")

    seen = drive(project.spec(), [agent("worker", "jobs:run"), agent("other", "other:run")], scenario)
    assert kinds(seen, "other") == ["Launched", "Started", "Exited"]
    assert [
        event.incarnation
        for event in seen.events
        if isinstance(event, Started) and event.component == "worker"
    ] == [1, 2, 3]


def test_unknown_and_ended_incarnations_are_no_error(project: Project, drive: Drive) -> None:
    """Stopping or killing what is not there does nothing."""
    project.write(jobs=IDLE)

    def scenario(driver: Driver) -> None:
        driver.stop("nobody", 4)
        driver.up("worker")
        driver.kill("worker", 7)
        driver.down("worker")
        driver.stop("worker")
        driver.kill("worker")
        driver.up("worker", 2)
        driver.down("worker", 2)

    seen = drive(project.spec(), [agent("worker", "jobs:run")], scenario)
    assert kinds(seen, "worker").count("Exited") == 2


def test_closing_ends_what_runs(project: Project, drive: Drive) -> None:
    """A host that is closed reports the end of everything it ran."""
    project.write(jobs=IDLE, other=IDLE)
    seen = drive(
        project.spec(),
        [agent("worker", "jobs:run"), agent("other", "other:run")],
        lambda driver: (driver.up("worker"), driver.up("other")),
    )
    assert kinds(seen, "worker")[-1] == kinds(seen, "other")[-1] == "Exited"


OBJECT = """
    import asyncio
    class Agent:
        async def start(self):
            print("start")
            self.task = asyncio.create_task(self.loop(), name="inner")
        async def loop(self):
            {loop}
        async def stop(self):
            print("stop")
            self.task.cancel()
    instance = Agent()
    def make():
        return Agent()
    class Sync:
        def start(self):
            print("start")
        def stop(self):
            print("stop")
    class ForEver:
        async def start(self):
            print("start")
            self.over = asyncio.Event()
            await self.over.wait()
        async def stop(self):
            print("stop")
            self.over.set()
"""


@pytest.mark.parametrize("target", ["Agent", "instance", "make", "Sync", "ForEver"])
def test_objects_with_start_and_stop(project: Project, drive: Drive, target: str) -> None:
    """Classes, instances and factories of objects with start() and stop(), plain or async, are agents."""
    project.write(jobs=OBJECT.replace("{loop}", "await asyncio.sleep(3600)"))

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert driver.down("worker").kind is ExitKind.RETURNED
        assert [line.message for line in driver.seen.lines] == ["start", "stop"]

    drive(project.spec(), [agent("worker", f"jobs:{target}", factory=target == "make")], scenario)


@pytest.mark.parametrize(
    ("loop", "kind", "message"),
    [
        ("raise ValueError('gone')", ExitKind.RAISED, "jobs.py:8: ValueError: gone"),
        ("await asyncio.sleep(0.01)", ExitKind.RETURNED, "returned"),
    ],
)
def test_an_object_ends_with_the_task_it_started(
    project: Project, drive: Drive, loop: str, kind: ExitKind, message: str
) -> None:
    """When the task that start() left behind ends, so does the agent."""
    project.write(
        jobs=OBJECT.replace("{loop}", loop if "raise" not in loop else f"await asyncio.sleep(0.01); {loop}")
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        ended = driver.exited("worker")
        assert ended.kind is kind
        assert message in ended.message

    drive(project.spec(), [agent("worker", "jobs:Agent", on_task_death=TaskDeath.LOG)], scenario)


LAUNCHER = """
    import asyncio
    class AgentLauncher:
        @staticmethod
        def available():
            return ["writer", "editor"]
        def load_agents(self, names):
            self.names = names
        async def start_all(self):
            self.tasks = [asyncio.create_task(self.work(name)) for name in self.names]
        async def work(self, name):
            print(f"working as {name}")
            await asyncio.sleep(3600)
        async def stop_all(self):
            for task in self.tasks:
                task.cancel()
"""


def test_agents_of_a_launcher_are_components(project: Project, drive: Drive) -> None:
    """Each agent of an AgentLauncher runs by itself; an unknown one names those there are."""
    project.write(crew=LAUNCHER)
    components = [
        ComponentSpec(f"crew.{name}", Kind.AGENTS, "crew:AgentLauncher", agent=name)
        for name in ("writer", "editor", "wrter")
    ]

    def scenario(driver: Driver) -> None:
        for name in ("writer", "editor"):
            driver.up(f"crew.{name}")
            assert driver.line(f"working as {name}").component == f"crew.{name}"
        driver.launch("crew.wrter")
        ended = driver.exited("crew.wrter")
        assert ended.kind is ExitKind.UNSTARTABLE
        assert ended.hint.startswith("did you mean writer?")
        driver.down("crew.writer")
        assert not driver.is_over("crew.editor")

    drive(project.spec(), components, scenario)


def test_launched_tells_the_process(project: Project, drive: Drive) -> None:
    """The PID that is reported is that of the process which runs the component."""
    project.write(
        jobs="import asyncio, os\nasync def run():\n    print('I am', os.getpid())\n    await asyncio.sleep(3600)"
    )

    def scenario(driver: Driver) -> None:
        driver.up("worker")
        assert driver.line("I am").message == f"I am {driver.event(Launched, 'worker').pid}"

    drive(project.spec(), [agent("worker", "jobs:run")], scenario)

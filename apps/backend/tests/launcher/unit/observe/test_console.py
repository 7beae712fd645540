"""The console of ``launcher up``, driven by the real decisions and compared line by line."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from launcher.core.plan import build
from launcher.core.view import View
from launcher.model.effects import Finish
from launcher.model.events import (
    BecameReady,
    DependencyChecked,
    Event,
    Exited,
    GraceOver,
    Launched,
    RestartRequested,
    Scaled,
    ShutdownRequested,
    StartAllRequested,
    Started,
)
from launcher.model.logs import LogLine, Stream
from launcher.model.spec import (
    Bind,
    ComponentSpec,
    DependencySpec,
    Kind,
    LauncherSpec,
    Mode,
    Restart,
    RestartPolicy,
)
from launcher.model.state import Exit, ExitKind
from launcher.observe.console import Console
from launcher.testing import FleetRunner

if TYPE_CHECKING:
    from launcher.core.plan import Plan
    from launcher.model.events import Transition


@dataclass
class Recording:
    """A screen that remembers."""

    redraws: bool = False
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    last: str = ""
    closed: bool = False

    def write(self, text: str, *, error: bool = False, droppable: bool = False) -> None:
        assert droppable is not error
        (self.err if error else self.out).extend(text.splitlines())

    def status(self, text: str) -> None:
        self.last = text

    def close(self, timeout: float = 1.0) -> None:
        self.closed = True


@dataclass
class Interrupted(Recording):
    """A screen in the middle of whose first line somebody on the same thread prints, as a finaliser does that the collector runs."""

    console: Console | None = None

    def write(self, text: str, *, error: bool = False, droppable: bool = False) -> None:
        console, self.console = self.console, None
        if console is not None:
            console.on_line(LogLine(0.0, "api", Stream.STDOUT, "finalised", 1))
        super().write(text, error=error, droppable=droppable)


@dataclass
class Entry:
    transition: Transition


class Stage:
    """A console that is told what a real fleet does, on told time."""

    def __init__(
        self, plan: Plan, *, redraws: bool = False, color: bool = False, quiet: bool = False
    ) -> None:
        self.screen = Recording(redraws=redraws)
        self.console = Console(plan, screen=self.screen, color=color, quiet=quiet)
        self.fleet = FleetRunner(plan)
        self.told = 0

    def send(self, *events: Event) -> None:
        self.fleet.send(*events)
        self._tell()

    def wait(self, seconds: float) -> None:
        self.fleet.wait(seconds)
        self._tell()

    def _tell(self) -> None:
        for transition in self.fleet.transitions[self.told :]:
            self.console.on_entry(Entry(transition))
        self.told = len(self.fleet.transitions)
        self.console.tick(self.view())

    def view(self) -> View:
        now = self.fleet.clock()
        return View(self.fleet.plan, self.fleet.fleet, now, 1000.0 + now, 1000.0, 77, "0")

    def line(
        self,
        component: str,
        message: str,
        level: str = "",
        stream: Stream = Stream.STDOUT,
        incarnation: int = 1,
    ) -> None:
        self.console.on_line(LogLine(0.0, component, stream, message, incarnation, level))


def newsdesk() -> Plan:
    api = ComponentSpec("api", Kind.ASGI, "api.main:app", bind=Bind(8000), depends_on=("db", "cache"))
    db = ComponentSpec("db", Kind.COMMAND, command=("serve",), bind=Bind(5432), console=False)
    spec = LauncherSpec(
        name="newsdesk",
        root="/srv/newsdesk",
        components=(api, db),
        dependencies=(DependencySpec("cache", "redis://cache"),),
        mode=Mode.MULTI,
        log_dir="/srv/newsdesk/logs",
    )
    return build(spec)


def test_a_start_and_a_stop_line_by_line() -> None:
    """A whole run without a terminal: progress as lines, one summary, the stop with who is waited for."""
    stage = Stage(newsdesk())
    stage.send(StartAllRequested())
    stage.send(Launched("db", 1, 4001))
    stage.wait(1.5)
    stage.send(Started("db", 1))
    stage.wait(9.0)
    stage.send(DependencyChecked("cache", ok=True))
    stage.send(Launched("api", 1, 4002))
    stage.line("api", "listening", "INFO", Stream.LOG)
    stage.wait(0.5)
    stage.send(Started("api", 1))
    stage.send(ShutdownRequested("SIGINT"))
    stage.wait(0.6)
    stage.send(Exited("api", 1, Exit(ExitKind.RETURNED, "stopped")))
    stage.wait(0.1)
    stage.send(Exited("db", 1, Exit(ExitKind.RETURNED, "stopped")))
    stage.console.finished(stage.view(), Finish(0, "SIGINT"))
    assert stage.screen.err == [
        "· db        is starting",
        "✓ db        ready 1.5 s      tcp://127.0.0.1:5432   log /srv/newsdesk/logs/db.jsonl",
        "still waiting for: cache 10 s",
        "· api       is starting",
        "✓ api       ready 0.5 s      http://127.0.0.1:8000  log /srv/newsdesk/logs/api.jsonl",
        "",
        "newsdesk is up after 11 s",
        "  mode  multi (as asked for): 2 in processes of their own",
        "  api   http://127.0.0.1:8000",
        "  db    tcp://127.0.0.1:5432",
        "  logs  /srv/newsdesk/logs",
        "  stop  Ctrl-C, or in another terminal: launcher down",
        "  more  launcher status · launcher logs -f api · launcher restart api",
        "stopping newsdesk: SIGINT",
        "still waiting for: api (0.6 s of 10 s)",
        "■ api       stopped after 0.6 s",
        "■ db        stopped after 0.1 s",
        "newsdesk has stopped after 0.7 s",
    ]
    assert stage.screen.out == ["  api      | INFO listening"]
    assert stage.screen.closed


def test_one_line_is_redrawn_on_a_terminal() -> None:
    """On a terminal the last line says what is waited for, and no line is spent on it."""
    stage = Stage(newsdesk(), redraws=True)
    stage.send(StartAllRequested())
    stage.wait(1.2)
    assert stage.screen.last == "waiting for cache 1.2 s · db 1.2 s"
    assert stage.screen.err == []
    stage.send(ShutdownRequested("SIGTERM"))
    assert stage.screen.last == "stopping: db"


def test_a_failure_shows_message_hint_and_last_lines() -> None:
    """A failed start says why, what to do, what was written last, and where the rest is; no summary claims success."""
    stage = Stage(newsdesk())
    stage.send(StartAllRequested())
    stage.line("db", "reading configuration")
    stage.line("db", "fatal: \x1b[2Jno space")
    stage.send(Exited("db", 1, Exit(ExitKind.UNSTARTABLE, "cannot run serve: not found", "install it")))
    stage.console.finished(stage.view(), Finish(1, "db failed to start"))
    assert stage.screen.err[1:] == [
        "✗ db        failed: cannot run serve: not found",
        "    hint: install it",
        "    | reading configuration",
        "    | fatal: no space",
        "    log: /srv/newsdesk/logs/db.jsonl, report: launcher crash db",
        "stopping newsdesk: db failed to start",
        "newsdesk has stopped after 0 ms: db failed to start",
    ]


def test_a_crash_says_that_it_is_started_again() -> None:
    """A component that dies later is announced with its reason, and its second life with its number."""
    only = ComponentSpec("web", Kind.COMMAND, command=("serve",))
    stage = Stage(build(LauncherSpec("web", "/srv", (only,), mode=Mode.MULTI, log_dir="/srv/logs")))
    stage.send(StartAllRequested(), Started("web", 1))
    stage.wait(2.0)
    del stage.screen.err[:]
    stage.send(Exited("web", 1, Exit(ExitKind.EXITED, "exited with code 3", code=3)))
    stage.wait(1.0)
    assert stage.screen.err == [
        "! web       exited with code 3; it is started again",
        "· web       is starting again (incarnation 2)",
    ]


def test_a_killed_component_is_named_at_the_end() -> None:
    """What ignored the stop is named, while it is waited for and after."""
    only = ComponentSpec("web", Kind.COMMAND, command=("serve",))
    stage = Stage(build(LauncherSpec("web", "/srv", (only,), mode=Mode.MULTI, log_dir="/srv/logs")))
    stage.send(StartAllRequested(), Started("web", 1))
    del stage.screen.err[:]
    stage.send(ShutdownRequested("SIGTERM"))
    stage.wait(4.0)
    stage.send(GraceOver("web", 1))
    stage.wait(5.0)
    stage.send(Exited("web", 1, Exit(ExitKind.SIGNALLED, "ended by SIGKILL", signal=9, killed=True)))
    stage.console.finished(stage.view(), Finish(75, "SIGTERM"))
    assert stage.screen.err == [
        "stopping web: SIGTERM",
        "still waiting for: web (4.0 s of 10 s)",
        "still waiting for: web (9.0 s, killed, not gone yet)",
        "■ web       stopped after 9.0 s (killed)",
        "web has stopped after 9.0 s: SIGTERM (had to be killed: web)",
    ]


def test_a_partial_start_is_called_that() -> None:
    """With keep_going the summary names what failed."""
    never = Restart(policy=RestartPolicy.NEVER)
    good = ComponentSpec("good", Kind.COMMAND, command=("serve",))
    bad = ComponentSpec("bad", Kind.COMMAND, command=("serve",), restart=never)
    spec = LauncherSpec("pair", "/srv", (good, bad), mode=Mode.MULTI, log_dir="/srv/logs", keep_going=True)
    stage = Stage(build(spec), quiet=True)
    stage.send(StartAllRequested(), Started("good", 1))
    stage.send(Exited("bad", 1, Exit(ExitKind.EXITED, "exited with code 1", code=1)))
    assert "pair is up in part after 0 ms; failed: bad" in stage.screen.err


def test_components_off_the_console_are_heard_when_they_fail() -> None:
    """Only errors of a component with console = false are shown; what nobody owns is shown as the launcher's."""
    stage = Stage(newsdesk())
    stage.line("db", "checkpoint")
    stage.line("db", "checkpoint", "WARNING", Stream.LOG)
    stage.line("db", "corrupt", "ERROR", Stream.LOG)
    stage.line("", "from a thread of nobody")
    stage.line("api", "first\nsecond")
    assert stage.screen.out == [
        "  db       | ERROR corrupt",
        "  launcher | from a thread of nobody",
        "  api      | first",
        "  api      | second",
    ]


def test_quiet_shows_no_lines_and_no_progress() -> None:
    """--quiet leaves the failures and the summary."""
    stage = Stage(newsdesk(), quiet=True)
    stage.send(
        StartAllRequested(), Started("db", 1), DependencyChecked("cache", ok=True), BecameReady("db", 1)
    )
    stage.line("api", "hello")
    assert stage.screen.out == []
    assert stage.screen.err == []


def test_colour_only_when_asked_for() -> None:
    """Without colour there is no escape character at all; with it names and marks have one."""
    for color in (False, True):
        stage = Stage(newsdesk(), color=color)
        stage.send(StartAllRequested(), Started("db", 1))
        stage.line("api", "\x1b[32mgreen\x1b[0m", "ERROR", Stream.LOG)
        assert ("\x1b" in "".join(stage.screen.err + stage.screen.out)) is color


def test_a_broken_screen_does_no_harm() -> None:
    """The console never raises into the supervisor, whatever the screen does."""

    class Broken(Recording):
        def write(self, text: str, *, error: bool = False, droppable: bool = False) -> None:
            raise OSError(5, "Input/output error")

    stage = Stage(newsdesk())
    stage.console._screen = Broken()
    stage.send(StartAllRequested())
    stage.line("api", "hello")
    stage.console.finished(stage.view(), Finish(0, ""))


def test_a_finaliser_may_print_while_the_console_writes() -> None:
    """What the collector collects in the middle of the console's work may print: nothing waits for itself, both lines are shown."""
    screen = Interrupted()
    plan = build(
        LauncherSpec(name="shop", root="/", components=(ComponentSpec("api", Kind.COMMAND, command=("x",)),))
    )
    screen.console = console = Console(plan, screen=screen)
    line = LogLine(0.0, "api", Stream.STDOUT, "printed", 1)
    thread = threading.Thread(target=console.on_line, args=(line,), daemon=True)
    thread.start()
    thread.join(10)
    assert [line.split(" | ")[1] for line in screen.out] == ["finalised", "printed"]


def replicated() -> Plan:
    """Return the plan of one server that may overlap."""
    api = ComponentSpec(
        "api", Kind.ASGI, "api.main:app", bind=Bind(8000), restart=Restart(RestartPolicy.NEVER)
    )
    spec = LauncherSpec("web", "/srv/web", (api,), mode=Mode.MULTI, log_dir="/srv/web/logs")
    return build(spec)


def restarting() -> Stage:
    """Return a stage on which a successor has just been launched."""
    stage = Stage(replicated())
    stage.send(StartAllRequested(), Started("api", 1))
    stage.screen.err.clear()
    stage.send(RestartRequested("api"), Launched("api", 2, 4002))
    return stage


def test_a_replacement_line_by_line() -> None:
    """That a successor starts, that it is ready, and that the old one had to be killed, if it had."""
    stage = restarting()
    stage.wait(2.0)
    stage.send(Started("api", 2))
    stage.wait(10.0)
    stage.send(Exited("api", 1, Exit(ExitKind.SIGNALLED, "killed by SIGKILL", signal=9)))
    assert stage.screen.err == [
        "· api       is being restarted: incarnation 2 is starting",
        "✓ api       ready 2.0 s      http://127.0.0.1:8000  log /srv/web/logs/api.jsonl",
        "! api       incarnation 1 had to be killed",
    ]


def test_a_replacement_that_fails_is_told_with_its_last_words() -> None:
    """The reason, the hint and the end of its own output; and that nothing has changed."""
    stage = restarting()
    stage.line("api", "Traceback", incarnation=2)
    stage.line("api", "GET / 200", incarnation=1)
    stage.send(
        Exited("api", 2, Exit(ExitKind.UNSTARTABLE, "no module named nowhere", hint="check the target"))
    )
    assert stage.screen.err[1:] == [
        "✗ api       the restart failed: no module named nowhere; it goes on as it was",
        "    hint: check the target",
        "    | Traceback",
        "    log: /srv/web/logs/api.jsonl, report: launcher crash api",
    ]


def test_an_old_one_that_dies_during_its_replacement_is_told() -> None:
    """The successor becomes the one that is waited for."""
    stage = restarting()
    stage.send(Exited("api", 1, Exit(ExitKind.RAISED, "ValueError: boom")))
    assert stage.screen.err[1:] == ["· api       ValueError: boom; its successor is starting already"]


def test_replicas_that_come_later_are_shown_like_the_first() -> None:
    """They were not there when the console began."""
    stage = Stage(replicated())
    stage.send(StartAllRequested(), Started("api", 1))
    stage.screen.err.clear()
    stage.send(Scaled("api", 2), Started("api.2", 1))
    stage.line("api.2", "listening")
    assert stage.screen.err == [
        "· api.2     is starting",
        "✓ api.2     ready 0 ms       http://127.0.0.1:8000  log /srv/web/logs/api.2.jsonl",
    ]
    assert stage.screen.out == ["  api.2    | listening"]

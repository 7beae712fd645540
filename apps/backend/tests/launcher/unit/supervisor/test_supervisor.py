"""The one loop: events in from anywhere, effects performed, changes published, nobody left waiting."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from launcher.core import fleet
from launcher.model.events import (
    ShutdownForced,
    ShutdownRequested,
    StartRequested,
    StopRequested,
)
from launcher.model.spec import Bind, ComponentSpec, DependencySpec, Kind, Probe, ProbeKind
from launcher.model.state import ExitKind, FleetState, Phase
from launcher.probes.runner import Probes
from launcher.supervisor.journal import Entry, Journal
from launcher.supervisor.supervisor import Supervisor
from launcher.testing import FIRST_PID, Behaviour, FakeHost
from tests.launcher.unit.core.plans import CRASH, RETURNED, component, plan_of
from tests.launcher.unit.supervisor.backend import AT_ONCE, PATIENCE, Backend, running

if TYPE_CHECKING:
    from launcher.core.view import View
    from launcher.hosts.base import Host


def settled(fleet: FleetState) -> bool:
    """Whether the start is over."""
    return fleet.settled


async def test_a_backend_comes_up_in_order_and_goes_down_in_reverse() -> None:
    """Hosts are asked in the order of the plan, and the run ends when all is down."""
    async with running(component("api", "db"), component("db")) as backend:
        await backend.until(settled)
        backend.supervisor.submit(ShutdownRequested("a test"))
        assert await backend.end() == 0
        assert backend.host.calls == [
            *(("launch", "db", 1), ("launch", "api", 1)),
            *(("request_stop", "api", 1), ("request_stop", "db", 1)),
        ]
        assert backend.supervisor.finish.reason == "a test"


async def test_the_exit_code_is_that_of_the_fleet() -> None:
    """A backend that has nothing left to do ends by itself, with what it came to."""
    async with running(
        component("seed", oneshot=True), behaviours={"seed": [Behaviour(ends=RETURNED)]}
    ) as backend:
        assert await backend.end() == 0
    async with running(
        component("api"), component("db"), behaviours={"api": [Behaviour(ends=RETURNED)]}, keep_going=True
    ) as backend:
        await backend.until_phase("api", Phase.BACKOFF)
    assert backend.ended.result() == 130


async def test_every_change_is_published_once_and_in_order() -> None:
    """The journal numbers all transitions without gaps; their phases join up."""
    async with running(component("api", restart=AT_ONCE)) as backend:
        await backend.until(settled)
        backend.host.end("api", CRASH)
        await backend.until_phase("api", Phase.READY, 2)
        entries = backend.journal.entries
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert [str(entry.transition.after) for entry in entries] == [
        *("waiting", "starting", "ready"),
        *("waiting", "starting", "ready"),
    ]


async def test_a_view_shows_this_moment() -> None:
    """A view carries the plan, the state, both clocks and who runs it, and may be taken from any thread."""
    async with running(component("api")) as backend:
        await backend.until(settled)
        view = await asyncio.to_thread(backend.supervisor.view)
        assert view.fleet.components["api"].phase is Phase.READY
        assert view.fleet.components["api"].pid == FIRST_PID
        assert view.plan is backend.supervisor.plan
        assert view.started_at <= view.wall
        assert view.version


# ---- effects -----------------------------------------------------------------------------------------------------------------------


async def test_a_start_that_takes_too_long_is_noticed() -> None:
    """The start deadline is a real timer."""
    async with running(
        component("api", start_timeout=0.01, restart=AT_ONCE),
        behaviours={"api": [Behaviour(starts=False), Behaviour()]},
    ) as backend:
        await backend.until(settled)
        state = backend.state("api")
        assert (state.phase, state.incarnation) == (Phase.READY, 2)
        assert state.last_exit is not None
        assert state.last_exit.kind is ExitKind.UNHEALTHY


async def test_what_ignores_the_stop_is_killed() -> None:
    """The grace is a real timer, too."""
    async with running(
        component("api", stop_grace=0.01), behaviours={"api": [Behaviour(obeys_stop=False)]}
    ) as backend:
        await backend.until(settled)
        await asyncio.wait_for(backend.control.stop("api", PATIENCE), PATIENCE)
        assert backend.host.calls[-1] == ("kill", "api", 1)
        ended = backend.state("api").last_exit
        assert ended is not None
        assert ended.killed


async def test_a_probe_is_asked_and_stopped() -> None:
    """Readiness comes from the probe where there is one, and asking ends with the incarnation."""
    probe = Probe(ProbeKind.ALIVE, seconds=0.0)
    async with running(component("api", ready=probe)) as backend:
        await backend.until_phase("api", Phase.READY)
        assert [entry.transition.event for entry in backend.journal.entries][-1] == "BecameReady"
        await backend.control.stop("api", PATIENCE)
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert not {name for name in names if name.startswith("probe")}


async def test_a_dependency_is_asked_until_it_is_there() -> None:
    """What waits for a service starts when the service accepts connections, and not before."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    service = DependencySpec("redis", f"tcp://127.0.0.1:{port}", interval=0.02)
    async with running(component("api", "redis"), dependencies=(service,)) as backend:
        await backend.until(lambda fleet: fleet.dependencies["redis"].up is False)
        assert backend.state("api").phase is Phase.WAITING
        async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port):
            await backend.until_phase("api", Phase.READY)


# ---- what fails and must not take the supervisor with it ---------------------------------------------------------------------------


async def test_a_host_that_cannot_launch(caplog: pytest.LogCaptureFixture) -> None:
    """A launch that raises is an end of that incarnation, explained and counted; the others do not notice."""
    refusal = OSError("too many open files")
    async with running(
        component("api", restart=AT_ONCE),
        component("db"),
        behaviours={"api": [Behaviour(refusal=refusal), Behaviour()]},
    ) as backend:
        await backend.until(settled)
        state = backend.state("api")
        assert (state.phase, state.incarnation, state.total_restarts) == (Phase.READY, 2, 1)
        assert state.last_exit is not None
        assert state.last_exit.message == "cannot launch: OSError: too many open files"
    assert "cannot launch api" in caplog.text


class Clumsy(FakeHost):
    """A host that cannot ask politely."""

    def request_stop(self, component: str, incarnation: int) -> None:
        super().request_stop("nobody", incarnation)
        raise PermissionError(f"not allowed to signal {component}")


async def test_a_host_that_cannot_ask_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    """A request to stop that raises is followed by the kill after the grace, like one that was ignored."""
    async with running(
        component("api", stop_grace=0.01), component("db", stop_grace=0.01), host=Clumsy
    ) as backend:
        await backend.until(settled)
        await backend.control.stop("api", PATIENCE)
        assert ("kill", "api", 1) in backend.host.calls
        assert backend.state("db").phase is Phase.READY
    assert "not allowed to signal api" in caplog.text


async def test_a_reader_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A subscriber that raises is logged, the next one gets every entry all the same."""
    seen: list[Entry] = []

    def bad(_entry: Entry) -> None:
        raise ValueError("a bad reader")

    async with running(component("api"), component("db", "api")) as backend:
        backend.journal.subscribe(bad)
        backend.journal.subscribe(seen.append)
        await backend.until(settled)
        await backend.control.restart("db", PATIENCE)
        assert backend.state("db").phase is Phase.READY
        assert tuple(seen) == backend.journal.entries[-len(seen) :]
        assert seen[-1].transition.after is Phase.READY
    assert "a bad reader" in caplog.text


async def test_hosts_and_probes_that_cannot_be_made_end_the_run() -> None:
    """What fails before anything was started is an error of the launcher itself."""

    def connect() -> tuple[object, object]:
        raise RuntimeError("no hosts")

    supervisor = Supervisor(plan_of(component("api")), Journal(), connect)  # type: ignore[arg-type]  # it never returns
    with pytest.raises(RuntimeError, match="no hosts"):
        await supervisor.run()


# ---- events from anywhere -------------------------------------------------------------------------------------------------------------


async def test_events_come_from_any_thread() -> None:
    """Many threads may submit at once; nothing is lost and no two lives overlap."""
    components = [component(f"agents.{number}", restart=AT_ONCE) for number in range(4)]
    async with running(*components) as backend:
        await backend.until(settled)
        ready = threading.Barrier(4)

        def stop_and_start(name: str) -> None:
            ready.wait(PATIENCE)
            backend.supervisor.submit(StopRequested(name))
            backend.supervisor.submit(StartRequested(name))

        await asyncio.gather(*(asyncio.to_thread(stop_and_start, spec.name) for spec in components))
        for spec in components:
            await backend.until_phase(spec.name, Phase.READY, 2)
        launches = [call for call in backend.host.calls if call[0] == "launch"]
        assert len(launches) == len(set(launches)) == 8


async def test_events_of_one_thread_keep_their_order() -> None:
    """The last wish counts, however quickly wishes follow each other."""
    async with running(component("api")) as backend:
        await backend.until(settled)

        def waver() -> None:
            for _ in range(100):
                backend.supervisor.submit(StopRequested("api"))
                backend.supervisor.submit(StartRequested("api"))
            backend.supervisor.submit(StopRequested("api"))

        await asyncio.to_thread(waver)
        await backend.control.wait("api", "stopped", PATIENCE)
        assert backend.state("api").phase is Phase.STOPPED


async def test_events_before_the_start_follow_it() -> None:
    """A signal that arrives before the loop runs, or while hosts are being made, is not lost."""
    host = FakeHost(lambda event: supervisor.submit(event))  # noqa: PLW0108 (the supervisor does not exist yet)

    def host_of(_name: str) -> Host:
        return host

    def connect() -> tuple[object, Probes]:
        supervisor.submit(ShutdownRequested("while connecting"))
        return host_of, Probes(supervisor.submit)

    supervisor = Supervisor(plan_of(component("api"), component("db")), Journal(), connect)  # type: ignore[arg-type]  # object is a function
    supervisor.submit(StopRequested("db"))
    assert await asyncio.wait_for(supervisor.run(), PATIENCE) == 0
    assert supervisor.finish.reason == "while connecting"
    assert host.calls == [
        *(("launch", "api", 1), ("launch", "db", 1), ("request_stop", "db", 1), ("request_stop", "api", 1)),
    ]


class Silent(FakeHost):
    """A host that reports nothing by itself, so that nothing else wakes the supervisor."""

    def launch(self, spec: ComponentSpec, incarnation: int) -> None:
        self.calls.append(("launch", spec.name, incarnation))
        self.lives[spec.name, incarnation] = Behaviour()


async def test_events_before_the_start_need_no_other_event_to_be_seen() -> None:
    """An early signal is taken up with the start, not with whatever happens next."""
    host = Silent(lambda event: supervisor.submit(event))  # noqa: PLW0108 (the supervisor does not exist yet)
    supervisor = Supervisor(
        plan_of(component("api")), Journal(), lambda: (lambda _name: host, Probes(supervisor.submit))
    )
    supervisor.submit(ShutdownRequested("early"))
    ended = asyncio.get_running_loop().create_task(supervisor.run())
    assert await supervisor.until(lambda fleet: fleet.draining, PATIENCE)
    assert await asyncio.wait_for(ended, PATIENCE) == 0
    assert host.calls == [("launch", "api", 1), ("request_stop", "api", 1)]


def test_events_after_the_end_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    """A host may report when nobody is left to decide: no error, no effect."""

    async def brief() -> Backend:
        async with running(component("api")) as backend:
            await backend.until(settled)
        return backend

    backend = asyncio.run(brief())
    before = backend.supervisor.view().fleet
    with caplog.at_level(logging.DEBUG):
        backend.supervisor.submit(StartRequested("api"))
    assert backend.supervisor.view().fleet is before
    assert "dropped after the end" in caplog.text


# ---- waiting --------------------------------------------------------------------------------------------------------------------------


async def test_until_returns_at_once_when_it_is_so() -> None:
    """What is so already need not be waited for, even without time."""
    async with running(component("api")) as backend:
        await backend.until(settled)
        assert await backend.supervisor.until(settled, 0.0)


async def test_until_gives_up_in_time() -> None:
    """What does not come within the time is false, without an error."""
    async with running(component("api")) as backend:
        assert not await backend.supervisor.until(lambda _fleet: False, 0.01)


async def test_until_wakes_everybody_for_each_change() -> None:
    """Several who wait for different things are all told, each when it is so."""
    names = ("a", "b", "c")
    starts_late = {name: [Behaviour(starts=False)] for name in names}
    async with running(*(component(name) for name in names), behaviours=starts_late) as backend:
        waits = [
            asyncio.get_running_loop().create_task(backend.until_phase(name, Phase.READY)) for name in names
        ]
        await backend.until(lambda _fleet: len(backend.host.alive) == 3)
        for number, name in enumerate(reversed(names), start=1):
            backend.host.start(name)
            await asyncio.wait_for(waits[names.index(name)], PATIENCE)
            assert sum(wait.done() for wait in waits) == number


async def test_nobody_waits_beyond_the_end() -> None:
    """When the supervisor has ended, those who wait for a state are let go, with or without a time limit."""
    async with running(component("api")) as backend:
        waiting = asyncio.get_running_loop().create_task(backend.supervisor.until(lambda _fleet: False))
        await backend.until(settled)
        backend.supervisor.submit(ShutdownRequested("a test"))
        await backend.end()
        assert await asyncio.wait_for(waiting, PATIENCE) is False
        assert await asyncio.wait_for(backend.supervisor.until(lambda _fleet: False), PATIENCE) is False


async def test_an_event_applied_at_the_end_is_not_waited_for() -> None:
    """Whoever applies an event while or after the supervisor ends gets an answer all the same."""
    async with running(component("api")) as backend:
        await backend.control.stop("api", PATIENCE)
        apply = backend.supervisor.apply
        both = asyncio.gather(apply(ShutdownRequested("a test")), apply(StartRequested("api")))
        await asyncio.wait_for(both, PATIENCE)
        await backend.end()
        await asyncio.wait_for(apply(StartRequested("api")), PATIENCE)
        assert backend.state("api").phase is Phase.STOPPED


async def test_somebody_who_stopped_waiting_is_no_trouble() -> None:
    """An applied event whose sender was cancelled is decided like any other."""
    async with running(component("api")) as backend:
        await backend.until(settled)
        sender = asyncio.get_running_loop().create_task(backend.supervisor.apply(StopRequested("api")))
        await asyncio.sleep(0)
        sender.cancel()
        await backend.until_phase("api", Phase.STOPPED)


async def test_what_cannot_be_ended_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forced stop ends the run even when a component survives the kill."""
    monkeypatch.setattr(fleet, "FORCED_PATIENCE", 0.01)
    immortal = Behaviour(obeys_stop=False, obeys_kill=False)
    async with running(component("api"), behaviours={"api": [immortal]}) as backend:
        await backend.until(settled)
        backend.supervisor.submit(ShutdownForced("a test"))
        assert await backend.end() == 130
        assert backend.supervisor.finish.reason == "gave up waiting for api to end"


async def test_followers_see_every_state_before_its_consequences(caplog: pytest.LogCaptureFixture) -> None:
    """A follower is shown each state before anything is done about it; one that fails disturbs nobody."""
    seen: list[tuple[Phase, int]] = []
    async with running(component("api")) as backend:

        def follow(view: View) -> None:
            seen.append((view.fleet.components["api"].phase, len(backend.host.calls)))
            raise ValueError("a follower's own fault")

        await backend.until(settled)
        launched = len(backend.host.calls)
        backend.supervisor.follow(follow)
        backend.supervisor.submit(StopRequested("api"))
        await backend.until_phase("api", Phase.STOPPED)
    assert seen[:2] == [(Phase.STOPPING, launched), (Phase.STOPPED, launched + 1)]
    assert "a follower of the supervisor failed" in caplog.text


async def test_a_view_knows_since_when_nobody_serves() -> None:
    """The time is counted from the start of the launcher until the component serves, and anew from its end."""
    api = component("api", kind=Kind.ASGI, bind=Bind(8000))
    async with running(api, component("worker"), hold=0.0) as backend:
        assert set(backend.supervisor.view().unserved) == {"api"}
        assert backend.supervisor.view().held("api")
        await backend.until(settled)
        assert backend.supervisor.view().unserved == {}
        backend.supervisor.submit(StopRequested("api"))
        await backend.until_phase("api", Phase.STOPPED)
        assert backend.supervisor.view().held("api")
        assert not backend.supervisor.view().held("worker")

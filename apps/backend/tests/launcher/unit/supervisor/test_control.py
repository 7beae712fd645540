"""Commands return when their state is reached, and say why when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from launcher.core import fleet
from launcher.errors import CommandFailed, ExitCode, LauncherError, UnknownComponent, UsageError, WaitTimeout
from launcher.model.events import ShutdownForced, ShutdownRequested
from launcher.model.state import Exit, ExitKind, Phase
from launcher.supervisor.control import Control
from launcher.testing import Behaviour
from tests.launcher.unit.core.plans import CRASH, NEVER, RETURNED, STOPPED, component
from tests.launcher.unit.supervisor.backend import AT_ONCE, PATIENCE, Backend, running

SHORT = 0.02
"""Seconds for something that never comes."""

LATE = [Behaviour(starts=False)]
"""Starts when the test says so."""


def begun(command: Awaitable[None]) -> asyncio.Future[None]:
    """Begin a command."""
    return asyncio.ensure_future(command)


async def refusal(command: Awaitable[None], kind: type[LauncherError]) -> tuple[str, str]:
    """Return message and hint of a command that does not succeed."""
    with pytest.raises(kind) as caught:
        await asyncio.wait_for(command, PATIENCE)
    return caught.value.message, caught.value.hint


async def up(backend: Backend) -> Control:
    """Wait for the end of the start."""
    await backend.until(lambda fleet: fleet.settled)
    return backend.control


# ---- start -------------------------------------------------------------------------------------------------------------------------


async def test_start_returns_when_it_is_ready() -> None:
    """Not when it was asked for, and not when it is starting."""
    async with running(component("api"), behaviours={"api": [Behaviour(), *LATE]}) as backend:
        control = await up(backend)
        await control.stop("api", PATIENCE)
        start = begun(control.start("api", PATIENCE))
        await backend.until_phase("api", Phase.STARTING)
        assert not start.done()
        backend.host.start("api")
        await asyncio.wait_for(start, PATIENCE)
        assert backend.state("api").phase is Phase.READY


async def test_start_of_what_is_ready_returns_at_once() -> None:
    """A wish that is fulfilled already needs no time."""
    async with running(component("api")) as backend:
        control = await up(backend)
        await control.start("api", 0.0)
        assert backend.state("api").incarnation == 1


async def test_start_of_a_one_shot_returns_when_it_has_completed() -> None:
    """A one-shot is up when it is done."""
    async with running(component("seed", oneshot=True), component("api")) as backend:
        await backend.until_phase("seed", Phase.STARTING)
        start = begun(backend.control.start("seed", PATIENCE))
        await backend.until_phase("api", Phase.READY)
        assert not start.done()
        backend.host.end("seed", RETURNED)
        await asyncio.wait_for(start, PATIENCE)
        assert backend.state("seed").phase is Phase.COMPLETED


async def test_start_brings_up_what_is_needed() -> None:
    """The command starts requirements first."""
    async with running(component("db"), component("api", "db")) as backend:
        control = await up(backend)
        await control.stop("api", PATIENCE)
        await control.stop("db", PATIENCE)
        await control.start("api", PATIENCE)
        assert backend.state("db").phase is Phase.READY


async def test_start_that_fails_says_how_and_what_to_do() -> None:
    """Message and hint of the end are those of the command."""
    broken = Exit(ExitKind.UNSTARTABLE, "no module named nowhere", hint="check the target")
    async with running(
        component("api"),
        component("db"),
        behaviours={"api": [Behaviour(), Behaviour(starts=False, ends=broken)]},
    ) as backend:
        control = await up(backend)
        await control.stop("api", PATIENCE)
        assert await refusal(control.start("api", PATIENCE), CommandFailed) == (
            "api is not ready: it is failed (no module named nowhere)",
            "check the target",
        )


async def test_start_that_fails_without_a_hint_points_to_the_log() -> None:
    """There is always something to do next."""
    async with running(
        component("api", restart=NEVER),
        component("db"),
        behaviours={"api": [Behaviour(), Behaviour(starts=False, ends=CRASH)]},
    ) as backend:
        control = await up(backend)
        await control.stop("api", PATIENCE)
        assert await refusal(control.start("api", PATIENCE), CommandFailed) == (
            "api is not ready: it is failed (ended before it was ready: ValueError: boom)",
            "see: launcher logs api",
        )


async def test_start_that_takes_too_long_says_what_is_waited_for() -> None:
    """Out of time is not failed: the component goes on starting."""
    async with running(component("db"), component("api", "db"), behaviours={"db": LATE}) as backend:
        with pytest.raises(WaitTimeout) as caught:
            await backend.control.start("api", SHORT)
        assert caught.value.message == "api is not ready after 0.02 s: it is waiting (db: starting)"
        assert caught.value.exit_code is ExitCode.TIMEOUT
        backend.host.start("db")
        await backend.until_phase("api", Phase.READY)


# ---- stop --------------------------------------------------------------------------------------------------------------------------


async def test_stop_returns_when_nothing_is_left() -> None:
    """Not when it was asked for, and not while it is stopping."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        stop = begun(control.stop("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING)
        assert not stop.done()
        backend.host.end("api", STOPPED)
        await asyncio.wait_for(stop, PATIENCE)
        assert backend.state("api").phase is Phase.STOPPED


@pytest.mark.parametrize("oneshot", [False, True])
async def test_stop_of_what_rests_returns_at_once(oneshot: bool) -> None:
    """What is stopped or completed needs no time to stop."""
    ends = Behaviour(ends=RETURNED if oneshot else None)
    async with running(
        component("api", oneshot=oneshot), component("db"), behaviours={"api": [ends]}
    ) as backend:
        control = await up(backend)
        await control.stop("api", PATIENCE)
        await control.stop("api", 0.0)
        assert backend.state("api").phase is (Phase.COMPLETED if oneshot else Phase.STOPPED)


async def test_stop_that_takes_too_long_goes_on() -> None:
    """The command ends, the stopping does not."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        message, _ = await refusal(control.stop("api", SHORT), WaitTimeout)
        assert message == "api is not stopped after 0.02 s: it is stopping (asked to stop)"
        backend.host.end("api", STOPPED)
        await backend.until_phase("api", Phase.STOPPED)


async def test_stop_while_the_backend_stops() -> None:
    """The command joins in the stop of the whole backend."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        control.shutdown("a test")
        stop = begun(control.stop("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING)
        backend.host.end("api", STOPPED)
        await asyncio.wait_for(stop, PATIENCE)
        assert await backend.end() == 0


async def test_stop_of_what_is_left_behind_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the launcher gives up on a component, nobody goes on waiting for it."""
    monkeypatch.setattr(fleet, "FORCED_PATIENCE", SHORT)
    immortal = Behaviour(obeys_stop=False, obeys_kill=False)
    async with running(component("api"), behaviours={"api": [immortal]}) as backend:
        control = await up(backend)
        stop = begun(control.stop("api", 600.0))
        backend.supervisor.submit(ShutdownForced("a test"))
        message, _ = await refusal(stop, CommandFailed)
        assert message == "api is not stopped: it is stopping (a test)"


# ---- restart -----------------------------------------------------------------------------------------------------------------------


async def test_restart_returns_on_the_new_incarnation() -> None:
    """The readiness of the old life is not that of the new one."""
    lives = [Behaviour(obeys_stop=False), *LATE]
    async with running(component("api"), behaviours={"api": lives}) as backend:
        control = await up(backend)
        restart = begun(control.restart("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING, 1)
        assert not restart.done()
        backend.host.end("api", STOPPED)
        await backend.until_phase("api", Phase.STARTING, 2)
        assert not restart.done()
        backend.host.start("api")
        await asyncio.wait_for(restart, PATIENCE)
        state = backend.state("api")
        assert (state.phase, state.incarnation, state.total_restarts) == (Phase.READY, 2, 0)


async def test_restart_of_what_is_stopped_starts_it() -> None:
    """A restart always ends with a new incarnation."""
    async with running(component("api")) as backend:
        control = await up(backend)
        await control.stop("api", PATIENCE)
        await control.restart("api", PATIENCE)
        assert backend.state("api").incarnation == 2


async def test_restart_of_a_one_shot_runs_it_again() -> None:
    """The command returns when the second run has completed."""
    async with running(
        component("seed", oneshot=True), component("api"), behaviours={"seed": [Behaviour(ends=RETURNED)]}
    ) as backend:
        control = await up(backend)
        await control.restart("seed", PATIENCE)
        state = backend.state("seed")
        assert (state.phase, state.incarnation) == (Phase.COMPLETED, 2)


async def test_restart_into_a_failure_says_so() -> None:
    """A new incarnation that fails fails the command."""
    async with running(
        component("api", restart=NEVER),
        component("db"),
        behaviours={"api": [Behaviour(), Behaviour(starts=False, ends=CRASH)]},
    ) as backend:
        control = await up(backend)
        message, _ = await refusal(control.restart("api", PATIENCE), CommandFailed)
        assert message.startswith("api is not ready: it is failed (ended before it was ready")


async def test_restart_that_crashes_once_goes_on_to_the_next_life() -> None:
    """What comes up at the second attempt has been restarted."""
    lives = [Behaviour(), Behaviour(starts=False, ends=CRASH), Behaviour()]
    async with running(component("api", restart=AT_ONCE), behaviours={"api": lives}) as backend:
        control = await up(backend)
        await control.restart("api", PATIENCE)
        state = backend.state("api")
        assert (state.phase, state.incarnation) == (Phase.READY, 3)


async def test_restart_that_takes_too_long_says_where_it_stands() -> None:
    """The message names the phase, so that one knows whether it is the stop or the start that takes so long."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        message, _ = await refusal(control.restart("api", SHORT), WaitTimeout)
        assert message == "api is not ready after 0.02 s: it is stopping (restarting)"
        backend.host.end("api", STOPPED)


async def test_a_stop_meanwhile_ends_a_restart() -> None:
    """Somebody else's stop is the last wish; the restart says what became of it."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        restart = begun(control.restart("api", PATIENCE))
        await backend.until_phase("api", Phase.STOPPING)
        stop = begun(control.stop("api", PATIENCE))
        await backend.until(lambda fleet: fleet.components["api"].desired == "down")
        backend.host.end("api", STOPPED)
        await asyncio.wait_for(stop, PATIENCE)
        message, _ = await refusal(restart, CommandFailed)
        assert message == "api is not ready: it is stopped (stopped)"


async def test_restart_of_what_overlaps_returns_when_the_new_one_is_ready() -> None:
    """The old one serves until then, and may still be ending afterwards."""
    lives = [Behaviour(obeys_stop=False), *LATE]
    async with running(component("api", overlap=True), behaviours={"api": lives}) as backend:
        control = await up(backend)
        restart = begun(control.restart("api", PATIENCE))
        await backend.until(lambda fleet: fleet.components["api"].successor is not None)
        assert (backend.state("api").phase, restart.done()) == (Phase.READY, False)
        backend.host.start("api")
        await asyncio.wait_for(restart, PATIENCE)
        assert backend.state("api").lives == (1, 2)
        backend.host.end("api", STOPPED, 1)
        await backend.until(lambda fleet: not fleet.components["api"].retiring)


async def test_restart_that_fails_while_the_old_one_goes_on_says_both() -> None:
    """The command fails although the component is up; a later one is not mistaken for it."""
    lives = [Behaviour(), Behaviour(starts=False, ends=CRASH), Behaviour()]
    async with running(component("api", overlap=True), behaviours={"api": lives}) as backend:
        control = await up(backend)
        assert await refusal(control.restart("api", PATIENCE), CommandFailed) == (
            "cannot restart api: ended before it was ready: ValueError: boom; incarnation 1 goes on",
            "see: launcher logs api",
        )
        assert backend.state("api").phase is Phase.READY
        await control.restart("api", PATIENCE)
        assert backend.state("api").incarnation == 3


async def test_restarts_at_the_same_time_all_succeed() -> None:
    """Each gets an incarnation that was started after it had asked."""
    async with running(component("api", overlap=True), behaviours={"api": [Behaviour(), *LATE]}) as backend:
        control = await up(backend)
        restarts = [begun(control.restart("api", PATIENCE)) for _ in range(2)]
        await backend.until(lambda fleet: fleet.components["api"].last_number == 3)
        backend.host.start("api")
        for restart in restarts:
            await asyncio.wait_for(restart, PATIENCE)
        assert backend.state("api").incarnation == 3


async def test_a_stop_ends_a_restart_that_is_under_way() -> None:
    """Both commands are answered: the stop when nothing is left, the restart with what became of it."""
    async with running(
        component("api", overlap=True), component("db"), behaviours={"api": [Behaviour(), *LATE]}
    ) as backend:
        control = await up(backend)
        restart = begun(control.restart("api", PATIENCE))
        await backend.until(lambda fleet: fleet.components["api"].successor is not None)
        await control.stop("api", PATIENCE)
        assert backend.state("api").lives == ()
        message, _ = await refusal(restart, CommandFailed)
        assert message == "api is not ready: it is stopped (stopped)"


async def test_a_restart_that_takes_too_long_goes_on_beside_the_old_one() -> None:
    """The message says how far it is."""
    async with running(component("api", overlap=True), behaviours={"api": [Behaviour(), *LATE]}) as backend:
        control = await up(backend)
        message, _ = await refusal(control.restart("api", SHORT), WaitTimeout)
        assert message == (
            "api is not ready after 0.02 s: it is ready (restarting: incarnation 2 is starting)"
        )


# ---- scale -------------------------------------------------------------------------------------------------------------------------


async def test_scale_up_returns_when_all_are_ready() -> None:
    """Not when they are starting."""
    async with running(component("api"), behaviours={"api.2": LATE}) as backend:
        control = await up(backend)
        scale = begun(control.scale("api", 3, PATIENCE))
        await backend.until(lambda fleet: "api.3" in fleet.components)
        await backend.until_phase("api.3", Phase.READY)
        assert not scale.done()
        backend.host.start("api.2")
        await asyncio.wait_for(scale, PATIENCE)
        assert list(control.view().plan.components) == ["api", "api.2", "api.3"]


async def test_scale_down_returns_when_the_others_are_gone() -> None:
    """What waits for one of them is told that it has left."""
    lives = {"api.2": [Behaviour(obeys_stop=False)]}
    async with running(component("api", replicas=2), behaviours=lives) as backend:
        control = await up(backend)
        scale = begun(control.scale("api", 1, PATIENCE))
        await backend.until_phase("api.2", Phase.STOPPING)
        wait = begun(control.wait("api.2", "completed", PATIENCE))
        await asyncio.sleep(0)
        assert not scale.done()
        backend.host.end("api.2", STOPPED)
        await asyncio.wait_for(scale, PATIENCE)
        assert list(control.view().fleet.components) == ["api"]
        await refusal(wait, UnknownComponent)


async def test_scale_that_fails_says_which_replica() -> None:
    """The others stay; the failed one can be looked at."""
    lives = {"api.2": [Behaviour(starts=False, ends=CRASH)]}
    async with running(component("api", restart=NEVER), behaviours=lives) as backend:
        control = await up(backend)
        message, hint = await refusal(control.scale("api", 3, PATIENCE), CommandFailed)
        assert message == (
            "api is not scaled to 3: api.2 is failed (ended before it was ready: ValueError: boom)"
        )
        assert hint == "see: launcher logs api"
        assert backend.state("api").phase is Phase.READY


async def test_scale_that_takes_too_long_goes_on() -> None:
    """The message says what is waited for."""
    async with running(component("api"), behaviours={"api.2": LATE}) as backend:
        control = await up(backend)
        message, _ = await refusal(control.scale("api", 2, SHORT), WaitTimeout)
        assert message == "api is not scaled to 2 after 0.02 s: api.2 is starting"
        backend.host.start("api.2")
        await backend.until_phase("api.2", Phase.READY)


async def test_scale_is_refused_while_the_backend_stops() -> None:
    """Nothing new is started then."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        control.shutdown("a test")
        await backend.until(lambda fleet: fleet.draining)
        message, _ = await refusal(control.scale("api", 2, PATIENCE), CommandFailed)
        assert message == "cannot scale api: the backend is being stopped"
        backend.host.end("api", STOPPED)


async def test_scale_of_what_cannot_be_scaled_changes_nothing() -> None:
    """The refusals of the plan are those of the command."""
    async with running(component("api")) as backend:
        control = await up(backend)
        before = control.view().fleet
        await refusal(control.scale("apy", 2, PATIENCE), UnknownComponent)
        await refusal(control.scale("api", 0, PATIENCE), UsageError)
        assert control.view().fleet == before


# ---- wait --------------------------------------------------------------------------------------------------------------------------


async def test_wait_for_each_condition() -> None:
    """Ready, stopped, completed and settled are returned from when they are so, and not before."""
    async with running(
        component("api"), component("seed", oneshot=True), behaviours={"api": LATE}
    ) as backend:
        control = backend.control
        await backend.until(lambda _fleet: len(backend.host.alive) == 2)
        ready = begun(control.wait("api", "ready", PATIENCE))
        completed = begun(control.wait("seed", "completed", PATIENCE))
        settled = begun(control.wait("", "settled", PATIENCE))
        stopped = begun(control.wait("api", "stopped", PATIENCE))
        backend.host.start("api")
        await asyncio.wait_for(ready, PATIENCE)
        assert not completed.done()
        assert not settled.done()
        backend.host.end("seed", RETURNED)
        await asyncio.wait_for(asyncio.gather(completed, settled), PATIENCE)
        assert not stopped.done()
        await control.stop("api", PATIENCE)
        await asyncio.wait_for(stopped, PATIENCE)


async def test_wait_does_not_wait_for_what_cannot_come() -> None:
    """What rests in another state would have to be started by somebody: that is said at once."""
    async with running(component("api"), component("seed", oneshot=True)) as backend:
        await backend.until_phase("api", Phase.READY)
        control = backend.control
        await control.stop("api", PATIENCE)
        message, hint = await refusal(control.wait("api", "ready", 600.0), CommandFailed)
        assert (message, hint) == ("api is not ready: it is stopped (stopped)", "see: launcher logs api")
        message, _ = await refusal(control.wait("api", "completed", 600.0), CommandFailed)
        assert message == "api is not completed: it is stopped (stopped)"


async def test_wait_for_an_unknown_condition() -> None:
    """The hint says what was probably meant."""
    async with running(component("api")) as backend:
        assert await refusal(backend.control.wait("api", "redy", 1.0), UsageError) == (
            'cannot wait for "redy": there is no such condition',
            "did you mean ready?",
        )


async def test_wait_for_the_start_names_what_is_slow() -> None:
    """Out of time, each component that is not up is named with what it does."""
    async with running(
        component("db"), component("api", "db"), component("worker"), behaviours={"db": LATE}
    ) as backend:
        await backend.until_phase("worker", Phase.READY)
        message, _ = await refusal(backend.control.wait("", "settled", SHORT), WaitTimeout)
        assert message == (
            "the backend is not up after 0.02 s: db is starting; api is waiting (db: starting)"
        )


async def test_wait_for_the_start_of_a_backend_that_stops() -> None:
    """A backend that is being stopped will not come up any more."""
    async with running(
        component("api"), behaviours={"api": [Behaviour(starts=False, obeys_stop=False)]}
    ) as backend:
        await backend.until_phase("api", Phase.STARTING)
        settled = begun(backend.control.wait("", "settled", 600.0))
        backend.control.shutdown("Ctrl-C")
        message, _ = await refusal(settled, CommandFailed)
        assert message == "the backend is being stopped: Ctrl-C"
        backend.host.end("api", STOPPED)


# ---- what is refused ---------------------------------------------------------------------------------------------------------------

COMMANDS: dict[str, Callable[[Control, str], Awaitable[None]]] = {
    "start": lambda control, name: control.start(name, 600.0),
    "stop": lambda control, name: control.stop(name, 600.0),
    "restart": lambda control, name: control.restart(name, 600.0),
    "wait": lambda control, name: control.wait(name, "ready", 600.0),
}


@pytest.mark.parametrize("command", COMMANDS)
async def test_unknown_names_are_refused(command: str) -> None:
    """Each command says that there is no such component and what was probably meant."""
    async with running(component("api"), component("db")) as backend:
        assert await refusal(COMMANDS[command](backend.control, "appi"), UnknownComponent) == (
            'there is no component called "appi"',
            "did you mean api?",
        )


@pytest.mark.parametrize("command", ["start", "restart"])
async def test_nothing_starts_while_the_backend_stops(command: str) -> None:
    """Starts are refused at once while everything goes down."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        await backend.supervisor.apply(ShutdownRequested("a test"))
        message, _ = await refusal(COMMANDS[command](control, "api"), CommandFailed)
        assert message == f"cannot {command} api: the backend is being stopped"
        message, _ = await refusal(control.wait("api", "ready", 600.0), CommandFailed)
        assert message == "api is not ready: the backend is being stopped"
        backend.host.end("api", STOPPED)


async def test_a_restart_that_comes_just_too_late_is_no_success() -> None:
    """The readiness of the old incarnation is no answer, even if it is still up while its dependents stop."""
    stubborn = {"api": [Behaviour(obeys_stop=False)]}
    async with running(component("db"), component("api", "db"), behaviours=stubborn) as backend:
        control = await up(backend)
        begun(backend.supervisor.apply(ShutdownRequested("a test")))
        message, _ = await refusal(control.restart("db", 600.0), CommandFailed)
        assert message == "db is not ready: the backend is being stopped"
        backend.host.end("api", STOPPED)


async def test_shutdown_returns_at_once() -> None:
    """The command only begins the stop; the reason is kept."""
    async with running(component("api"), behaviours={"api": [Behaviour(obeys_stop=False)]}) as backend:
        control = await up(backend)
        control.shutdown("asked by a test")
        assert not control.view().fleet.draining
        await backend.until_phase("api", Phase.STOPPING)
        assert control.view().fleet.drain_reason == "asked by a test"
        backend.host.end("api", STOPPED)
        assert await backend.end() == 0

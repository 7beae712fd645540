"""`AgentLauncher` as a class and as a program."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

from agents.launcher import AgentLauncher
from services.errors import ServiceUnavailable
from services.pipeline import ENRICHERS, PIPELINE
from services.settings import Settings
from tests.backend_servers import environment, free_port, variables


async def program(*names: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m agents.launcher NAMES` to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "agents.launcher", *names],
        env=environment(**given),
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_stage_of_the_pipeline_can_be_loaded() -> None:
    """The names are those of the pipeline, and each gives an agent of that name."""
    names = [stage.name for stage in PIPELINE]
    assert AgentLauncher.available() == names
    assert [agent.name for agent in AgentLauncher(Settings()).load_agents()] == names
    assert len(ENRICHERS) >= 6


def test_agents_are_loaded_once_each_in_the_order_asked() -> None:
    """A name given twice means one agent; no names at all means none."""
    launcher = AgentLauncher(Settings())
    assert [agent.name for agent in launcher.load_agents(["linker", "keywords", "linker"])] == [
        "linker",
        "keywords",
    ]
    assert launcher.load_agents([]) == []


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    """The error lists what there is, and nothing is loaded."""
    launcher = AgentLauncher(Settings())
    with pytest.raises(ValueError, match="did you mean 'summariser'") as caught:
        launcher.load_agents(["keywords", "sumariser"])
    assert all(name in str(caught.value) for name in launcher.available())
    assert launcher.agents == ()


@pytest.mark.parametrize("name", ["keywords", "director", "linker"])
async def test_loading_one_agent_imports_no_other(name: str) -> None:
    """A process pays only for its own agent, and for the graph's driver only once it connects."""
    code = (
        "import sys; from agents.launcher import AgentLauncher; "
        f"AgentLauncher().load_agents([{name!r}]); print(*sorted(sys.modules))"
    )
    result = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(result.stdout.split())
    others = {f"agents.{other}" for other in AgentLauncher.available() if other != name}
    assert f"agents.{name}" in modules
    assert not others & modules
    assert not {"neo4j", "fastapi", "uvicorn", "launcher"} & modules


async def test_start_and_stop_all(settings: Settings) -> None:
    """One launcher per agent in one process, as well as all in one, each start and stop, twice."""
    every = AgentLauncher(settings)
    every.load_agents()
    single = [AgentLauncher(settings) for _ in every.agents]
    for launcher, agent in zip(single, every.agents, strict=True):
        launcher.load_agents([agent.name])
    for launchers in ([every], single, [every]):
        await asyncio.gather(*(launcher.start_all() for launcher in launchers))
        await asyncio.gather(*(launcher.stop_all() for launcher in launchers))
        await asyncio.gather(*(launcher.wait() for launcher in launchers))


async def test_one_that_cannot_start_stops_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start_all` either starts all or leaves none running."""
    launcher = AgentLauncher(settings)
    keywords, linker = launcher.load_agents(["keywords", "linker"])

    async def refuse() -> None:
        raise ServiceUnavailable("Neo4j", "nowhere", "away")

    monkeypatch.setattr(linker, "start", refuse)
    with pytest.raises(ServiceUnavailable, match="Neo4j"):
        await launcher.start_all()
    await keywords.start()
    await keywords.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_program_well(settings: Settings, number: signal.Signals) -> None:
    """It says when it is ready, stops on the signal, and ends with status 0."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agents.launcher", "keywords", "director"),
        env=environment(**variables(settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready: keywords, director\n"
    process.send_signal(number)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert b"Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "given", "status", "said"),
    [
        (["sentimental"], {}, 2, "did you mean 'sentiment'"),
        (["keywords"], {"REDIS_URL": "nonsense"}, 2, "REDIS_URL"),
        (["--list"], {}, 0, "summariser"),
    ],
)
async def test_the_program_refuses_what_it_cannot_do(
    arguments: Sequence[str], given: dict[str, str], status: int, said: str
) -> None:
    """Wrong usage is status 2 with one clear line; `--list` needs nothing at all."""
    result = await program(*arguments, **given)
    assert result.returncode == status
    assert said in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


async def test_the_program_without_its_services() -> None:
    """After its patience it ends with status 1, naming what is away and what to do."""
    result = await program("keywords", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    assert result.returncode == 1
    assert "Redis at 127.0.0.1" in result.stderr
    assert "hint: start the server, or set REDIS_URL" in result.stderr
    assert "Traceback" not in result.stderr

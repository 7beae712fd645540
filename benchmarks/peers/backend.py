"""The backend that everybody runs: a gateway and agents, made anew in a temporary directory.

Each service is a program of its own (`python -m shop.agent01`) and something to import (`shop.agent01:run`, `shop.gateway:app`). Each imports
what services of this kind import: FastAPI, Pydantic, SQLAlchemy's async engine, clients of Redis, Neo4j and HTTP, settings, structured logs.
Nothing of that is contacted. A service that works writes its process number into a file named after it.
"""

from __future__ import annotations

import compileall
import http.client
import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support.ports import free_port

TEMPLATES = Path(__file__).parent / "templates"

GATEWAY = "api"
"""What the gateway is called by every manager."""

MARK = "SHOP_LIFE"
"""Name of a variable that every process of one life of the backend inherits, so that none can hide from the benchmark."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one life of the backend takes place.

    Attributes:
        directory: holds the sources, the marks and what the manager writes; stays the same over all rounds, as a project does.
        port: where the gateway answers; another one in each life.
        mark: value of the variable `MARK` in this life.
        agents: names of the agents.
        environment: of the manager, and so of every service.
    """

    directory: Path
    port: int
    mark: str
    agents: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def marks(self) -> Path:
        """The directory in which services mark themselves ready."""
        return self.directory / "marks"

    def commands(self) -> dict[str, list[str]]:
        """How each service is run as a program of its own, by its name."""
        return {GATEWAY: self.gateway()} | {agent: ["python", "-m", f"shop.{agent}"] for agent in self.agents}

    def gateway(self, *more: str) -> list[str]:
        """How the gateway is run alone; `more` are options of uvicorn that replace its address."""
        where = more or ("--host", "127.0.0.1", "--port", str(self.port))
        return ["uvicorn", "shop.gateway:app", "--no-access-log", *where]

    def marked(self) -> dict[str, int]:
        """The agents that are ready, and the process of each."""
        found = {}
        for agent in self.agents:
            with suppress(FileNotFoundError):
                found[agent] = int((self.marks / agent).read_text())
        return found

    def gateway_pid(self, patience: float = 5.0) -> int | None:
        """The process that answers for the gateway; None when there is none, or it is silent for `patience` seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        try:
            connection.request("GET", "/health", headers={"connection": "close"})
            answer = connection.getresponse()
            return int(json.load(answer)["pid"]) if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def output(self) -> str:
        """The end of what was printed."""
        path = self.directory / "output"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


def generate(directory: Path, services: int) -> None:
    """Write the backend of one gateway and `services - 1` agents, and compile it."""
    package = directory / "shop"
    package.mkdir(parents=True)
    (directory / "marks").mkdir()
    (package / "__init__.py").write_text('"""A backend to be run."""\n')
    agents = agent_names(services)
    for name in ("common", "gateway", "hand"):
        text = (TEMPLATES / f"{name}.py.txt").read_text()
        (package / f"{name}.py").write_text(text.replace("@AGENTS@", repr(agents)))
    agent = (TEMPLATES / "agent.py.txt").read_text()
    for name in agents:
        (package / f"{name}.py").write_text(agent.replace("@NAME@", name))
    compileall.compile_dir(package, quiet=1)


def agent_names(services: int) -> tuple[str, ...]:
    """The agents of a backend of so many services, the gateway included."""
    return tuple(f"agent{number:02}" for number in range(1, services))


def new_life(directory: Path, services: int, environment: Mapping[str, str]) -> Place:
    """A place for the next life in `directory`: a new port, a new mark, nobody ready."""
    for path in (directory / "marks").iterdir():
        path.unlink()
    (directory / "output").unlink(missing_ok=True)
    port, mark = free_port(), uuid.uuid4().hex
    own = {MARK: mark, "SHOP_PORT": str(port), "SHOP_MARKS": str(directory / "marks")}
    return Place(directory, port, mark, agent_names(services), {**environment, **own})

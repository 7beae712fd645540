"""The control interface of a running launcher, as its users have it: documents, streams, commands that contradict each other."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from launcher.client import Client
from launcher.config.locate import locate
from launcher.errors import CommandFailed, LauncherError
from launcher.following import Told
from tests.launcher.acceptance.project import AGENT, PATIENCE, WEB, Project, eventually, free_port

ENDLESS = {"/shutdown"}
"""Operations that would end what is tested."""


@pytest.fixture
def backend(project: Project) -> Project:
    """A web application that an agent depends on, whose path of the control socket is short."""
    return project.write(web=WEB, jobs=AGENT).declare(f"""
        [launcher]
        api = {free_port()}

        [components.api]
        app = "web:app"
        port = {free_port()}

        [components.worker]
        run = "jobs:run"
        depends_on = ["api"]
    """)


def run_dir(backend: Project) -> Path:
    """Where the socket is; its path would be too long below some temporary directories."""
    return locate(backend.root, {}).run_dir


def client(backend: Project) -> Client:
    return Client(run_dir(backend) / "control.sock")


def address(backend: Project) -> tuple[str, dict[str, str]]:
    """The URL of the interface over TCP, and the headers that it wants."""
    url = backend.status()["launcher"]["api"]
    token = (run_dir(backend) / "api.token").read_text().strip()
    return str(url), {"Authorization": f"Bearer {token}"}


def document(url: str, headers: dict[str, str]) -> dict[str, Any]:
    """The OpenAPI document."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
    connection.request("GET", "/openapi.json", headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    found = json.loads(answer.read())
    connection.close()
    return dict(found)


def tamed(path: str, query: dict[str, Any]) -> None:
    """Let what may go on for ever end soon; what is not valid stays as it is."""
    if path in {"/events", "/logs"} and query.get("follow", "1") in {"1", "true"}:
        query["follow"] = "0"
    with suppress(TypeError, ValueError):
        if path == "/wait" and 0 <= float(query.get("timeout", 1)) <= 24 * 3600:
            query["timeout"] = "0.02"


@pytest.mark.slow
def test_the_interface_is_as_it_is_described(backend: Project, mode: str) -> None:
    """Whatever a client sends that has read the OpenAPI document, valid or not, is answered as the document says; nothing fails inside."""
    launcher = backend.up_and_ready("--mode", mode)
    url, headers = address(backend)
    described = document(url, headers)
    for path, item in described["paths"].items():
        for operation in item.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and not path.endswith("/scale"):
                    parameter["schema"]["enum"] = ["api", "worker", "nobody"]
    tried = set()
    for result in schemathesis.openapi.from_dict(described).get_all_operations():
        operation = cast(Any, result).ok()
        tried.add(operation.path)
        if operation.path in ENDLESS:
            continue
        modes = [GenerationMode.POSITIVE]
        if len(operation.query) or len(operation.path_parameters):
            modes.append(GenerationMode.NEGATIVE)
        for generation in modes:
            attempt(operation, generation, url, headers)
    assert tried == set(described["paths"])
    assert client(backend).request("GET", "/livez") == {"ok": True}
    assert not launcher.ended


def fits(operation: Any, query: dict[str, Any]) -> bool:
    """Whether a query is as described once it stands in a URL: what was made invalid may be lost there, such as an empty list."""
    schemas = {parameter.name: parameter.definition["schema"] for parameter in operation.query}
    return all(
        name in schemas and _reads(schemas[name], text)
        for name, text in parse_qsl(urlencode(query, doseq=True), keep_blank_values=True)
    )


def _reads(schema: dict[str, Any], text: str) -> bool:
    if "enum" in schema:
        return text in schema["enum"]
    if schema["type"] not in {"number", "integer"}:
        return True
    with suppress(ValueError):
        value = float(text) if schema["type"] == "number" else int(text)
        return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))
    return False


def attempt(operation: Any, generation: GenerationMode, url: str, headers: dict[str, str]) -> None:
    """Send what is generated for one operation, and check each answer against the document."""

    @settings(
        max_examples=15,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=generation))
    def check(case: Any) -> None:
        tamed(operation.path, case.query)
        # 503 and 504 are described, and mean what they say.
        excluded = [schemathesis.checks.not_a_server_error]
        if fits(operation, case.query):
            excluded.append(schemathesis.checks.negative_data_rejection)
        answer = case.call_and_validate(
            base_url=url,
            headers=headers,
            timeout=PATIENCE,
            allow_redirects=False,
            excluded_checks=excluded,
        )
        assert answer.status_code not in {500, 501, 502}

    check()


# ---- over TCP ----------------------------------------------------------------------------------------------------------------------


def test_the_port_is_asked_for_by_flag_or_key(backend: Project) -> None:
    """The flag wins over the key; the status says where, and nobody gets in without the token."""
    port = free_port()
    backend.up_and_ready("--api", str(port), "--mode", "single")
    url, headers = address(backend)
    assert url == f"http://127.0.0.1:{port}"
    assert document(url, headers)["openapi"].startswith("3.1")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", "/status")
    assert connection.getresponse().status == 401
    connection.close()
    assert backend.run("down").returncode == 0
    assert not (run_dir(backend) / "api.token").exists()


def test_a_port_that_cannot_be_had_ends_the_start(backend: Project, mode: str) -> None:
    """Nothing is started, and it is said who has the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, output = backend.up("--mode", mode, "--api", str(port)).finished()
    assert code == 1
    assert f"cannot serve the control interface: port {port} is taken by" in output
    assert "--api" in output
    assert "is starting" not in output


def test_a_port_of_a_component_is_refused(project: Project) -> None:
    """The mistake is found before anything is bound."""
    project.write(web=WEB)
    done = project.run("check", "api=web:app@8123", "--set", "launcher.api=8123")
    assert done.returncode == 2
    assert "api and the control interface both want port 8123" in done.stderr


# ---- streams -----------------------------------------------------------------------------------------------------------------------


def follow(told: Iterator[Told], until: Callable[[list[Told]], bool]) -> list[Told]:
    """Read a stream until what has arrived is enough, or until its end."""
    arrived: list[Told] = []
    for one in told:
        arrived.append(one)
        if until(arrived):
            break
    return arrived


def test_a_stream_tells_a_whole_life(backend: Project, mode: str) -> None:
    """From the first transition to the last one before the end, without a gap; the phases of each component join up."""
    backend.up_and_ready("--mode", mode)
    arrived: list[Told] = []
    begun = threading.Event()

    def read() -> None:
        for told in client(backend).events(patience=0.0):
            arrived.append(told)
            begun.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(PATIENCE)
    assert backend.run("restart", "worker").returncode == 0
    assert backend.run("down").returncode == 0
    reader.join(PATIENCE)
    assert not reader.is_alive()
    assert [told.document["seq"] for told in arrived] == list(range(1, len(arrived) + 1))
    phases: dict[str, str] = {"api": "stopped", "worker": "stopped"}
    for told in arrived:
        change = told.document
        assert change["before"] == phases[change["component"]]
        phases[change["component"]] = change["after"]
    assert set(phases.values()) == {"stopped"}
    assert [told.document["incarnation"] for told in arrived if told.document["after"] == "ready"] == [
        1,
        1,
        2,
    ]


@pytest.mark.parametrize("end", ["down", "kill"])
def test_streams_survive_the_launcher(backend: Project, end: str) -> None:
    """A launcher that is stopped or killed, and started again: whoever follows goes on by itself; a new run is told, log lines go on."""
    first = backend.up_and_ready("--mode", "single")
    with_events = client(backend).events(patience=PATIENCE)
    with_logs = client(backend).logs(["worker"], patience=PATIENCE)
    before = follow(with_events, lambda arrived: arrived[-1].document.get("after") == "ready")
    assert next(with_logs).document["message"] == "working"
    run = before[-1].id.partition("-")[0]
    if end == "down":
        assert backend.run("down").returncode == 0
    else:
        first.kill()
        first.process.wait()
    backend.up_and_ready("--mode", "single")
    after = follow(
        with_events, lambda arrived: sum(one.document.get("after") == "ready" for one in arrived) > 1
    )
    gap = next(number for number, told in enumerate(after) if told.kind == "gap")
    assert all(told.id.startswith(run) for told in after[:gap])
    assert [told.document["seq"] for told in after[gap + 1 :]] == list(range(1, len(after) - gap))
    lines = follow(with_logs, lambda arrived: arrived[-1].document["message"] == "working")
    assert {told.kind for told in lines} == {"log"}
    assert [told.document["message"] for told in lines].count("working") == 1


def test_the_verb_shows_and_follows(backend: Project) -> None:
    """``launcher events`` in text and JSON, of some components, and on until the launcher has ended."""
    assert backend.run("events").returncode == 4
    backend.up_and_ready("--mode", "single")
    text = backend.run("events", "worker")
    assert text.returncode == 0
    assert "worker#1  starting -> ready" in text.stdout
    assert "api#" not in text.stdout
    documents = [json.loads(line) for line in backend.run("events", "-o", "json").stdout.splitlines()]
    assert [one["seq"] for one in documents] == list(range(1, len(documents) + 1))
    rest = backend.run("events", "--since", documents[-2]["id"], "-o", "json")
    assert [json.loads(line)["seq"] for line in rest.stdout.splitlines()] == [len(documents)]
    gap = backend.run("events", "--since", "01234567-1")
    assert "started anew" in gap.stderr
    assert gap.stdout
    wrong = backend.run("events", "wroker")
    assert (wrong.returncode, "did you mean worker?" in wrong.stderr) == (2, True)
    following = subprocess.Popen(
        [sys.executable, "-m", "launcher", "events", "-f", "--since", "now"],
        cwd=backend.root,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    try:
        # Whatever happens before it is connected is not from now on.
        restarts = threading.Thread(
            target=lambda: eventually(
                "a restart was seen", lambda: backend.run("restart", "worker").returncode or seen
            )
        )
        seen: list[str] = []
        restarts.start()
        seen.append(following.stdout.readline())
        restarts.join(PATIENCE)
        assert "worker#" in seen[0]
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=PATIENCE)
        assert following.returncode == 0
    finally:
        following.kill()
        following.communicate()


# ---- commands that contradict each other -------------------------------------------------------------------------------------------


def test_commands_from_many_clients(backend: Project, mode: str) -> None:
    """Each is answered, none waits for its time to be over or is refused because of another, and the last one decides."""
    launcher = backend.up_and_ready("--mode", mode)
    outcomes: list[str] = []

    def command(verb: str) -> None:
        try:
            getattr(client(backend), verb)("worker", PATIENCE)
            outcomes.append("done")
        except CommandFailed as error:
            outcomes.append(error.message)
        except LauncherError as error:
            outcomes.append(repr(error))

    verbs = ["stop", "start", "restart", "stop", "restart", "start"] * 4
    crowd = [threading.Thread(target=command, args=(verb,)) for verb in verbs]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(2 * PATIENCE)
    assert len(outcomes) == len(verbs)
    overtaken = [words for words in outcomes if words != "done"]
    assert all("worker is not" in words and " after " not in words for words in overtaken), overtaken
    assert client(backend).start("worker", PATIENCE)["phase"] == "ready"
    assert client(backend).stop("worker", PATIENCE)["phase"] == "stopped"
    assert not launcher.ended

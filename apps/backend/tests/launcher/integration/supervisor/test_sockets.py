"""Ports are bound before anything runs, or the start is refused with the name of who has them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from launcher.core.plan import Plan, scaled
from launcher.errors import BindFailed
from launcher.hosts.manager import Handed
from launcher.model.spec import Bind, ComponentSpec, Kind
from launcher.supervisor.sockets import Listening, bind_all
from tests.launcher.unit.core.plans import component, plan_of

NOBODY = 65534
"""The user without privileges on most systems."""

SQUATTER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""

WITHOUT_PRIVILEGES = f"""
import os, sys
from launcher.core.plan import build
from launcher.errors import BindFailed
from launcher.model.spec import Bind, ComponentSpec, Kind, LauncherSpec, Mode
from launcher.supervisor.sockets import bind_all
import launcher.probes.ports, encodings.idna, pwd
web = ComponentSpec("web", Kind.ASGI, bind=Bind(81))
plan = build(LauncherSpec("backend", "/", (web,), Mode.MULTI))
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
    os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
try:
    bind_all(plan).close()
except BindFailed as error:
    print(error.message)
    print(error.hint)
"""


def web(name: str, port: int, address: str = "127.0.0.1", kind: Kind = Kind.ASGI) -> ComponentSpec:
    """Return a component with an address."""
    return component(name, kind=kind, bind=Bind(port, address))


@contextmanager
def bound(plan: Plan) -> Iterator[Listening]:
    """Bind the plan for a while."""
    with closing(bind_all(plan)) as listening:
        yield listening


def port_of(listening: Listening, name: str) -> int:
    """Return the port that a component was given."""
    bind = listening.plan.components[name].bind
    assert bind is not None
    return bind.port


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether nobody listens on the port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@contextmanager
def squatter(directory: Path) -> Iterator[tuple[int, int]]:
    """Run a program called ``squatter.py`` that listens; gives its port and PID."""
    script = directory / "squatter.py"
    script.write_text(SQUATTER)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


# ---- what is bound -----------------------------------------------------------------------------------------------------------------


def test_port_0_becomes_the_port_that_the_system_chose() -> None:
    """The plan that goes on knows the real port, in both places where components are listed."""
    with bound(plan_of(web("api", 0), component("worker"))) as listening:
        port = port_of(listening, "api")
        assert port > 0
        assert [spec.bind for spec in listening.plan.spec.components] == [Bind(port), None]
        assert list(listening.sockets) == ["api"]
        assert listening.sockets["api"][0].getsockname() == ("127.0.0.1", port)


def test_clients_wait_in_the_queue_before_anything_runs() -> None:
    """A connection is accepted by the system as soon as the port is bound: nobody is refused during the start."""
    with bound(plan_of(web("api", 0))) as listening, socket.socket() as client:
        client.connect(("127.0.0.1", port_of(listening, "api")))
        client.sendall(b"early")
        accepted, _ = listening.sockets["api"][0].accept()
        with accepted:
            assert accepted.recv(5) == b"early"


def test_small_answers_are_not_held_back() -> None:
    """Connections do not wait for more to send, and asyncio recognises the sockets as TCP."""
    with bound(plan_of(web("api", 0))) as listening:
        (listener,) = listening.sockets["api"]
        assert listener.proto == socket.IPPROTO_TCP
        with socket.create_connection(listener.getsockname(), timeout=10):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_sockets_are_not_inherited_by_accident() -> None:
    """Only hosts that are given a duplicate have the port open."""
    with bound(plan_of(web("api", 0))) as listening:
        assert not listening.sockets["api"][0].get_inheritable()


def test_closing_frees_every_port() -> None:
    """After the end connections are refused, and the ports can be had again at once."""
    plan = plan_of(web("api", 0), web("admin", 0))
    listening = bind_all(plan)
    ports = [port_of(listening, name) for name in ("api", "admin")]
    listening.close()
    assert all(is_free(port) for port in ports)
    with bound(plan_of(web("api", ports[0]), web("admin", ports[1]))) as again:
        assert [port_of(again, name) for name in ("api", "admin")] == ports


def test_ipv6() -> None:
    """An IPv6 address is bound as such, without claiming IPv4."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with bound(plan_of(web("api", 0, "::1"))) as listening:
        (listener,) = listening.sockets["api"]
        assert listener.family is socket.AF_INET6
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        bind = listening.plan.components["api"].bind
        assert bind is not None
        assert bind.url == f"http://[::1]:{listener.getsockname()[1]}"
        with socket.create_connection(("::1", bind.port), timeout=10) as client:
            assert client.getpeername()[1] == bind.port


def test_the_port_of_a_command_is_only_looked_at() -> None:
    """A command binds its port itself: it has to be free, and it is left free."""
    port = free_port()
    with bound(plan_of(web("db", port, kind=Kind.COMMAND))) as listening:
        assert listening.sockets == {}
        assert port_of(listening, "db") == port
        assert is_free(port)


# ---- what is refused ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.ASGI, Kind.COMMAND])
def test_a_taken_port_names_who_has_it(tmp_path: Path, kind: Kind) -> None:
    """The message names component, port, process and program; the hint says what to do."""
    with squatter(tmp_path) as (port, pid):
        with pytest.raises(BindFailed) as caught:
            bind_all(plan_of(web("api", port, kind=kind)))
        assert caught.value.message == f"cannot start api: port {port} is taken by PID {pid} (squatter.py)"
        assert caught.value.hint == f"choose another port, or stop it: kill {pid}"


def test_nothing_stays_bound_after_a_failure(tmp_path: Path) -> None:
    """When one port cannot be had, those bound before are given back."""
    first = free_port()
    with squatter(tmp_path) as (taken, _):
        with pytest.raises(BindFailed):
            bind_all(plan_of(web("api", first), web("admin", taken)))
        assert is_free(first)


def test_an_address_of_another_machine() -> None:
    """An address that is not of this machine is refused with one that is (192.0.2.0/24 is reserved for documentation)."""
    with pytest.raises(BindFailed) as caught:
        bind_all(plan_of(web("api", free_port(), "192.0.2.1")))
    assert caught.value.message == "cannot start api: 192.0.2.1 is not an address of this machine"
    assert "127.0.0.1" in caught.value.hint


def test_an_address_that_is_none() -> None:
    """A name that cannot be resolved is refused in words (".invalid" never resolves, RFC 6761)."""
    with pytest.raises(BindFailed) as caught:
        bind_all(plan_of(web("api", 0, "nowhere.invalid")))
    assert caught.value.message == "cannot start api: the address nowhere.invalid cannot be resolved"


def test_a_privileged_port() -> None:
    """A port that needs a privilege is refused with a port that needs none."""
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first.exists() and int(first.read_text()) <= 81:
        pytest.skip("on this machine everybody may bind every port")
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGES], capture_output=True, text=True, check=True, env=os.environ
    )
    message, hint = told.stdout.splitlines()
    assert message == "cannot start web: port 81 needs a privilege this user lacks"
    assert hint.startswith("use port 8081")


def test_the_port_of_a_command_that_inherits_is_held() -> None:
    """A command that is given its socket has its port held, as an application has."""
    shop = component("shop", kind=Kind.COMMAND, bind=Bind(0), inherit_socket=True)
    with bound(plan_of(shop)) as listening:
        assert listening.sockets["shop"][0].getsockname()[1] == port_of(listening, "shop")


# ---- what a service manager hands over -----------------------------------------------------------------------------------------------


def listener(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Return a listening socket that does not say it is TCP, as one from elsewhere may not."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    made.bind((address, port))
    made.listen(1)
    return made


def adopted(plan: Plan, *sockets: tuple[socket.socket, str]) -> Listening:
    """Bind a plan with sockets from a service manager."""
    return bind_all(plan, [Handed(each.detach(), name) for each, name in sockets])


@pytest.mark.parametrize("name", ["api", "api.socket"])
def test_a_socket_is_found_by_its_name(name: str) -> None:
    """The component takes the socket that has its name, or that of its unit, and its address becomes the socket's."""
    given = listener()
    port = given.getsockname()[1]
    with closing(adopted(plan_of(web("api", free_port()), web("admin", 0)), (given, name))) as listening:
        assert port_of(listening, "api") == port
        assert port_of(listening, "admin") not in {0, port}
        assert listening.sockets["api"][0].getsockname() == ("127.0.0.1", port)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("declared", ["127.0.0.1", "localhost"])
def test_a_socket_is_found_by_where_it_listens(address: str, declared: str) -> None:
    """Without a name that says more, address and port decide; all addresses include the declared one."""
    given = listener(address)
    port = given.getsockname()[1]
    with closing(
        adopted(plan_of(web("other", 0), web("api", port, declared)), (given, "backend.socket"))
    ) as listening:
        assert listening.sockets["api"][0].getsockname() == (address, port)
        bind = listening.plan.components["api"].bind
        assert bind == Bind(port, declared if address == "127.0.0.1" else address)


def test_a_component_may_have_several_sockets() -> None:
    """A socket unit with two addresses hands over two sockets of one name; both are served."""
    with closing(adopted(plan_of(web("api", 0)), (listener(), "api"), (listener(), "api"))) as listening:
        assert len({each.getsockname() for each in listening.sockets["api"]}) == 2


def test_a_socket_from_elsewhere_is_as_good_as_our_own() -> None:
    """It is known as TCP, small answers are not held back, the queue is long, and children do not have it by accident."""
    with closing(adopted(plan_of(web("api", 0)), (listener(), "api"))) as listening:
        (taken,) = listening.sockets["api"]
        assert taken.proto == socket.IPPROTO_TCP
        assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        with ExitStack() as clients:
            for _ in range(5):  # a queue of one would make the third of them wait for ever
                clients.enter_context(socket.create_connection(taken.getsockname(), timeout=10))


def test_a_socket_for_nobody() -> None:
    """Its clients would wait for ever, so the start is refused, with what it could be for."""
    given = listener()
    port = given.getsockname()[1]
    with pytest.raises(BindFailed) as caught:
        adopted(plan_of(web("api", 8000), web("db", port, kind=Kind.COMMAND)), (given, "backend.socket"))
    number = caught.value.message.split()[1]
    assert caught.value.message == (
        f"socket {number} (backend.socket) of the service manager, on 127.0.0.1:{port}, is for no component: "
        "its clients would wait for ever"
    )
    assert caught.value.hint.endswith("there is: api (127.0.0.1:8000)")
    assert is_free(port)


def test_sockets_that_cannot_be_served(tmp_path: Path) -> None:
    """A unix socket, one for datagrams, one that does not listen, and what is no socket: each is refused in words."""
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "s"))
    unix.listen()
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    plan = plan_of(web("api", 0))
    for given, what in (
        (unix, "is not a TCP socket but AF_UNIX"),
        (deaf, "does not listen for connections"),
        (datagrams, "does not listen for connections"),
    ):
        with pytest.raises(BindFailed, match=what) as caught:
            adopted(plan, (given, "api"))
        assert "ListenStream=" in caught.value.hint
    with pytest.raises(BindFailed, match="a socket of the service manager cannot be used"):
        bind_all(plan, [Handed(os.open(os.devnull, os.O_RDONLY), "api")])


def test_nothing_is_kept_of_what_was_handed_over_in_vain() -> None:
    """When one port cannot be had, the sockets of the service manager are closed here, too."""
    given = listener()
    number, port = given.fileno(), given.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BindFailed, match="is taken"):
        adopted(plan_of(web("api", 0), web("admin", taken.getsockname()[1])), (given, "api"))
    assert is_free(port)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_replicas_share_one_socket() -> None:
    """One port for all, also a chosen one; replicas that come later find it under the same name."""
    spec = component("web", kind=Kind.ASGI, bind=Bind(0), replicas=3)
    with bound(plan_of(spec, component("worker"))) as listening:
        assert list(listening.sockets) == ["web"]
        port = port_of(listening, "web")
        assert port != 0
        assert {port_of(listening, name) for name in ("web.2", "web.3")} == {port}
        grown = scaled(listening.plan, "web", 5)
        assert grown.components["web.5"].bind == Bind(port)
        assert grown.components["web.5"].declared_name in listening.sockets

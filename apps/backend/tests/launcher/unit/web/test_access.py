"""Who may ask over TCP, row by row, and how logins come and go."""

from __future__ import annotations

import secrets

import pytest

from launcher.web.access import Access, Reach
from launcher.web.messages import Refusal, Request
from launcher.web.sessions import CODE_SECONDS, CODES, SESSIONS, Sessions

OWN = "127.0.0.1:8100"
TOKEN = {"authorization": "Bearer secret"}
SESSION = {"cookie": "other=1; launcher-8100={session}"}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("method", "headers", "reach", "status"),
    [
        ("GET", {"host": OWN, **TOKEN}, Reach.OWNER, 0),
        ("POST", {"host": OWN, **TOKEN}, Reach.OWNER, 0),
        ("POST", {"host": OWN, "authorization": "bearer  secret "}, Reach.OWNER, 0),
        ("GET", {"host": "LOCALHOST:8100", **TOKEN}, Reach.OWNER, 0),
        ("GET", {"host": "[::1]:8100", **TOKEN}, Reach.OWNER, 0),
        ("GET", {"host": OWN}, Reach.ANYBODY, 0),
        # No token, or another one.
        ("GET", {"host": OWN}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "authorization": "Bearer secre"}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "authorization": "Bearer secret2"}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "authorization": "Bearer "}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "authorization": "Basic secret"}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "authorization": "secret"}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "authorization": "Bearer s\u00e9cret"}, Reach.OWNER, 401),
        # Another server, even for what is open to everybody and with the token.
        ("GET", {**TOKEN}, Reach.OWNER, 421),
        ("GET", {"host": "", **TOKEN}, Reach.OWNER, 421),
        ("GET", {"host": "127.0.0.1", **TOKEN}, Reach.OWNER, 421),
        ("GET", {"host": "127.0.0.1:8101", **TOKEN}, Reach.OWNER, 421),
        ("GET", {"host": "evil.example:8100", **TOKEN}, Reach.OWNER, 421),
        ("GET", {"host": "localhost.evil.example:8100"}, Reach.ANYBODY, 421),
        # A page of another server, even with the token.
        ("GET", {"host": OWN, "origin": f"http://{OWN}", **TOKEN}, Reach.OWNER, 0),
        ("GET", {"host": OWN, "origin": "http://127.0.0.1:8000", **TOKEN}, Reach.OWNER, 403),
        ("GET", {"host": OWN, "origin": f"https://{OWN}", **TOKEN}, Reach.OWNER, 403),
        ("GET", {"host": OWN, "origin": "http://localhost:8100", **TOKEN}, Reach.OWNER, 403),
        ("GET", {"host": OWN, "origin": "null", **TOKEN}, Reach.OWNER, 403),
        ("GET", {"host": OWN, "origin": ""}, Reach.ANYBODY, 403),
        ("GET", {"host": OWN, "origin": f"http://{OWN}, http://{OWN}", **TOKEN}, Reach.OWNER, 403),
        # A browser that has logged in.
        ("GET", {"host": OWN, **SESSION}, Reach.OWNER, 0),
        ("POST", {"host": OWN, "origin": f"http://{OWN}", **SESSION}, Reach.OWNER, 0),
        ("POST", {"host": OWN, **SESSION}, Reach.OWNER, 403),
        ("POST", {"host": OWN, "origin": "http://127.0.0.1:8000", **SESSION}, Reach.OWNER, 403),
        ("GET", {"host": OWN, "cookie": "launcher-8101={session}"}, Reach.OWNER, 401),
        ("GET", {"host": OWN, "cookie": "launcher-8100=x; x={session}"}, Reach.OWNER, 401),
        # What only the control socket offers.
        ("POST", {"host": OWN, **TOKEN}, Reach.SOCKET, 403),
    ],
)
def test_who_may(method: str, headers: dict[str, str], reach: Reach, status: int) -> None:
    """Each request passes, or is refused with the status that fits and a hint."""
    sessions = Sessions(f"http://{OWN}")
    session = sessions.begin(sessions.new_code())
    given = {name: value.replace("{session}", session) for name, value in headers.items()}
    request = Request(method, "/status", headers=given)
    access = Access("secret", 8100, sessions)
    if not status:
        access.admit(request, reach)
        return
    with pytest.raises(Refusal) as caught:
        access.admit(request, reach)
    assert caught.value.status == status
    assert caught.value.hint
    assert ("WWW-Authenticate" in dict(caught.value.headers)) is (status == 401)


def test_the_usual_port_needs_no_number() -> None:
    """Clients leave out port 80."""
    access = Access("secret", 80, Sessions("http://127.0.0.1:80"))
    access.admit(Request("GET", "/", headers={"host": "localhost"}), Reach.ANYBODY)


def test_a_code_can_be_used_once_and_not_for_long() -> None:
    """A login happens within a minute of its code, and only once."""
    clock = Clock()
    sessions = Sessions(f"http://{OWN}", clock)
    first, second = sessions.new_code(), sessions.new_code()
    session = sessions.begin(first)
    assert sessions.knows(session)
    assert not sessions.begin(first)
    clock.now += CODE_SECONDS + 0.1
    assert not sessions.begin(second)
    assert sessions.knows(session)
    for wrong in ("", "x", session, "\udcff"):
        assert not sessions.begin(wrong)
    assert not sessions.knows("")


def test_logins_do_not_pile_up() -> None:
    """One more code or session than is remembered ends the oldest."""
    sessions = Sessions(f"http://{OWN}")
    codes = [sessions.new_code() for _ in range(CODES + 1)]
    assert not sessions.begin(codes[0])
    begun = [sessions.begin(sessions.new_code()) for _ in range(SESSIONS + 1)]
    assert [sessions.knows(session) for session in begun] == [False, *[True] * SESSIONS]


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every secret goes through the comparison that does not stop at the first difference."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(secrets, "compare_digest", compare)
    sessions = Sessions(f"http://{OWN}")
    code = sessions.new_code()
    session = sessions.begin(code)
    Access("secret", 8100, sessions).admit(Request("GET", "/", headers={"host": OWN, **TOKEN}), Reach.OWNER)
    assert sessions.knows(session)
    assert compared == [
        (code.encode(), code.encode()),
        (b"secret", b"secret"),
        (session.encode(), session.encode()),
    ]

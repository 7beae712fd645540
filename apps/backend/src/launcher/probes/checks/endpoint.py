"""What a check knows about the other side: addresses, credentials, encryption."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, unique

from launcher.probes.checks.tls import TlsSettings

SHORTEST_SECRET = 4
"""Shorter texts, in characters, are not looked for in what a peer says."""


@unique
class Protocol(StrEnum):
    """What a check speaks with the peer."""

    POSTGRESQL = "PostgreSQL"
    REDIS = "Redis"
    BOLT = "Bolt"
    HTTP = "HTTP"
    TCP = "TCP"


class InvalidEndpoint(ValueError):
    """The URL cannot be checked; the message never contains the URL's secrets.

    Attributes:
        hint: what to write instead; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP address as the URL names it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Unix:
    """The path of a Unix-domain socket."""

    path: str

    def __str__(self) -> str:
        return self.path


Address = Tcp | Unix


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A parsed URL; its representation shows no secret.

    Attributes:
        protocol: what is spoken there.
        addresses: tried in this order until one accepts a connection.
        user: decoded user name; empty when the URL has none.
        password: decoded password; empty when the URL has none.
        database: name or number of the database; empty for the default one.
        target: path and query of an HTTP request.
        tls: whether and how the connection is encrypted.
    """

    protocol: Protocol
    addresses: tuple[Address, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    database: str = ""
    target: str = field(default="/", repr=False)
    tls: TlsSettings = field(default_factory=TlsSettings)

    @property
    def secret(self) -> str:
        """What to hide in words that come from the peer; empty when hiding would do harm only.

        That is so for a password that is public anyway (``postgres:postgres@``), and for a very short one: masked
        inside of ordinary words, it could be read off the gaps.
        """
        public = self.password in {self.user, self.database} or len(self.password) < SHORTEST_SECRET
        return "" if public else self.password

"""Where the services are, read from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

POSTGRES_DRIVER = "postgresql+asyncpg"


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses and names; the defaults fit the development servers on their standard ports.

    `namespace` prefixes every Redis key and graph key, so that several newsdesks can share servers.
    `consumer` names this machine in the consumer groups; copies of an agent on different machines need
    different names.
    """

    postgres_url: str = f"{POSTGRES_DRIVER}://newsdesk@127.0.0.1:5432/postgres"
    redis_url: str = "redis://127.0.0.1:6379/0"
    neo4j_url: str = "bolt://127.0.0.1:7687"
    neo4j_user: str = "root"
    neo4j_password: str = field(default="newsdesk-local", repr=False)
    namespace: str = "newsdesk"
    consumer: str = "local"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read POSTGRES_URL, REDIS_URL, NEO4J_URL, NEO4J_USER, NEO4J_PASSWORD, NEWSDESK_NAMESPACE and NEWSDESK_CONSUMER.

        An unset or empty variable means the default. A plain `postgresql://` URL is taken too, and means
        asyncpg. Raises ValueError, naming the variable, for a URL of another kind of server.
        """
        names = {
            "postgres_url": "POSTGRES_URL",
            "redis_url": "REDIS_URL",
            "neo4j_url": "NEO4J_URL",
            "neo4j_user": "NEO4J_USER",
            "neo4j_password": "NEO4J_PASSWORD",
            "namespace": "NEWSDESK_NAMESPACE",
            "consumer": "NEWSDESK_CONSUMER",
        }
        given = {attribute: environment[name] for attribute, name in names.items() if environment.get(name)}
        settings = cls(**given)
        _require_scheme("POSTGRES_URL", settings.postgres_url, (POSTGRES_DRIVER, "postgresql", "postgres"))
        _require_scheme("REDIS_URL", settings.redis_url, ("redis", "rediss", "unix"))
        _require_scheme(
            "NEO4J_URL", settings.neo4j_url, ("bolt", "neo4j", "bolt+s", "neo4j+s", "bolt+ssc", "neo4j+ssc")
        )
        return settings


def address(url: str) -> str:
    """Host and port of a URL, without its credentials; a socket path for `unix://`."""
    parts = urlsplit(url)
    if parts.hostname is None:
        return parts.path or url
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname


def with_driver(postgres_url: str) -> str:
    """`postgres_url` naming the asyncpg driver, as SQLAlchemy needs it."""
    scheme, separator, rest = postgres_url.partition("://")
    return f"{POSTGRES_DRIVER}{separator}{rest}" if scheme in ("postgres", "postgresql") else postgres_url


def _require_scheme(name: str, url: str, allowed: tuple[str, ...]) -> None:
    scheme = urlsplit(url).scheme
    if scheme not in allowed:
        raise ValueError(f"{name} has the scheme {scheme or 'none'!r}; expected one of {', '.join(allowed)}")

"""URLs of external services: which schemes can be asked whether the server behind them works."""

from __future__ import annotations

import re

from launcher.config.secrets import redacted
from launcher.config.values import BadValue, parse_nonempty

HTTP_SCHEMES = ("http", "https")
DATABASE_SCHEMES = (
    "postgresql",
    "postgres",
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "unix",
    "neo4j",
    "neo4j+s",
    "neo4j+ssc",
    "bolt",
    "bolt+s",
    "bolt+ssc",
)
PORT_ONLY = {
    "mysql": 3306,
    "mariadb": 3306,
    "mongodb": 27017,
    "amqp": 5672,
    "nats": 4222,
    "kafka": 9092,
    "memcached": 11211,
}
"""Services that can only be asked for a connection, with their registered ports."""
SCHEMES = (*DATABASE_SCHEMES, *HTTP_SCHEMES, "tcp")

_URL = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)$", re.DOTALL)
_PORT = re.compile(r":(\d+)$")


def scheme_of(url: str) -> str:
    """Return the scheme in lower case, without SQLAlchemy's driver (``postgresql+asyncpg`` is ``postgresql``)."""
    found = _URL.match(url)
    scheme = found["scheme"].lower() if found else ""
    base = scheme.partition("+")[0]
    return base if base in {"postgresql", "postgres"} else scheme


def parse_url(value: object) -> str:
    """Check the URL of a service; messages never hold its password."""
    text = parse_nonempty(value).strip()
    found = _URL.match(text)
    if not found:
        raise BadValue(
            f'must be a URL, not "{_masked(text)}"',
            'for example "postgresql://user:password@127.0.0.1:5432/name"',
        )
    if (scheme := scheme_of(text)) not in SCHEMES:
        raise BadValue(f'has the unknown scheme "{scheme}"', _scheme_hint(scheme))
    if scheme in {"tcp", *HTTP_SCHEMES}:
        _check_authority(scheme, found["rest"])
    if re.search(r"\s", text):
        raise BadValue("must not hold white space", "write special characters of a password as %XX")
    return text


def _scheme_hint(scheme: str) -> str:
    from launcher.core.suggest import closest

    base = scheme.partition("+")[0]
    if base in PORT_ONLY:
        return f"write tcp://ADDRESS:{PORT_ONLY[base]} to ask for a connection only"
    if base == "sqlite":
        return "a file is no service: leave this dependency out"
    near = closest(scheme, SCHEMES)
    return (
        f"did you mean {near}://?"
        if near
        else f"known: {', '.join(SCHEMES)}; tcp://ADDRESS:PORT asks for a connection only"
    )


def _masked(text: str) -> str:
    # What is no URL may still be a connection string with a password in it: only a plain word is shown whole.
    return text if re.match(r"^[\w.:/-]*$", text) and "@" not in text else redacted(text[:12]) + "..."


def _check_authority(scheme: str, rest: str) -> None:
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    port = _PORT.search(authority)
    if not authority or authority == (port[0] if port else ""):
        raise BadValue("names no address", f'for example "{scheme}://127.0.0.1:8080"')
    if scheme == "tcp" and not port:
        raise BadValue("names no port", 'for example "tcp://127.0.0.1:5432"')
    if port and not 1 <= int(port[1]) <= 65535:
        raise BadValue(f"has the port {port[1]}, but ports go from 1 to 65535")


def tcp_target(url: str) -> str:
    """Return ``address:port`` of a ``tcp://`` URL."""
    return re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]

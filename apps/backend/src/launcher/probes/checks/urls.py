"""From the URL of a dependency to what a check needs: addresses, credentials, database, TLS.

The accepted forms are those of the usual Python drivers: libpq and SQLAlchemy for PostgreSQL (``postgresql+asyncpg``
and other driver suffixes, ``?host=/socket/directory``, several hosts), redis-py for Redis and Valkey (``redis``,
``rediss``, ``unix``), the official driver for Bolt (``bolt``, ``neo4j``, with ``+s`` or ``+ssc``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote

from launcher.probes.checks.endpoint import Address, Endpoint, InvalidEndpoint, Protocol, Tcp, Unix
from launcher.probes.checks.redaction import SCHEME, redact
from launcher.probes.checks.result import printable
from launcher.probes.checks.tls import TlsMode, TlsSettings

__all__ = ["InvalidEndpoint", "parse_endpoint", "redact"]

PORT_ONLY = {
    "mysql": 3306,
    "mariadb": 3306,
    "mongodb": 27017,
    "amqp": 5672,
    "nats": 4222,
    "kafka": 9092,
    "memcached": 11211,
}
"""Well-known services whose protocol no check speaks, with their registered ports."""


DEFAULT_PORTS = {Protocol.POSTGRESQL: 5432, Protocol.REDIS: 6379, Protocol.BOLT: 7687}
"""Ports that the respective servers listen on unless told otherwise."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """A URL taken to pieces, all decoded but ``query`` and ``path``."""

    scheme: str
    user: str
    password: str
    hosts: tuple[str, ...]
    path: str
    query: str
    options: dict[str, str]


_SCHEMES: dict[str, tuple[Protocol, TlsMode]] = {
    "postgresql": (Protocol.POSTGRESQL, TlsMode.PREFER),
    "postgres": (Protocol.POSTGRESQL, TlsMode.PREFER),
    "redis": (Protocol.REDIS, TlsMode.OFF),
    "rediss": (Protocol.REDIS, TlsMode.VERIFY),
    "valkey": (Protocol.REDIS, TlsMode.OFF),
    "valkeys": (Protocol.REDIS, TlsMode.VERIFY),
    "unix": (Protocol.REDIS, TlsMode.OFF),
    "bolt": (Protocol.BOLT, TlsMode.OFF),
    "bolt+s": (Protocol.BOLT, TlsMode.VERIFY),
    "bolt+ssc": (Protocol.BOLT, TlsMode.UNVERIFIED),
    "neo4j": (Protocol.BOLT, TlsMode.OFF),
    "neo4j+s": (Protocol.BOLT, TlsMode.VERIFY),
    "neo4j+ssc": (Protocol.BOLT, TlsMode.UNVERIFIED),
    "http": (Protocol.HTTP, TlsMode.OFF),
    "https": (Protocol.HTTP, TlsMode.VERIFY),
    "tcp": (Protocol.TCP, TlsMode.OFF),
}
SCHEMES = tuple(_SCHEMES)
"""The URL schemes that can be checked; those of PostgreSQL also with a ``+driver`` suffix."""


def parse_endpoint(url: str) -> Endpoint:
    """Read the URL of a dependency.

    Raises:
        InvalidEndpoint: (a `ValueError`) the scheme is unknown or a part is malformed; says which, with a hint.
    """
    parts = _split(url)
    protocol, mode = _protocol_of(parts.scheme)
    user = parts.user or parts.options.get("user", "") or parts.options.get("username", "")
    password = parts.password or parts.options.get("password", "")
    if "\0" in unquote(url):  # would end a field of PostgreSQL's messages and begin another one
        raise InvalidEndpoint("the URL contains a NUL character")
    endpoint = Endpoint(protocol, (), user, password, tls=TlsSettings(mode))
    match protocol:
        case Protocol.POSTGRESQL:
            return _postgresql(endpoint, parts)
        case Protocol.REDIS:
            return _redis(endpoint, parts)
        case Protocol.BOLT:
            return replace(endpoint, addresses=_tcp_addresses(parts, DEFAULT_PORTS[protocol], "localhost"))
        case Protocol.HTTP:
            default = 443 if parts.scheme == "https" else 80
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            target = quote(target, safe="/%:=&?~+!$,;'@()*[]")
            return replace(endpoint, addresses=_tcp_addresses(parts, default), target=target)
        case Protocol.TCP:
            return replace(endpoint, addresses=_tcp_addresses(parts, 0))


def _split(url: str) -> _Parts:
    scheme, separator, rest = url.strip().partition("://")
    if not separator or SCHEME.fullmatch(scheme) is None:
        raise InvalidEndpoint(
            f"{redact(url)!r} is not a URL", "write scheme://host:port, such as tcp://localhost:5432"
        )
    end = next((index for index, char in enumerate(rest) if char in "/?#"), len(rest))
    userinfo, _, hosts = rest[:end].rpartition("@")
    path, _, query = rest[end:].partition("#")[0].partition("?")
    user, _, password = userinfo.partition(":")
    options = {key.lower(): value for key, value in parse_qsl(query, keep_blank_values=True)}
    return _Parts(
        scheme.lower(), unquote(user), unquote(password), tuple(hosts.split(",")), path, query, options
    )


def _protocol_of(scheme: str) -> tuple[Protocol, TlsMode]:
    base = scheme.partition("+")[0]
    if found := _SCHEMES.get(scheme):
        return found
    if base in {"postgresql", "postgres"}:
        return _SCHEMES[base]
    if base in PORT_ONLY:
        hint = f"write tcp://HOST:{PORT_ONLY[base]} to check that its port accepts connections"
        raise InvalidEndpoint(f"{scheme}:// cannot be checked in its own protocol", hint)
    if base == "sqlite":
        raise InvalidEndpoint("sqlite:// is a file, not a service", "remove this dependency")
    import difflib

    close = difflib.get_close_matches(scheme, SCHEMES, n=1)
    known = f"known schemes: {', '.join(SCHEMES)}"
    hint = f"did you mean {close[0]}://? {known}" if close else known
    raise InvalidEndpoint(f"unknown URL scheme {printable(scheme)!r}", hint)


def _postgresql(endpoint: Endpoint, parts: _Parts) -> Endpoint:
    port = _port(parts.options.get("port") or "5432")
    hosts = tuple(host for host in (parts.options.get("host") or ",".join(parts.hosts)).split(",") if host)
    if not hosts:
        hosts = ("/run/postgresql", "/tmp", "localhost")  # noqa: S108 (where servers put their socket by default)
    addresses = tuple(
        Unix(f"{unquote(host)}/.s.PGSQL.{port}") if unquote(host).startswith("/") else _tcp(host, port)
        for host in hosts
    )
    asked = parts.options.get("sslmode") or parts.options.get("ssl") or ""
    modes = {
        "": TlsMode.PREFER,
        "disable": TlsMode.OFF,
        "false": TlsMode.OFF,
        "allow": TlsMode.PREFER,
        "prefer": TlsMode.PREFER,
        "require": TlsMode.UNVERIFIED,
        "verify-ca": TlsMode.VERIFY_CA,
        "verify-full": TlsMode.VERIFY,
        "true": TlsMode.VERIFY,
    }
    if asked.lower() not in modes:
        raise InvalidEndpoint(
            "unknown sslmode in the URL", f"known are {', '.join(mode for mode in modes if mode)}"
        )
    options = parts.options
    files = (options.get("sslrootcert", ""), options.get("sslcert", ""), options.get("sslkey", ""))
    tls = TlsSettings(modes[asked.lower()], *files)
    database = unquote(parts.path[1:]) or options.get("dbname", "") or options.get("database", "")
    return replace(endpoint, addresses=addresses, database=database, tls=tls)


def _redis(endpoint: Endpoint, parts: _Parts) -> Endpoint:
    options = parts.options
    if parts.scheme == "unix":
        path = unquote("".join(parts.hosts) + parts.path)
        if not path.startswith("/"):
            raise InvalidEndpoint(
                "the URL names no socket", "write unix:///path/to/redis.sock, with three slashes"
            )
        addresses: tuple[Address, ...] = (Unix(path),)
        database = options.get("db", "")
    else:
        addresses = _tcp_addresses(parts, DEFAULT_PORTS[Protocol.REDIS], "localhost")
        database = options.get("db") or unquote(parts.path.strip("/"))
    if database and not (database.isascii() and database.isdigit()):
        raise InvalidEndpoint("the database in a Redis URL is not a number", "write redis://host:6379/0")
    mode = endpoint.tls.mode
    if mode is TlsMode.VERIFY and options.get("ssl_cert_reqs", "required").lower() in {
        "none",
        "optional",
        "cert_none",
    }:
        mode = TlsMode.UNVERIFIED
    elif mode is TlsMode.VERIFY and options.get("ssl_check_hostname", "").lower() in {"false", "no", "0"}:
        mode = TlsMode.VERIFY_CA
    files = (options.get("ssl_ca_certs", ""), options.get("ssl_certfile", ""), options.get("ssl_keyfile", ""))
    return replace(endpoint, addresses=addresses, database=database, tls=TlsSettings(mode, *files))


def _tcp_addresses(parts: _Parts, default_port: int, default_host: str = "") -> tuple[Address, ...]:
    if len(parts.hosts) > 1:
        raise InvalidEndpoint(
            f"several hosts in a {parts.scheme}:// URL", "declare one dependency for each of them"
        )
    return (_tcp(parts.hosts[0] or default_host, default_port),)


def _tcp(text: str, default_port: int) -> Tcp:
    """Read ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``; a default port of 0 means that one must be given."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
        malformed = not bracket or bool(rest and not rest.startswith(":"))
    else:
        host, _, port = text.partition(":")
        malformed = ":" in port
    if malformed:
        raise InvalidEndpoint(
            "the host in the URL is malformed", "IPv6 addresses are written in brackets: [::1]:5432"
        )
    host = unquote(host)
    if not host or any(char.isspace() or not char.isprintable() for char in host):
        raise InvalidEndpoint("the URL names no host" if not host else "the host in the URL is malformed")
    if not port and not default_port:
        raise InvalidEndpoint("the URL names no port", "write tcp://host:port")
    return Tcp(host, _port(port) if port else default_port)


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536:
        return int(text)
    # Not quoted: with a raw delimiter in a password, a piece of the password stands where the port is expected.
    hint = "if a user name or password contains one of @ : / ? # %, percent-encode it (@ is %40)"
    raise InvalidEndpoint("the port in the URL is not a number from 1 to 65535", hint)

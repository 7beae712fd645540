"""URLs of state stores."""

from __future__ import annotations

import re

from launcher.config.values import BadValue, parse_nonempty

SCHEMES = ("memory", "sqlite", "redis", "rediss", "valkey", "valkeys")
MEMORY = "memory://"
_EXAMPLES = 'for example "sqlite:///.launcher/state.db" or "redis://127.0.0.1:6379/0"'
_ESCAPE = "write special characters of a password as %XX"


def parse_state_url(value: object) -> str:
    """Check the URL of a state store; messages never hold any part of it but its scheme, since it may hold a password."""
    text = parse_nonempty(value).strip()
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise BadValue("must be a URL", _EXAMPLES)
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        from launcher.core.suggest import closest

        near = closest(scheme, SCHEMES)
        known = re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme)
        what = f'has the unknown scheme "{scheme}"' if known else "has an unknown scheme"
        raise BadValue(what, f"did you mean {near}://?" if near else _EXAMPLES)
    if scheme == "memory":
        if rest:
            raise BadValue("has something after memory://", f'write "{MEMORY}"')
    elif scheme == "sqlite":
        _check_file(rest)
    else:
        _check_server(rest)
    return f"{scheme}://{rest}"


def _check_file(rest: str) -> None:
    if not rest.startswith("/") or not rest.strip("/") or rest.endswith("/"):
        raise BadValue(
            "names no file",
            'sqlite:///PATH, with three slashes; relative to the project: "sqlite:///.launcher/state.db"',
        )
    if ":memory:" in rest:
        raise BadValue("names no file", f'write "{MEMORY}" to keep the state in memory')


def _check_server(rest: str) -> None:
    from urllib.parse import urlsplit

    if re.search(r"\s", rest):
        raise BadValue("must not hold white space", _ESCAPE)
    try:
        parts = urlsplit(f"redis://{rest}")
        named, port = parts.hostname, parts.port
    except ValueError:
        raise BadValue("has no usable address", _ESCAPE) from None
    if not named or port == 0:
        raise BadValue("names no address", 'for example "redis://127.0.0.1:6379/0"')
    if "@" in parts.path or parts.fragment or not re.fullmatch(r"/?\d*", parts.path):
        raise BadValue(
            "has no number of a database after the address",
            f'for example "redis://127.0.0.1:6379/0"; {_ESCAPE}',
        )

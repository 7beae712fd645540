"""Showing URLs and command lines without the secrets in them."""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "***"
"""What is shown in place of a secret."""

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")  # RFC 3986, section 3.1

_SENSITIVE = re.compile(
    r"pass|pwd|secret|token|credential|signature|auth|api_?key|access_?key|private_?key|(^|[_.-])(key|sig)$"
)
_QUERY_VALUE = re.compile(r"(?P<key>[^&;=?#\s]+)=(?P<value>[^&;#]*)")
_WORD_VALUE = re.compile(r"(?P<key>[^\s=]+)\s*=\s*(?P<value>'[^']*'|\"[^\"]*\"|\S+)")
_ADDRESS = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(:\d*)?(,(\[[^\]]*\]|[^:\[\]]*)(:\d*)?)*")


def is_sensitive(name: str) -> bool:
    """Whether the value of a variable, option or query parameter of this name must not be shown."""
    return _SENSITIVE.search(name.lower()) is not None


def redact(url: str) -> str:
    """The URL with password and sensitive query values replaced by ``***``.

    Works on anything, malformed URLs included: where a raw ``@``, ``/``, ``?`` or ``#`` in a password makes the
    URL ambiguous, everything after the user name is hidden, rather too much than too little. Other text, such as
    a ``host=… password=…`` connection string, loses the values of sensitive words.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or SCHEME.fullmatch(scheme) is None:
        return _redact_text(url)
    end = next((index for index, char in enumerate(rest) if char in "/?#"), len(rest))
    authority, tail = rest[:end], _redact_query(rest[end:])
    userinfo, at, address = authority.rpartition("@")
    if _is_ambiguous(authority, address, rest[end:]):
        return f"{scheme}://{_user_of(scheme, authority)}{MASK}"
    if not at:
        return f"{scheme}://{authority}{tail}"
    return f"{scheme}://{_user_of(scheme, userinfo + '@')}{_password_mask(scheme, userinfo)}@{address}{tail}"


def redact_argument(argument: str) -> str:
    """One word of a command line without its secrets: ``--password=x``, ``TOKEN=x`` and URLs are covered."""
    name, equals, value = argument.partition("=")
    if equals and is_sensitive(name):
        return f"{name}={MASK}"
    return f"{name}={redact(value)}" if equals and "://" in value else redact(argument)


def redact_command(argv: list[str], shown: int = 4, width: int = 120) -> str:
    """The beginning of a command line, fit to be shown to whoever may read a log.

    Args:
        argv: program and arguments.
        shown: how many words are shown at most.
        width: the longest text, in characters.
    """
    words: list[str] = []
    hide_next = False
    for word in argv[:shown]:
        words.append(MASK if hide_next else redact_argument(word))
        hide_next = word.startswith("-") and "=" not in word and is_sensitive(word.lstrip("-"))
    text = " ".join(words) + (" …" if len(argv) > shown else "")
    return text if len(text) <= width else text[: width - 1] + "…"


def _is_ambiguous(authority: str, address: str, tail: str) -> bool:
    """Whether a part of a password may lie outside of the place where a password belongs."""
    if "@" in tail and ("@" in authority or ":" in authority):
        return True
    return _ADDRESS.fullmatch(address) is None


def _user_of(scheme: str, authority: str) -> str:
    """The user name with its colon, where showing it is safe."""
    user, colon, _ = authority.partition(":")
    if colon and "@" not in user:
        return f"{user}:"
    if colon or _is_web(scheme):
        return ""
    return user.partition("@")[0]


def _password_mask(scheme: str, userinfo: str) -> str:
    """Nothing for a lone user name, except over HTTP, where it often is an access token."""
    return MASK if ":" in userinfo or _is_web(scheme) else ""


def _is_web(scheme: str) -> bool:
    return scheme.lower() in {"http", "https"}


def _redact_query(tail: str) -> str:
    def masked(match: re.Match[str]) -> str:
        key, value = match["key"], match["value"]
        return f"{key}={MASK if is_sensitive(unquote(key)) and value else value}"

    path, mark, query = tail.partition("?")
    return path + mark + _QUERY_VALUE.sub(masked, query)


def _redact_text(text: str) -> str:
    def masked(match: re.Match[str]) -> str:
        return f"{match['key']}={MASK}" if is_sensitive(match["key"]) else match[0]

    shown = _WORD_VALUE.sub(masked, text)
    if "@" not in text.partition(":")[2]:
        return shown
    before, colon, _ = shown.partition(":")  # user:password@host without a scheme, as far as anybody can tell
    return f"{before}:{MASK}" if colon else shown

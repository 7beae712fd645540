"""Keep passwords and tokens out of everything that is shown."""

from __future__ import annotations

import re

MASK = "***"

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)?$|password|secret|token|credential|(api|access|private|signing|encryption)_?key|_key$|^key$"
    r"|_pw$|^auth$",
    re.IGNORECASE,
)
# The user part ends at the first colon, the password at the last @ before path, query or fragment.
_AUTHORITY = re.compile(r"(?P<front>[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@\"']*:)(?P<password>[^\s/?#]*)(?=@)")
# A password that holds an unescaped / or ? is wrong in a URL, but must not be shown for that; only a port is digits before these.
_LOOSE = re.compile(
    r"(?P<front>[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@\"']*:)(?!\*\*\*@)(?!\d*[/?#])(?P<password>[^\s@]*)(?=@)"
)
_PARAMETER = re.compile(r"(?P<front>[?&](?P<name>[A-Za-z0-9_.-]+)=)(?P<value>[^&\s#\"']*)")


def is_secret_name(name: str) -> bool:
    """Tell whether a variable or parameter of this name is likely to hold a secret."""
    return _SECRET_NAME.search(name) is not None


def redacted(text: str) -> str:
    """Return ``text`` with the passwords of all URLs in it replaced by ``***``.

    >>> redacted("postgresql://app:s3cret@db/news?sslmode=require")
    'postgresql://app:***@db/news?sslmode=require'
    """
    if "://" not in text:
        return text
    text = _AUTHORITY.sub(rf"\g<front>{MASK}", text)
    text = _LOOSE.sub(rf"\g<front>{MASK}", text)
    return _PARAMETER.sub(
        lambda found: f"{found['front']}{MASK}" if is_secret_name(found["name"]) else found[0], text
    )


def shown(name: str, value: str) -> str:
    """Return what may be shown of the value of the variable ``name``."""
    return MASK if value and is_secret_name(name) else redacted(value)


def destination(url: str) -> str:
    """Return what may be shown of an address that is a secret as a whole: where it leads, not what stands behind that.

    >>> destination("https://chat.example.com:8443/hooks/T0K3N")
    'https://chat.example.com:8443/***'
    """
    from urllib.parse import urlsplit  # takes milliseconds, and few declarations have such addresses

    parts = urlsplit(url)
    behind = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" + (f"/{MASK}" if behind else "")

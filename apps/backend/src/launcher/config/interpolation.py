"""``${VAR}`` in texts: ``${VAR:-default}``, ``${VAR:?message}``, and ``$$`` for a plain dollar sign.

As in a shell, a colon makes an empty variable count as unset. A dollar sign before anything else stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from launcher.config.secrets import MASK, is_secret_name, shown

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BadText(Exception):
    """A text that cannot be interpolated.

    Attributes:
        unset: the variable that is missing, or empty when the text itself is malformed.
    """

    def __init__(self, what: str, hint: str = "", unset: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.unset = unset


def has_variables(text: str) -> bool:
    """Tell whether a text needs interpolation."""
    return "${" in text or "$$" in text


def interpolated(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with its variables replaced; raises :class:`BadText`."""
    return "".join(_parts(text, lambda reference: _resolved(reference, variables)))


def masked(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with its variables replaced by what may be shown of them."""
    safe = {name: shown(name, value) for name, value in variables.items()}
    return "".join(_parts(text, lambda reference: _shown(reference, safe)))


def _shown(reference: str, safe: Mapping[str, str]) -> str:
    found = _NAME.match(reference)
    value = _resolved(reference, safe)
    return MASK if found and is_secret_name(found[0]) and value else value


def protected(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace each reference by one private character, so that the text can be split into words without tearing one apart.

    Returns the text and the references in their order; :func:`restored` puts them back.
    """
    references: list[str] = []

    def keep(reference: str) -> str:
        references.append("${" + reference + "}")
        return chr(_PRIVATE + len(references) - 1)

    return "".join(_parts(text, keep, keep_dollars=True)), tuple(references)


_PRIVATE = 0xF0000
"""First of Unicode's private characters beyond those that fonts use."""


def restored(text: str, references: tuple[str, ...]) -> str:
    """Undo :func:`protected`."""
    for number, reference in enumerate(references):
        text = text.replace(chr(_PRIVATE + number), reference)
    return text


def _parts(text: str, resolve: Callable[[str], str], *, keep_dollars: bool = False) -> list[str]:
    parts: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        following = text[dollar + 1 : dollar + 2]
        if following == "$":
            parts.append("$$" if keep_dollars else "$")
            position = dollar + 2
        elif following == "{":
            end = _closing(text, dollar + 2)
            parts.append(resolve(text[dollar + 2 : end]))
            position = end + 1
        else:
            parts.append("$")
            position = dollar + 1
    parts.append(text[position:])
    return parts


def _closing(text: str, start: int) -> int:
    depth = 1
    position = start
    while position < len(text):
        if text.startswith("${", position):
            depth += 1
            position += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
        position += 1
    raise BadText("holds ${ without a closing }", "write $${ for the two characters themselves")


def _resolved(reference: str, variables: Mapping[str, str]) -> str:
    found = _NAME.match(reference)
    rest = reference[found.end() :] if found else ""
    if not found or (rest and rest[:1] not in {"-", "?"} and rest[:2] not in {":-", ":?"}):
        raise BadText(
            f"cannot make sense of ${{{reference}}}",
            "write ${VAR}, ${VAR:-default} or ${VAR:?message}; $$ is a dollar sign",
        )
    name = found[0]
    value = variables.get(name)
    colon = rest.startswith(":")
    if value is not None and (value or not colon):
        return value
    if rest[colon : colon + 1] == "-":
        return interpolated(rest[colon + 1 :], variables)
    message = interpolated(rest[colon + 1 :], variables)
    missing = "is empty" if value is not None else "is not set"
    what = f"needs the variable {name}, which {missing}{': ' + message if message else ''}"
    raise BadText(
        what, f"set {name} in the environment or in .env, or write ${{{name}:-default}}", unset=name
    )

"""Types of single values: how each is checked, read from text, and described in the JSON Schema.

A parser takes a value as TOML gives it and returns the value that the specs hold, or raises :class:`BadValue`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from launcher.model.spec import MOST_REPLICAS

NAME_PATTERN = r"^[A-Za-z0-9_-]{1,63}$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
TARGET_PATTERN = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
DURATION_PATTERN = r"^\s*(\d+(\.\d+)?\s*(ms|s|m|h)\s*)+$"
ADDRESS_PATTERN = r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(%\w+)?)$"
SIGNALS = ("ABRT", "ALRM", "CONT", "HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2", "WINCH")

_UNITS = {"s": 1, "m": 60, "h": 3600}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)")
_TRUTH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


class BadValue(Exception):
    """A value that cannot be used.

    Attributes:
        what: completes the sentence "KEY …".
        hint: what to write instead; may be empty.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class Type(NamedTuple):
    """One type of value.

    Attributes:
        name: the type in the reference table.
        parse: checks a value of TOML and returns what the specs hold; raises :class:`BadValue`.
        schema: the JSON Schema of what may be written.
        from_text: makes the TOML form out of text from the environment, a flag or an interpolated string.
    """

    name: str
    parse: Callable[[object], object]
    schema: Mapping[str, object]
    from_text: Callable[[str], object] = str


def described(value: object) -> str:
    """Say what a value is, as a person would."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'the text "{value if len(value) <= 60 else value[:57] + "..."}"'
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list"
    return "a table" if isinstance(value, dict) else f"a {type(value).__name__}"


def wanted(value: object, what: str, hint: str = "") -> BadValue:
    """Make the error for a value of the wrong type."""
    return BadValue(f"must be {what}, not {described(value)}", hint)


# ---- text and truth ------------------------------------------------------------------------------------------------------------


def parse_text(value: object) -> str:
    """Check a text."""
    if not isinstance(value, str):
        hint = f'put it in quotes: "{value}"' if isinstance(value, int | float) else ""
        raise wanted(value, "a text", hint)
    if "\0" in value:
        raise BadValue("must not hold a NUL character")
    return value


def parse_nonempty(value: object) -> str:
    """Check a text that says something."""
    text = parse_text(value)
    if not text.strip():
        raise BadValue("must not be empty")
    return text


def parse_variable_value(value: object) -> str:
    """Check the value of an environment variable; numbers become text."""
    if isinstance(value, bool):
        raise wanted(
            value,
            "a text",
            f'programs differ in what they take for {str(value).lower()}: write "1" or "true"',
        )
    return parse_text(str(value) if isinstance(value, int | float) else value)


def parse_flag(value: object) -> bool:
    """Check a truth value."""
    if isinstance(value, bool):
        return value
    known = _TRUTH.get(value.lower()) if isinstance(value, str) else None
    raise wanted(
        value, "true or false", f"write {str(known).lower()} without quotes" if known is not None else ""
    )


def flag_from_text(text: str) -> object:
    """Read a truth value from text (``true``, ``yes``, ``on``, ``1`` and their opposites)."""
    return _TRUTH.get(text.strip().lower(), text)


# ---- numbers -------------------------------------------------------------------------------------------------------------------


def parse_duration(value: object, *, at_least: float = 0.0, positive: bool = False) -> float:
    """Return seconds from a number of seconds or a text such as ``"500ms"``, ``"10s"``, ``"2m"``, ``"1h30m"``."""
    hint = 'write seconds as a number (10, 0.5), or "500ms", "10s", "2m", "1h30m"'
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wanted(value, "a duration", hint)
    if isinstance(value, str):
        if not re.match(DURATION_PATTERN, value):
            raise wanted(value, "a duration", hint)
        seconds = sum(_seconds(float(number), unit) for number, unit in _PART.findall(value))
    else:
        seconds = float(value)
    if not math.isfinite(seconds):
        raise BadValue(f"must be a finite duration, not {value}", 'write a long one, such as "24h"')
    if seconds < at_least or (positive and seconds <= 0):
        bound = "longer than 0" if positive and at_least <= 0 else f"at least {format_duration(at_least)}"
        raise BadValue(f"must be {bound}, not {value}")
    return seconds


def _seconds(number: float, unit: str) -> float:
    # Division keeps what was written: 570 / 1000 is 0.57, 570 * 0.001 is not.
    return number / 1000 if unit == "ms" else number * _UNITS[unit]


def format_duration(seconds: float) -> str:
    """Write seconds the way :func:`parse_duration` reads them, to the microsecond and in the largest unit that stays whole.

    >>> format_duration(90), format_duration(120), format_duration(0.25)
    ('90s', '2m', '250ms')
    """
    for unit in ("h", "m", "s"):
        if seconds >= _UNITS[unit] and seconds % _UNITS[unit] == 0:
            return f"{seconds / _UNITS[unit]:.0f}{unit}"
    if 0 < seconds < 1 and float(thousandths := round(seconds * 1000)) / 1000 == seconds:
        return f"{thousandths}ms"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def parse_count(value: object, least: int = 0) -> int:
    """Check a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        hint = f"write {value} without quotes" if isinstance(value, str) and value.strip().isdecimal() else ""
        raise wanted(value, "a whole number", hint)
    if value < least:
        raise BadValue(f"must be at least {least}, not {value}")
    return value


def parse_replicas(value: object) -> int:
    """Check a number of replicas."""
    number = parse_count(value, least=1)
    if number > MOST_REPLICAS:
        raise BadValue(f"must be at most {MOST_REPLICAS}, not {number}")
    return number


def parse_port(value: object) -> int:
    """Check a TCP port."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535:
        return value
    quoted = isinstance(value, str) and value.strip().isdecimal()
    raise wanted(value, "a port from 1 to 65535", f"write {value} without quotes" if quoted else "")


def number_from_text(text: str) -> object:
    """Read a number from text; what is no number stays text and is refused with its own words."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# ---- names ---------------------------------------------------------------------------------------------------------------------


def check_name(name: str) -> None:
    """Refuse names that could not be used in commands, file names and environment variables."""
    if re.match(NAME_PATTERN, name):
        return
    hint = "use letters, digits, _ and -, at most 63 of them"
    if "." in name:
        hint = "a dot is made by the launcher when it names the agents of an entry (ENTRY.AGENT); use - or _"
    raise BadValue(f'is not a usable name: "{name}"', hint)


def check_variable(name: str) -> None:
    """Refuse what cannot be the name of an environment variable."""
    if not re.match(VARIABLE_PATTERN, name):
        raise BadValue(f'"{name}" is not a name for an environment variable', "use letters, digits and _")


def parse_target(value: object) -> str:
    """Check ``module:attribute``."""
    text = parse_nonempty(value)
    if re.match(TARGET_PATTERN, text):
        return text
    raise BadValue(f'must be "module:attribute", not "{text}"', _target_hint(text))


def _target_hint(text: str) -> str:
    module, colon, attribute = text.partition(":")
    if attribute.endswith("()"):
        return f'write "{text[:-2]}" and factory = true'
    if module.endswith(".py") or "/" in module:
        module = module.removesuffix(".py").removeprefix("./").replace("/", ".").removeprefix("src.")
        guess = f"{module}:{attribute or 'app'}"
    elif not colon and "." in module:
        guess = ":".join(module.rsplit(".", 1))
    else:
        guess = f"{module}:app"
    return f'did you mean "{guess}"?' if re.match(TARGET_PATTERN, guess) else 'for example "api.main:app"'


def parse_address(value: object) -> str:
    """Check an IP address or host name to listen on."""
    text = parse_nonempty(value)
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "://" in text or text.count(":") == 1:
        raise BadValue(f'must be an address, not "{text}"', "write the port as port = …, without http://")
    if not re.match(ADDRESS_PATTERN, text):
        raise BadValue(
            f'must be an IP address or a host name, not "{text}"', 'for example "127.0.0.1" or "0.0.0.0"'
        )
    return text


def parse_signal(value: object) -> str:
    """Return the full name of a signal (``SIGTERM``) from any way of writing it."""
    text = parse_nonempty(value)
    short = text.upper().removeprefix("SIG")
    if short in SIGNALS:
        return f"SIG{short}"
    from launcher.core.suggest import did_you_mean

    names = [f"SIG{name}" for name in SIGNALS]
    raise BadValue(
        f'"{text}" is not a signal that can ask a process to stop', did_you_mean(f"SIG{short}", names)
    )


def parse_choice(value: object, choices: tuple[str, ...]) -> str:
    """Check that a text is one of a few words."""
    from launcher.core.suggest import closest

    if isinstance(value, str) and value in choices:
        return value
    listed = ", ".join(f'"{choice}"' for choice in choices)
    found = closest(value, choices) if isinstance(value, str) else ""
    raise wanted(value, f"one of {listed}", f'did you mean "{found}"?' if found else "")


# ---- lists and commands --------------------------------------------------------------------------------------------------------


def parse_list(value: object, item: Callable[[object], str] = parse_nonempty) -> tuple[str, ...]:
    """Check a list of texts; one that is there twice counts once."""
    if not isinstance(value, list | tuple):
        raise wanted(value, "a list of texts", f'write ["{value}"]' if isinstance(value, str) else "")
    items: dict[str, None] = {}
    for number, element in enumerate(value, 1):
        try:
            items[item(element)] = None
        except BadValue as error:
            raise BadValue(f"item {number} {error.what}", error.hint) from None
    return tuple(items)


def parse_one_or_more(value: object) -> tuple[str, ...]:
    """Check a text or a list of texts."""
    return parse_list([value] if isinstance(value, str) else value)


def list_from_text(text: str) -> object:
    """Read a list from comma-separated text, or from a TOML list in brackets."""
    if text.lstrip().startswith("["):
        return table_from_text(text)
    return [item.strip() for item in text.split(",") if item.strip()]


def table_from_text(text: str) -> object:
    """Read an inline table or list of TOML; any other text stays as it is."""
    if not text.lstrip().startswith(("[", "{")):
        return text
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


_OPERATORS = frozenset({"&&", "||", "|", ">", ">>", "<", ";", "&", "2>&1", "2>"})


def parse_command(value: object) -> tuple[str, ...]:
    """Return an argument vector from a list, or from a text split like a shell does, without ever starting a shell."""
    if isinstance(value, str):
        return _split(value)
    if not isinstance(value, list | tuple):
        raise wanted(value, "a text or a list of texts", 'for example "alembic upgrade head"')
    words = tuple(_word(number, word) for number, word in enumerate(value, 1))
    if not words or not words[0].strip():
        raise BadValue("names no program to run", 'for example ["alembic", "upgrade", "head"]')
    return words


def _word(number: int, word: object) -> str:
    if not isinstance(word, str):
        raise BadValue(f"item {number} must be a text, not {described(word)}", f'write "{word}"')
    if "\0" in word:
        raise BadValue(f"item {number} must not hold a NUL character")
    return word


def _split(text: str) -> tuple[str, ...]:
    import shlex

    try:
        words = tuple(shlex.split(text))
        raw = shlex.split(text, posix=False)
    except ValueError as error:
        raise BadValue(
            f"cannot be split into words: {str(error).lower()}", "check the quotes, or write a list of words"
        ) from None
    if not words:
        raise BadValue("names no program to run", 'for example "alembic upgrade head"')
    operator = next((word for word in raw if word in _OPERATORS), "")
    if operator:
        raise BadValue(
            f"uses {operator}, but commands are not run by a shell",
            'write ["sh", "-c", "…"], or make two components of it',
        )
    name, equals, _ = words[0].partition("=")
    if equals and re.match(VARIABLE_PATTERN, name):
        raise BadValue(
            f"begins with the variable {name}, but commands are not run by a shell",
            f"set {name} in the environment table",
        )
    return words

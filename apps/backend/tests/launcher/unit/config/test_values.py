"""Single values: durations, texts and redaction hold for any input."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.config.lines import plain_string
from launcher.config.secrets import MASK, is_secret_name, redacted, shown
from launcher.config.urls import SCHEMES, parse_url
from launcher.config.values import (
    BadValue,
    format_duration,
    parse_command,
    parse_duration,
    parse_list,
    parse_signal,
)

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
PASSWORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="@"), min_size=4
).map(lambda text: f"Zq{text}")


@settings(deadline=None)
@given(st.integers(0, 10**13).map(lambda micros: micros / 1_000_000))
def test_durations_round_trip(seconds: float) -> None:
    """What is written for a duration is read back as the same duration, to the microsecond."""
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, abs=1e-6, rel=1e-12)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (10, 10),
        (0.5, 0.5),
        (0, 0),
        ("500ms", 0.5),
        ("570ms", 0.57),
        ("10s", 10),
        ("2m", 120),
        ("1h30m", 5400),
        ("1.5 s", 1.5),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    """Numbers are seconds; texts carry their unit."""
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "10", "ms", "1d", "-1s", "1s!", "1e3s", [], {}, None, True, float("nan")]
)
def test_bad_durations(written: object) -> None:
    """What has no unit, or another one, is no duration."""
    with pytest.raises(BadValue):
        parse_duration(written)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    """No text makes the parser fail in another way."""
    with contextlib.suppress(BadValue):
        assert parse_duration(text) >= 0


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1).filter(lambda words: bool(words[0].strip())))
def test_commands_keep_their_words(words: list[str]) -> None:
    """A list of words is the argument vector as it stands."""
    assert parse_command(words) == tuple(words)


def test_command_text_is_split_like_a_shell_does() -> None:
    """Quotes group words, and an operator in quotes is a word like any other."""
    assert parse_command("a 'b c' \"|\" d\\ e") == ("a", "b c", "|", "d e")


def test_lists_drop_repetitions() -> None:
    """A name that is there twice counts once, at its first place."""
    assert parse_list(["b", "a", "b"]) == ("b", "a")


@pytest.mark.parametrize("written", ["SIGTERM", "TERM", "term", "sigterm"])
def test_signals(written: str) -> None:
    """A signal has one name, however it is written."""
    assert parse_signal(written) == "SIGTERM"


@pytest.mark.parametrize("scheme", [*SCHEMES, "postgresql+asyncpg", "postgres+psycopg", "REDIS"])
def test_url_schemes(scheme: str) -> None:
    """All services that can be asked are accepted, SQLAlchemy's drivers included."""
    assert parse_url(f"{scheme}://u:p@h:1/x").startswith(scheme)


@settings(deadline=None)
@given(PASSWORDS, st.sampled_from(["", "app", "a.b-c"]), st.sampled_from(["", "/db", "/db?x=1", "?a=b"]))
def test_redaction_hides_any_password(password: str, user: str, rest: str) -> None:
    """No password of a URL is left, escaped properly or not."""
    shown_text = redacted(f"cannot reach postgresql://{user}:{password}@db.example:5432{rest} now")
    assert password not in shown_text
    assert f"{user}:{MASK}@db.example:5432" in shown_text


@settings(deadline=None)
@given(WORDS)
def test_redaction_is_stable(text: str) -> None:
    """Redacting twice changes nothing more."""
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://app:s3cret@db/news?sslmode=require", "postgresql://app:***@db/news?sslmode=require"),
        ("redis://:pw@h:6379/0", "redis://:***@h:6379/0"),
        ("http://h:80/p?mail=a@b", "http://h:80/p?mail=a@b"),
        ("http://h/p?token=abc&x=1", "http://h/p?token=***&x=1"),
        ("amqp://u:a@b@h/", "amqp://u:***@h/"),
        ("redis://u:a/b@h", "redis://u:***@h"),
        ("http://user@h/", "http://user@h/"),
        ("a redis://:x@h and redis://:y@h", "a redis://:***@h and redis://:***@h"),
        ("no url: a:b@c", "no url: a:b@c"),
    ],
)
def test_redaction(text: str, expected: str) -> None:
    """Only passwords and secret parameters are hidden."""
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "API_KEY", "apiKey", "SECRET", "GITHUB_TOKEN", "PGPASS", "AWS_SECRET_ACCESS_KEY"]
)
def test_secret_names(name: str) -> None:
    """The usual names of secrets are known."""
    assert is_secret_name(name)
    assert shown(name, "x") == MASK


@pytest.mark.parametrize("name", ["PATH", "KEYBOARD", "COMPASS_DIR", "MONKEY", "HOST", "PORT"])
def test_plain_names(name: str) -> None:
    """Names that only look alike are not hidden."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("'a'", "a"),
        ('"a"', "a"),
        ('"a\\tb"', "a\tb"),
        ("'''a'''", "a"),
        ("1", None),
        ("[1]", None),
        ('"', None),
    ],
)
def test_plain_strings(written: str, text: str | None) -> None:
    """A TOML string is read without a parser where that is safe."""
    assert plain_string(written) == text

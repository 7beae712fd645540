"""URLs are read as the drivers read them, and never shown with their secrets."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.probes.checks import InvalidEndpoint, check_url, parse_endpoint, redact
from launcher.probes.checks.endpoint import Protocol, Tcp, Unix
from launcher.probes.checks.redaction import redact_argument, redact_command
from launcher.probes.checks.tls import TlsMode

passwords = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
)
SCHEMES = [
    "postgresql",
    "postgresql+asyncpg",
    "redis",
    "rediss",
    "bolt",
    "neo4j+s",
    "https",
    "mysql",
    "made-up",
]


@given(scheme=st.sampled_from(SCHEMES), password=passwords, other=passwords)
@example(scheme="redis", password="@", other=":")
def test_a_redacted_url_does_not_depend_on_the_password(scheme: str, password: str, other: str) -> None:
    """Two URLs that differ in their password only are shown alike: nothing of it can be in there."""
    for form in (
        "{s}://app:{p}@db.example:5000/news?ssl=true#x",
        "{s}://:{p}@h",
        "{s}://h/x?password={p}&a=b",
    ):
        first = redact(form.format(s=scheme, p=quote(password, safe="")))
        assert first == redact(form.format(s=scheme, p=quote(other, safe="")))
        assert "***" in first


@given(
    pieces=st.lists(st.sampled_from(["S3CR3T", "H1DD3N"]), min_size=2, max_size=3),
    glue=st.sampled_from(["@", "/", "?", "#", ":", "@/", "/@", "?x=", "[", "]", ",", " "]),
    form=st.sampled_from(
        ["{s}://app:{p}@db.example:5000/news", "{s}://:{p}@h/1", "app:{p}@h", "h user=a password='{p}'"]
    ),
    scheme=st.sampled_from(SCHEMES),
)
def test_no_piece_of_a_raw_password_is_shown(pieces: list[str], glue: str, form: str, scheme: str) -> None:
    """A password that was not percent-encoded, and so tears the URL apart, is hidden all the same."""
    url = form.format(s=scheme, p=glue.join(pieces))
    shown = redact(url)
    try:
        parse_endpoint(url)
    except InvalidEndpoint as error:
        shown += str(error) + error.hint
    assert "S3CR3T" not in shown
    assert "H1DD3N" not in shown


@given(st.text(max_size=80))
def test_anything_can_be_redacted_and_parsed(text: str) -> None:
    """No text makes redaction fail, and a bad URL raises nothing but InvalidEndpoint."""
    redact(text)
    for url in (text, f"redis://{text}", f"postgresql://{text}", f"http://{text}"):
        redact(url)
        try:
            parse_endpoint(url)
        except InvalidEndpoint:
            continue


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("postgresql://app@db/news", "postgresql://app@db/news"),
        ("postgresql://app:x@db/news?sslmode=require", "postgresql://app:***@db/news?sslmode=require"),
        (
            "postgresql://db/news?user=app&password=x&sslmode=require",
            "postgresql://db/news?user=app&password=***&sslmode=require",
        ),
        ("https://ghp_token@host/x?api_key=1&page=2", "https://***@host/x?api_key=***&page=2"),
        ("http://host/@scope/name", "http://host/@scope/name"),
        ("postgresql://a:1@h1:5432,h2:5433/x", "postgresql://a:***@h1:5432,h2:5433/x"),
        ("redis://:x@[::1]:6379", "redis://:***@[::1]:6379"),
        ("host=db password=x user=app", "host=db password=*** user=app"),
        ("unix://:x@/run/redis.sock?db=1", "unix://:***@/run/redis.sock?db=1"),
    ],
)
def test_what_is_no_secret_stays_readable(url: str, shown: str) -> None:
    """Redaction leaves host, port, path and harmless options alone."""
    assert redact(url) == shown


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["uvicorn", "app:app", "--port", "80"], "uvicorn app:app --port 80"),
        (["x", "--password", "p", "y", "z"], "x --password *** y …"),
        (["x", "--api-key=p", "TOKEN=q"], "x --api-key=*** TOKEN=***"),
        (["x", "redis://:p@h", "--password=http://p"], "x redis://:***@h --password=***"),
    ],
)
def test_command_lines_lose_their_secrets(argv: list[str], shown: str) -> None:
    """The beginning of a command line is shown without the values of sensitive options."""
    assert redact_command(argv) == shown
    assert all("=p" not in redact_argument(word) for word in argv)


@pytest.mark.parametrize(
    ("url", "protocol", "addresses", "rest"),
    [
        ("postgresql://u:p%40@db:5433/news", Protocol.POSTGRESQL, (Tcp("db", 5433),), ("u", "p@", "news", TlsMode.PREFER)),
        ("postgres://db", Protocol.POSTGRESQL, (Tcp("db", 5432),), ("", "", "", TlsMode.PREFER)),
        ("postgresql+psycopg://u@[::1]/x?sslmode=verify-full", Protocol.POSTGRESQL, (Tcp("::1", 5432),), ("u", "", "x", TlsMode.VERIFY)),
        ("postgresql+asyncpg://h/x?ssl=disable", Protocol.POSTGRESQL, (Tcp("h", 5432),), ("", "", "x", TlsMode.OFF)),
        ("postgresql://u@/x?host=/run/pg&port=5433", Protocol.POSTGRESQL, (Unix("/run/pg/.s.PGSQL.5433"),), ("u", "", "x", TlsMode.PREFER)),
        ("postgresql://%2Frun%2Fpg/x", Protocol.POSTGRESQL, (Unix("/run/pg/.s.PGSQL.5432"),), ("", "", "x", TlsMode.PREFER)),
        ("postgresql://a:1,b/x", Protocol.POSTGRESQL, (Tcp("a", 1), Tcp("b", 5432)), ("", "", "x", TlsMode.PREFER)),
        ("postgresql://h?user=u&password=p&dbname=x", Protocol.POSTGRESQL, (Tcp("h", 5432),), ("u", "p", "x", TlsMode.PREFER)),
        ("redis://", Protocol.REDIS, (Tcp("localhost", 6379),), ("", "", "", TlsMode.OFF)),
        ("valkey://:p@h/2", Protocol.REDIS, (Tcp("h", 6379),), ("", "p", "2", TlsMode.OFF)),
        ("rediss://u:p@h:1?db=3", Protocol.REDIS, (Tcp("h", 1),), ("u", "p", "3", TlsMode.VERIFY)),
        ("rediss://h?ssl_cert_reqs=none", Protocol.REDIS, (Tcp("h", 6379),), ("", "", "", TlsMode.UNVERIFIED)),
        ("unix://u:p@/run/redis.sock?db=1", Protocol.REDIS, (Unix("/run/redis.sock"),), ("u", "p", "1", TlsMode.OFF)),
        ("neo4j://u:p@h", Protocol.BOLT, (Tcp("h", 7687),), ("u", "p", "", TlsMode.OFF)),
        ("bolt+ssc://h:1", Protocol.BOLT, (Tcp("h", 1),), ("", "", "", TlsMode.UNVERIFIED)),
        ("neo4j+s://h", Protocol.BOLT, (Tcp("h", 7687),), ("", "", "", TlsMode.VERIFY)),
        ("http://h", Protocol.HTTP, (Tcp("h", 80),), ("", "", "", TlsMode.OFF)),
        ("HTTPS://h/x", Protocol.HTTP, (Tcp("h", 443),), ("", "", "", TlsMode.VERIFY)),
        ("tcp://h:25", Protocol.TCP, (Tcp("h", 25),), ("", "", "", TlsMode.OFF)),
    ],
)  # fmt: skip
def test_urls_are_read_as_the_drivers_do(
    url: str, protocol: Protocol, addresses: tuple[Tcp | Unix, ...], rest: tuple[str, str, str, TlsMode]
) -> None:
    """Each accepted form gives address, credentials, database and encryption, with the usual defaults."""
    endpoint = parse_endpoint(url)
    assert (endpoint.protocol, endpoint.addresses) == (protocol, addresses)
    assert (endpoint.user, endpoint.password, endpoint.database, endpoint.tls.mode) == rest
    if endpoint.password:
        assert f"{endpoint.password!r}" not in repr(endpoint)


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("localhost:5432", "is not a URL", "tcp://"),
        ("reddis://h", "unknown URL scheme 'reddis'", "did you mean redis://?"),
        ("postgersql://h", "unknown URL scheme", "did you mean postgresql://?"),
        ("zzz://h", "unknown URL scheme", "known schemes: postgresql"),
        ("mysql://h", "cannot be checked in its own protocol", "tcp://HOST:3306"),
        ("mongodb+srv://h", "cannot be checked in its own protocol", "tcp://HOST:27017"),
        ("sqlite:///x.db", "is a file", "remove"),
        ("tcp://h", "names no port", "tcp://host:port"),
        ("tcp://:80", "names no host", ""),
        ("http://", "names no host", ""),
        ("redis://h:port", "port in the URL is not a number", "percent-encode"),
        ("redis://h:65536", "port in the URL is not a number", ""),
        ("redis://h:0", "port in the URL is not a number", ""),
        ("redis://::1:6379", "host in the URL is malformed", "brackets"),
        ("redis://[::1", "host in the URL is malformed", "brackets"),
        ("redis://h/news", "is not a number", "/0"),
        ("redis://a,b", "several hosts", "one dependency for each"),
        ("unix://redis.sock", "names no socket", "three slashes"),
        ("postgresql://h/x?sslmode=maybe", "unknown sslmode", "verify-full"),
        ("postgresql://u%00database%00x@h", "NUL", ""),
        ("postgresql://h/x?port=a", "port in the URL is not a number", ""),
    ],
)
async def test_bad_urls_say_what_is_wrong(url: str, message: str, hint: str) -> None:
    """A bad URL is a ValueError with a hint for whoever parses it, and an invalid result for whoever asks."""
    with pytest.raises(ValueError) as caught:
        parse_endpoint(url)
    assert message in str(caught.value)
    assert isinstance(caught.value, InvalidEndpoint)
    assert hint in caught.value.hint
    result = await check_url(url)
    assert (result.ok, result.cause, result.reason) == (False, "invalid", str(caught.value))

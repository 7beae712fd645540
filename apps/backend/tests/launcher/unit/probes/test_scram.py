"""SCRAM-SHA-256 against the published exchange, and against servers that cheat."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.probes.checks import scram

# RFC 7677, section 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_exchange_of_rfc_7677() -> None:
    """The published example is reproduced byte by byte."""
    first = scram.first_message("user", NONCE)
    assert first.message == b"n,,n=user,r=" + NONCE.encode()
    final = scram.final_message(first, scram.read_challenge(first, SERVER_FIRST), "pencil")
    assert final.message == CLIENT_FINAL
    scram.verify_server(final, SERVER_FINAL)


@pytest.mark.parametrize("answer", [b"", b"v=", b"e=other-error", SERVER_FINAL[:-4] + b"AAA=", b"v"])
def test_a_server_without_the_password_is_found_out(answer: bytes) -> None:
    """A server that cannot prove that it knows the password is not trusted."""
    first = scram.first_message("user", NONCE)
    final = scram.final_message(first, scram.read_challenge(first, SERVER_FIRST), "pencil")
    with pytest.raises(scram.ScramError, match="could not prove"):
        scram.verify_server(final, answer)


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        (b"", "malformed"),
        (b"r=x", "malformed"),
        (b"\xff\xfe", "malformed"),
        (f"r={NONCE}x,s=?,i=4096".encode(), "malformed"),
        (b"r=somebodyelse,s=AAAA,i=4096", "does not belong"),
        (f"r={NONCE},s=AAAA,i=4096".encode(), "does not belong"),
        (f"r={NONCE}x,s=AAAA,i=0".encode(), "rounds"),
        (f"r={NONCE}x,s=AAAA,i=-1".encode(), "rounds"),
        (f"r={NONCE}x,s=AAAA,i=2147483647".encode(), "2147483647 rounds"),
    ],
)
def test_bad_challenges_are_refused(challenge: bytes, why: str) -> None:
    """Malformed, replayed and costly challenges end the exchange before any key is derived."""
    with pytest.raises(scram.ScramError, match=why):
        scram.read_challenge(scram.first_message(nonce=NONCE), challenge)


@given(st.binary(max_size=100))
def test_any_challenge_is_read_or_refused(data: bytes) -> None:
    """No bytes raise anything but ScramError."""
    try:
        scram.read_challenge(scram.first_message(nonce=NONCE), data)
    except scram.ScramError:
        return


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("pencil", "pencil"),
        ("I\xadX", "IX"),  # RFC 4013, section 3: a soft hyphen maps to nothing
        ("\xaa", "a"),  # and compatibility characters are normalised
        ("\u2168", "IX"),
        ("a\xa0b", "a b"),
        ("\u0627\u0031", "\u0627\u0031"),  # forbidden there: used as it is, as PostgreSQL does
        ("\xad", "\xad"),
    ],
)
def test_passwords_are_prepared(password: str, prepared: str) -> None:
    """SASLprep is applied where it can be, and left out where it forbids the password."""
    assert scram.prepare(password) == prepared.encode()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_preparing_twice_changes_nothing(password: str) -> None:
    """A prepared password is stable, or it was forbidden and is kept byte by byte."""
    once = scram.prepare(password).decode()
    assert once == password or scram.prepare(once).decode() == once
    assert once == password or unicodedata.ucd_3_2_0.is_normalized("NFKC", once)


def test_names_are_escaped_and_nonces_are_fresh() -> None:
    """Separators in a name cannot break the message, and no two exchanges share a nonce."""
    assert scram.first_message("a,b=c", "n").bare == "n=a=2Cb=3Dc,r=n"
    assert len({scram.first_message().nonce for _ in range(100)}) == 100

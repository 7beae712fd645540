"""The client's side of SCRAM-SHA-256 (RFC 5802 and RFC 7677), without channel binding, on the standard library."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass

MAX_ITERATIONS = 2_000_000
"""Most rounds of key derivation that a server may ask for. RFC 7677 sets 4096 as the least; a million takes about
half a second of computing, so that without a limit a hostile server could keep the processor busy at will."""


class ScramError(Exception):
    """The server's message is malformed, or the server does not know the password either."""


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """The state between the client's first and final message.

    Attributes:
        user: name as sent; PostgreSQL ignores it in favour of its startup message, and clients send it empty.
        nonce: the client's random part.
    """

    user: str
    nonce: str

    @property
    def bare(self) -> str:
        """The part that is signed (``client-first-message-bare``)."""
        name = self.user.replace("=", "=3D").replace(",", "=2C")  # RFC 5802, section 5.1
        return f"n={name},r={self.nonce}"

    @property
    def message(self) -> bytes:
        """What is sent; ``n,,`` declines channel binding."""
        return f"n,,{self.bare}".encode()


@dataclass(frozen=True, slots=True)
class Challenge:
    """The server's first message, read."""

    text: str
    nonce: str
    salt: bytes
    iterations: int


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """The client's last message, and the signature by which the server must prove that it knows the password."""

    message: bytes
    server_signature: bytes


def first_message(user: str = "", nonce: str = "") -> ClientFirst:
    """Begin an exchange; the nonce is random unless given (for test vectors)."""
    return ClientFirst(user, nonce or base64.b64encode(os.urandom(18)).decode())


def read_challenge(first: ClientFirst, data: bytes) -> Challenge:
    """Read the server's first message.

    Raises:
        ScramError: it is malformed, answers another exchange, or asks for too many rounds.
    """
    try:
        text = data.decode("ascii")
        fields = dict(part.split("=", 1) for part in text.split(","))
        nonce, salt, rounds = fields["r"], base64.b64decode(fields["s"], validate=True), fields["i"]
        iterations = int(rounds) if rounds.isdigit() and len(rounds) < 12 else 0
    except (ValueError, KeyError, binascii.Error):
        raise ScramError("the server's SCRAM challenge is malformed") from None
    if not nonce.startswith(first.nonce) or len(nonce) == len(first.nonce):
        raise ScramError("the server's SCRAM challenge does not belong to this exchange")
    if not 0 < iterations <= MAX_ITERATIONS:
        raise ScramError(f"the server asks for {rounds[:12]} rounds of SCRAM key derivation")
    return Challenge(text, nonce, salt, iterations)


def final_message(first: ClientFirst, challenge: Challenge, password: str) -> ClientFinal:
    """Prove knowledge of the password (RFC 5802, section 3). Takes about 0.4 µs per round of the challenge."""
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password), challenge.salt, challenge.iterations)
    client_key = _hmac(salted, b"Client Key")
    without_proof = f"c=biws,r={challenge.nonce}"  # biws is base64 of "n,,"
    signed = f"{first.bare},{challenge.text},{without_proof}".encode()
    signature = _hmac(hashlib.sha256(client_key).digest(), signed)
    proof = bytes(key ^ sign for key, sign in zip(client_key, signature, strict=True))
    message = f"{without_proof},p={base64.b64encode(proof).decode()}".encode()
    return ClientFinal(message, _hmac(_hmac(salted, b"Server Key"), signed))


def verify_server(final: ClientFinal, data: bytes) -> None:
    """Check the server's last message.

    Raises:
        ScramError: the server could not prove that it knows the password, or reports an error.
    """
    verifier = dict(part.partition(b"=")[::2] for part in data.split(b",")).get(b"v", b"")
    if not hmac.compare_digest(verifier, base64.b64encode(final.server_signature)):
        raise ScramError("the server could not prove that it knows the password")


def prepare(password: str) -> bytes:
    """The password as it enters the key derivation: SASLprep (RFC 4013) where it applies.

    As PostgreSQL does, a password that SASLprep forbids is used as it is.
    """
    if password.isascii():
        return password.encode()
    import stringprep
    import unicodedata

    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in password
        if not stringprep.in_table_b1(char)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    forbidden = (
        stringprep.in_table_a1,
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
    )
    if not normal or any(test(char) for char in normal for test in forbidden) or _mixes_directions(normal):
        return password.encode()
    return normal.encode()


def _mixes_directions(text: str) -> bool:
    """RFC 3454, section 6: right-to-left text begins and ends so, and holds nothing that runs left to right."""
    import stringprep

    leftward = [stringprep.in_table_d1(char) for char in text]
    if not any(leftward):
        return False
    return any(stringprep.in_table_d2(char) for char in text) or not (leftward[0] and leftward[-1])


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")

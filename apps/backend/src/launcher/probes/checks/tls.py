"""How connections are encrypted: the settings that a URL can ask for, and the TLS context made from them."""

from __future__ import annotations

import functools
import ssl
from dataclasses import dataclass
from enum import StrEnum, unique
from pathlib import Path


@unique
class TlsMode(StrEnum):
    """Whether a connection is encrypted and how far the peer's certificate is checked."""

    OFF = "off"
    PREFER = "prefer"
    """Encrypted when the server offers it, unverified (PostgreSQL's default for clients)."""
    UNVERIFIED = "unverified"
    VERIFY_CA = "verify-ca"
    """The certificate must be trusted; the host name in it does not matter."""
    VERIFY = "verify"
    """The certificate must be trusted and made out for the host of the URL."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What a URL says about encryption.

    Attributes:
        mode: whether and how.
        ca_file: certificate authorities to trust; empty for those of the system.
        certificate: the client's own certificate chain; empty for none.
        key: private key of ``certificate``, if not in the same file.
    """

    mode: TlsMode = TlsMode.OFF
    ca_file: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """The context for a client connection; kept until one of the files changes.

        Raises:
            OSError: a file cannot be read (`ssl.SSLError` when it holds no certificate).
        """
        files = tuple(path for path in (self.ca_file, self.certificate, self.key) if path)
        return _context(self, tuple(Path(path).stat().st_mtime_ns for path in files))


@functools.lru_cache(maxsize=16)
def _context(settings: TlsSettings, _changed: tuple[int, ...]) -> ssl.SSLContext:
    """Loading the system's authorities takes some 10 ms: too much for every check of every few seconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = settings.mode is TlsMode.VERIFY
    if settings.mode in {TlsMode.VERIFY, TlsMode.VERIFY_CA}:
        if settings.ca_file:
            context.load_verify_locations(settings.ca_file)
        else:
            context.load_default_certs()
    else:
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(settings.certificate, settings.key or None, password="")
    return context

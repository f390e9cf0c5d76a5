"""Tell an application about the TLS of its client, with the keys of Apache's mod_ssl."""

from __future__ import annotations

from typing import Any, Protocol


class TlsFacts(Protocol):
    """What is asked of an open TLS connection: ``ssl.SSLObject`` answers."""

    def version(self) -> str | None: ...
    def cipher(self) -> tuple[str, str, int] | None: ...


def tls_keys(tls: TlsFacts) -> dict[str, Any]:
    """Return the keys of the environ that say how a client's bytes are encrypted."""
    cipher = tls.cipher()
    return {"SSL_PROTOCOL": tls.version() or "", "SSL_CIPHER": cipher[0] if cipher else ""}

"""What an application is told of the TLS of its client."""

from __future__ import annotations

from pastepool.wsgi.tls_keys import tls_keys


class Open:
    """An open TLS connection."""

    def __init__(self, version: str | None, cipher: tuple[str, str, int] | None) -> None:
        self._version, self._cipher = version, cipher

    def version(self) -> str | None:
        return self._version

    def cipher(self) -> tuple[str, str, int] | None:
        return self._cipher


def test_version_and_cipher() -> None:
    """With the keys of mod_ssl; empty where OpenSSL does not say."""
    assert tls_keys(Open("TLSv1.3", ("TLS_AES", "TLSv1.3", 256))) == {
        "SSL_PROTOCOL": "TLSv1.3",
        "SSL_CIPHER": "TLS_AES",
    }
    assert tls_keys(Open(None, None)) == {"SSL_PROTOCOL": "", "SSL_CIPHER": ""}

"""Options that only make sense beside another one."""

from __future__ import annotations

_PEM = {"ssl_pem": "/etc/ssl/shop.pem"}

_BESIDE = {
    "unix_socket_perms": {"unix_socket": "/a"},
    "keyfile": {"certfile": "/etc/ssl/shop.crt"},
    "ca_certs": {**_PEM, "ssl_verify_client": "optional"},
    "ciphers": _PEM,
    "ssl_key": {"ssl_certificate": "/etc/ssl/shop.crt"},
    "ssl_password_file": _PEM,
    "ssl_certificates": _PEM,
    "ssl_ciphers": _PEM,
    "ssl_client_ca": {**_PEM, "ssl_verify_client": "optional"},
    "ssl_crl": {**_PEM, "ssl_verify_client": "optional", "ssl_client_ca": "/etc/ssl/clients.pem"},
}


def companions(name: str) -> dict[str, str]:
    """Return what must be set too, so that an option can be."""
    return dict(_BESIDE.get(name, {}))

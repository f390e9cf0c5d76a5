"""Tell an application about the TLS of its client, with the keys of Apache's mod_ssl."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "givenName": "GN",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "street",
    "surname": "SN",
    "userId": "UID",
}
"""The short names of OpenSSL for those parts of a name that the standard library calls by their long ones."""

_SPECIAL = re.compile(rb'[,+"\\<>;]')
_UNPRINTABLE = re.compile(rb"[^ -~]")
_LINE = 64
"""How many characters a line of a certificate in text form has."""

Name = tuple[tuple[tuple[str, str], ...], ...]
"""A distinguished name, as ``getpeercert`` returns it: its parts, most of them of one pair of a kind and a value."""


class TlsFacts(NamedTuple):
    """
    What is known of the TLS of one client.

    ``version``, ``cipher``: None if OpenSSL does not say. ``asked_for``: the name of the host that the client has asked
    for; empty for none. ``certificate``: of the client, as ``getpeercert`` of the standard library decodes it after it was
    checked; empty if it has none. ``der``: the same in bytes.
    """

    version: str | None
    cipher: str | None
    asked_for: str = ""
    certificate: Mapping[str, Any] = MappingProxyType({})
    der: bytes = b""


def tls_keys(tls: TlsFacts) -> dict[str, str]:
    """Return the keys of the environ that say how a client's bytes are encrypted, and who it is."""
    keys = {"SSL_PROTOCOL": tls.version or "", "SSL_CIPHER": tls.cipher or "", "SSL_CLIENT_VERIFY": "NONE"}
    if tls.asked_for:
        keys["SSL_TLS_SNI"] = tls.asked_for
    certificate = tls.certificate
    if certificate:
        keys["SSL_CLIENT_VERIFY"] = "SUCCESS"
        keys["SSL_CLIENT_S_DN"] = written(certificate["subject"])
        keys["SSL_CLIENT_I_DN"] = written(certificate["issuer"])
        keys["SSL_CLIENT_M_SERIAL"] = certificate["serialNumber"]
        keys["SSL_CLIENT_CERT"] = _as_text(tls.der)
        common = [_escaped(value) for part in certificate["subject"] for kind, value in part if kind == "commonName"]
        if common:
            keys["SSL_CLIENT_S_DN_CN"] = common[-1]
    return keys


def written(name: Name) -> str:
    """Write a distinguished name as RFC 2253 says, as OpenSSL and mod_ssl do: the last part first, all in ASCII."""
    return ",".join(
        "+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part[::-1]) for part in name[::-1]
    )


def _escaped(value: str) -> str:
    data = _SPECIAL.sub(rb"\\\g<0>", value.encode())
    data = _UNPRINTABLE.sub(lambda found: b"\\%02X" % found[0][0], data)
    if data[:1] in (b" ", b"#"):
        data = b"\\" + data
    if data.endswith(b" ") and data != b"\\ ":
        data = data[:-1] + b"\\ "
    return data.decode("ascii")


def _as_text(der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), _LINE)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])

"""Refuse options of TLS that contradict each other, or that would leave clients without it where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pastepool.settings.endpoint import Endpoint
from pastepool.settings.mistakes import Mistakes
from pastepool.settings.options import BY_NAME
from pastepool.settings.place import SettingsPlace

CERTIFICATES = ("ssl_pem", "ssl_certificate", "ssl_context")
"""The options of which one has the server's own certificate."""

_NEEDS_CERTIFICATE = (
    "ssl_key",
    "ssl_password_file",
    "ssl_certificates",
    "ssl_minimum_version",
    "ssl_ciphers",
    "ssl_verify_client",
    "ssl_client_ca",
    "ssl_crl",
)


def guard_tls(values: Mapping[str, Any], own: Mapping[str, Any], place: SettingsPlace, mistakes: Mistakes) -> None:
    """
    Refuse what cannot be meant. An address that should speak TLS and does not would be worse than no start.

    ``own``: the values that the section gives.
    """

    def refuse(name: str, other: str, because: str) -> None:
        mistakes.add(place.contradiction(name, _shown(name, values), other, _shown(other, values), because))

    given = [name for name in CERTIFICATES if values[name]]
    for other in given[1:]:
        refuse(
            given[0],
            other,
            "the server has one certificate for clients that ask for no name, so delete one of the lines",
        )
    if not given:
        _guard_without_certificate(values, own, place, mistakes)
        return
    if values["listen"] and not any(endpoint.tls for endpoint in values["listen"]):
        because = "no address of listen has the word tls, so write it behind those where clients speak TLS"
        refuse(given[0], "listen", because)
    if given[0] == "ssl_context":
        for name in _NEEDS_CERTIFICATE:
            if name in own:
                refuse("ssl_context", name, "the object has its own settings, so delete the line")
        return
    if "ssl_key" in own and given[0] == "ssl_pem":
        refuse(
            "ssl_key", "ssl_pem", "the file of ssl_pem has the key in it, so write ssl_certificate in place of ssl_pem"
        )
    if values["ssl_verify_client"] != "off" and not values["ssl_client_ca"]:
        because = "nobody could have signed a client's certificate, so set ssl_client_ca or delete the line"
        refuse("ssl_verify_client", "ssl_client_ca", because)
    for name in ("ssl_client_ca", "ssl_crl"):
        if values[name] and values["ssl_verify_client"] == "off":
            because = "clients are not asked for a certificate, so set ssl_verify_client to optional or required"
            refuse(name, "ssl_verify_client", because)


def _guard_without_certificate(
    values: Mapping[str, Any], own: Mapping[str, Any], place: SettingsPlace, mistakes: Mistakes
) -> None:
    for endpoint in values["listen"]:
        if endpoint.tls:
            because = "there is no certificate for it, so set ssl_pem, or ssl_certificate and ssl_key"
            mistakes.add(place.contradiction("listen", f"{endpoint} tls", "ssl_pem", "not set", because))
            break
    for name in _NEEDS_CERTIFICATE:
        if name in own and own[name] != BY_NAME[name].default:
            because = "it has no meaning without a certificate, so set ssl_pem or ssl_certificate, or delete the line"
            mistakes.add(place.contradiction(name, _shown(name, values), "ssl_pem", "not set", because))


def _shown(name: str, values: Mapping[str, Any]) -> str:
    return BY_NAME[name].show(values[name])


def all_with_tls(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the same addresses, all of them with TLS: what gunicorn's ``certfile`` means for its ``bind``."""
    return tuple(replace(endpoint, tls=True) for endpoint in endpoints)

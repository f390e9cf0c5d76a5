"""
The addresses of a server section: several options make one endpoint, and some must not stand beside each other.

``reading`` calls these functions between parsing the values and building the settings.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pastepool.core.wording import host_and_port
from pastepool.settings.endpoint import Endpoint, names_this_machine, overlap
from pastepool.settings.mistakes import Mistakes
from pastepool.settings.options import BY_NAME
from pastepool.settings.place import SettingsPlace


def endpoints_of(
    host: str,
    port: int,
    addresses: tuple[Endpoint, ...] = (),
    family: int = 0,
    narrow: bool = False,
    tls: bool = False,
) -> tuple[Endpoint, ...]:
    """
    Make the endpoints out of a host and a port, or out of several addresses; none without a host and an address.

    ``family``: the only IP family that is wanted, or 0. ``narrow``: ``::`` means IPv6 alone. ``tls``: the host and port
    speak TLS.
    """
    endpoints = addresses or ((Endpoint(host, port, tls=tls),) if host else ())
    return tuple(replace(each, family=6 if narrow and each.host == "::" else family) for each in endpoints)


def split_addresses(
    values: dict[str, Any],
    own: Mapping[str, Any],
    mail: Mapping[str, Any],
    place: SettingsPlace,
    mistakes: Mistakes,
) -> None:
    """
    Split values of the form ``host:port``.

    If the same section also sets the port option, both ports must be equal. If one port is set in the server section
    and the other in [DEFAULT], the one of the server section counts.
    """
    for host_name, port_name in (("host", "port"), ("smtp_server", "smtp_port"), ("admin_listen", "admin_port")):
        if not isinstance(values[host_name], tuple):
            continue
        host, port = values[host_name]
        values[host_name] = host
        beside, at = (own, place) if host_name in own else (mail, place.default())
        if port is None or (port_name in own and beside is not own):
            continue
        if beside.get(port_name, port) != port:
            remedy = "both name a port, so leave it out of the first or delete the second"
            shown = host_and_port(host, port)
            mistakes.add(at.contradiction(host_name, shown, port_name, str(beside[port_name]), remedy))
        values[port_name] = port


def check_addresses(
    values: dict[str, Any],
    own: Mapping[str, Any],
    family: int,
    narrow: bool,
    place: SettingsPlace,
    mistakes: Mistakes,
) -> None:
    """
    Refuse addresses that contradict each other, and addresses that would let in more clients than they should.

    ``own``: the values that are set in the section. ``family``, ``narrow``: as for ``endpoints_of``. If ``listen`` is set,
    ``host`` becomes empty in ``values``, because it has no meaning then.
    """
    _check_listen(values, own, place, mistakes)
    _check_proxy(values, place, mistakes)
    _check_admin(values, place, mistakes)
    _check_clash(values, family, narrow, place, mistakes)


def _check_listen(values: dict[str, Any], own: Mapping[str, Any], place: SettingsPlace, mistakes: Mistakes) -> None:
    """Refuse ``host`` and ``port`` beside ``listen``. Without them, ``host`` has no meaning, and is shown as such."""
    if not values["listen"]:
        return
    for name in ("host", "port"):
        if name in own:
            shown = tuple(BY_NAME[key].show(values[key]) for key in ("listen", name))
            remedy = "listen names every address with its port, so delete one of the lines"
            mistakes.add(place.contradiction("listen", shown[0], name, shown[1], remedy))
    values["host"] = ""


def _check_proxy(values: Mapping[str, Any], place: SettingsPlace, mistakes: Mistakes) -> None:
    """Refuse an address of IP with ``proxy`` if no peer is named that may send the header."""
    for endpoint in values["listen"]:
        if endpoint.proxy and not endpoint.path and not values["proxy_from"]:
            remedy = "any client could take any address, so set proxy_from to the addresses of the load balancer"
            mistakes.add(place.contradiction("listen", f"{endpoint} proxy", "proxy_from", "none", remedy))
            return


def _check_clash(
    values: Mapping[str, Any], family: int, narrow: bool, place: SettingsPlace, mistakes: Mistakes
) -> None:
    """Refuse two addresses of ours that cannot be listened on at the same time."""
    name = "listen" if values["listen"] else "port"
    ours = [(name, one) for one in endpoints_of(values["host"], values["port"], values["listen"], family, narrow)]
    ours += [("admin_listen", one) for one in endpoints_of(values["admin_listen"], values["admin_port"])]
    for (name, one), (other_name, other) in itertools.combinations(ours, 2):
        if overlap(one, other):
            remedy = "only one of them can have the port, so change one of the two ports or delete one of the addresses"
            mistakes.add(place.contradiction(name, _shown_at(name, one), other_name, str(other), remedy))


def _shown_at(name: str, endpoint: Endpoint) -> str:
    return str(endpoint.port) if name == "port" else str(endpoint)


def _check_admin(values: Mapping[str, Any], place: SettingsPlace, mistakes: Mistakes) -> None:
    """Refuse settings that would show private data to other machines without a secret (contract P17)."""
    if not values["admin_token"] and not all(network.is_loopback for network in values["admin_allow_from"]):
        shown = BY_NAME["admin_allow_from"].show(values["admin_allow_from"])
        remedy = "other machines are let in with a secret only, so set admin_token or delete the first"
        mistakes.add(place.contradiction("admin_allow_from", shown, "admin_token", "none", remedy))
    listen = values["admin_listen"]
    if listen and not values["admin_token"] and not names_this_machine(listen):
        remedy = (
            "without a secret the page is served on a loopback address only, so set admin_token or write"
            " admin_listen = 127.0.0.1"
        )
        mistakes.add(place.contradiction("admin_listen", listen, "admin_token", "none", remedy))

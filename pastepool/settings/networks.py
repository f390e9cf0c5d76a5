"""Parsers of addresses and networks of clients, and of what proxies among them are believed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from pastepool.core.proxy_trust import FORWARDED, PREFIX, UNIX, X_FORWARDED
from pastepool.settings.parsing import Choices, Unfit, each_word


@dataclass(frozen=True)
class Networks:
    """
    IP addresses and networks, separated by commas or white space.

    A network with bits set after its prefix, such as 10.0.0.1/8, is refused: it is probably a typing error.
    """

    @property
    def expects(self) -> str:
        return "addresses or networks such as 127.0.0.1, 10.0.0.0/8 or fd00::/8, separated by commas or blanks"

    def __call__(self, text: str) -> tuple[Any, ...]:
        networks = each_word(text, self._network)
        if not networks:
            raise Unfit(f"is not {self.expects}")
        return networks

    def _network(self, word: str) -> Any:
        """Read one. Raises: Unfit."""
        try:
            return ipaddress.ip_network(word)
        except ValueError:
            pass
        try:
            meant = ipaddress.ip_network(word, strict=False)
        except ValueError:
            raise Unfit(f"is not {self.expects}") from None
        address = word.partition("/")[0]
        raise Unfit(
            f"is an address with the length of a network; write {meant} for the network, or {address} for the address"
        )

    def show(self, value: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> str:
        return ", ".join(str(network).removesuffix("/32" if network.version == 4 else "/128") for network in value)


@dataclass(frozen=True)
class ProxyNetworks(Networks):
    """IP addresses and networks, and the word ``unix``. The value has the networks, and the word where it was given."""

    @property
    def expects(self) -> str:
        return "addresses or networks such as 127.0.0.1 or 10.0.0.0/8, and the word unix, separated by commas or blanks"

    def __call__(self, text: str) -> tuple[Any, ...]:
        found = super().__call__(text)
        networks = tuple(one for one in found if one != UNIX)
        return (*networks, *([UNIX] if len(networks) < len(found) else []))

    def _network(self, word: str) -> Any:
        return UNIX if word.lower() == UNIX else super()._network(word)

    def show(self, value: tuple[Any, ...]) -> str:
        words = [super(ProxyNetworks, self).show((one,)) if one != UNIX else UNIX for one in value]
        return ", ".join(words)


@dataclass(frozen=True)
class ProxyFields(Choices):
    """The fields of proxies that are believed: one of the two families."""

    words: tuple[str, ...] = (X_FORWARDED, FORWARDED, PREFIX)

    @property
    def expects(self) -> str:
        return f"{X_FORWARDED}, {X_FORWARDED} {PREFIX} or {FORWARDED}"

    def __call__(self, text: str) -> tuple[str, ...]:
        words = super().__call__(text)
        if (X_FORWARDED in words) == (FORWARDED in words) or {FORWARDED, PREFIX} <= set(words):
            raise Unfit(f"is not {self.expects}")
        return words


LOOPBACK = Networks()("127.0.0.0/8, ::1")
"""The addresses of this machine only."""

"""
Limit how often a token may be tried. Without a limit a program could try thousands of tokens a second.

A wrong token must not make a worker wait: a few clients would then hold all workers. So a try above the limit is
refused without a look at the token. Visitors who have logged in before are not affected, because a cookie is no try.

Pure except for a lock. Runs on: any thread.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

from pastepool.core.addresses import ip_address
from pastepool.types import Seconds

TRIES = 10
"""How many different wrong tokens may be tried one after the other before a client has to wait."""

TRY_EVERY: Seconds = 2.0
"""After that, one more may be tried in this time: 43,200 a day."""

_TOLD_EVERY: Seconds = 60.0
"""How often refusals that are no new try are logged. New tries are logged each: there are few."""

_CLIENTS = 1000
"""The most clients that are remembered. Beyond it, the client whose last try is the oldest is forgotten first."""


@dataclass
class _Client:
    """
    One client. ``free_at``: when all its tries are free again. ``last``: the digest of the last wrong token.
    ``told_at``: when the log was told last.
    """

    free_at: Seconds = -math.inf
    last: bytes = b""
    told_at: Seconds = -math.inf


class Tries:
    """
    Counts wrong tokens by client: an IPv4 address, or a network of IPv6 (/64), in which one machine has many.

    Every ``now`` is monotonic: a change of the wall clock gives no client more tries and makes none wait longer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    def wait_for(self, address: str, offered: str, now: Seconds) -> Seconds:
        """
        Return how long a client has to wait before this token is looked at; 0 if it may be looked at now.

        A client that sends the same wrong token again and again, such as a program with an old token, guesses nothing,
        so this is no new try.
        """
        with self._lock:
            client = self._clients.get(_client_of(address))
            if client is None or client.last == _digest(offered):
                return 0.0
            return max(0.0, client.free_at - (TRIES - 1) * TRY_EVERY - now)

    def wrong(self, address: str, offered: str, now: Seconds) -> bool:
        """Note a wrong token. Returns whether to log it."""
        with self._lock:
            client = self._client_locked(address)
            digest = _digest(offered)
            if client.last == digest:
                return self._tell_locked(client, now)
            client.last = digest
            client.free_at = max(client.free_at, now) + TRY_EVERY
            client.told_at = now
            return True

    def refused(self, address: str, now: Seconds) -> bool:
        """Note that a token was not looked at. Returns whether to log it."""
        with self._lock:
            return self._tell_locked(self._client_locked(address), now)

    def _client_locked(self, address: str) -> _Client:
        key = _client_of(address)
        client = self._clients.setdefault(key, _Client())
        self._clients.move_to_end(key)
        if len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)
        return client

    def _tell_locked(self, client: _Client, now: Seconds) -> bool:
        if now < client.told_at + _TOLD_EVERY:
            return False
        client.told_at = now
        return True


def _client_of(address: str) -> str:
    known = ip_address(address)
    if isinstance(known, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)


def _digest(offered: str) -> bytes:
    return hashlib.sha256(offered.encode("utf-8", "backslashreplace")).digest()

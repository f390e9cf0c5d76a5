"""
Every number the decisions obey, once, with its unit and where it comes from.

Knows no parsing and no option names: ``settings`` translates those into these values.
"""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.types import Seconds


@dataclass(frozen=True)
class PoolPolicy:
    """
    How the pool behaves (contract P3 to P10).

    ``workers``: how many should be able to take a request. ``max_workers``: live threads never exceed it (ours, because
    Paste has no cap). ``spawn_if_under``: while requests wait, at least this many should be busy without being hung.
    ``hung_after``: busy for longer is hung. ``kill_after``: busy for longer is killed; 0 switches killing off.
    ``dying_for``: killed and alive for longer is a zombie. ``max_zombies``: more end the process; 0 switches that off.
    ``check_every``: requests after which the supervisor is nudged; 0 means time alone wakes it (contract P7).
    ``max_requests``: a worker leaves after about so many; 0 means never. ``idle_for``: surplus idle workers leave
    after so long without need. ``unblock_sockets``: at a kill also shut down a foreign socket the thread waits on.
    """

    workers: int = 10
    max_workers: int = 40
    spawn_if_under: int = 5
    hung_after: Seconds = 30.0
    kill_after: Seconds = 1800.0
    dying_for: Seconds = 300.0
    max_zombies: int = 0
    check_every: int = 100
    max_requests: int = 0
    idle_for: Seconds = 30.0
    unblock_sockets: bool = False


@dataclass(frozen=True)
class OverloadPolicy:
    """
    When to refuse rather than queue.

    ``queue_limit``: requests that may wait for a worker; with 0 nobody waits. ``queue_timeout``: how long one may wait;
    0 switches that off. ``connection_limit``: open connections at once; 0 switches that off. ``retry_after``: what a
    refused client is told, in seconds.
    """

    queue_limit: int = 1000
    queue_timeout: Seconds = 30.0
    connection_limit: int = 10000
    retry_after: int = 5


@dataclass(frozen=True)
class Timeouts:
    """
    How patient the server is with a client; each is absolute, from the moment named here.

    ``header``: from the first byte of a request (or the accept) to its last header byte. ``body``: from there to the
    last body byte, plus a second for every ``MINIMUM_RATE`` bytes received. ``keep_alive``: from the end of a
    response to the next request's first byte. ``send``: from the first byte the socket would not take, plus a second
    for every ``MINIMUM_RATE`` bytes taken since. ``shutdown``: from the first stop signal to the end of the process.
    0 switches the first four off.
    """

    header: Seconds = 15.0
    body: Seconds = 60.0
    keep_alive: Seconds = 75.0
    send: Seconds = 60.0
    shutdown: Seconds = 10.0


MINIMUM_RATE = 4096
"""
Bytes a second that keep a transfer alive beyond its timeout. Nothing derives it: below it a client is indistinguishable
from one that dribbles on purpose, above it lies every real line of the last twenty years.
"""

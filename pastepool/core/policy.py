"""
Define every number that the decisions depend on, with its unit and its source.

Knows no parsing and no option names: ``settings`` translates the options into these values.
"""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.types import Seconds


@dataclass(frozen=True)
class PoolPolicy:
    """
    How the pool behaves (contract P3 to P10).

    ``workers``: how many workers should be able to take a request. ``max_workers``: there are never more live threads
    than this (ours, because Paste has no cap). ``spawn_if_under``: while requests wait, at least this many workers
    should be busy without being hung. ``hung_after``: a worker that is busy for longer is hung. ``kill_after``: a
    worker that is busy for longer is killed; 0 switches killing off. ``dying_for``: a killed worker that lives for
    longer is a zombie. ``max_zombies``: the process ends when there are more zombies; 0 switches that off.
    ``check_every``: the supervisor is nudged after this many requests; 0 means that only time wakes it (contract P7).
    ``max_requests``: a worker leaves after about this many requests; 0 means never. ``idle_for``: surplus idle workers
    leave when they have not been needed for this long. ``unblock_sockets``: whether a kill also shuts down a foreign
    socket that the thread waits on. ``kill_exception``: what a kill raises (a key of ``errors.KILL_EXCEPTIONS``).
    ``kill_without_gil``: whether requests are killed even if Python runs without a GIL.
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
    kill_exception: str = "WorkerKilled"
    kill_without_gil: bool = False


@dataclass(frozen=True)
class OverloadPolicy:
    """
    When the server refuses a request or a connection.

    ``queue_limit``: how many requests may wait for a worker; 0: no request waits. ``queue_timeout``: how long a request
    may wait; 0 switches that limit off. ``connection_limit``: how many connections may be open at once; 0 switches that
    limit off. ``connection_limit_per_address``: how many of them may come from one address; 0 switches that limit off.
    ``retry_after``: after how many seconds a refused client is told to try again.
    """

    queue_limit: int = 1000
    queue_timeout: Seconds = 30.0
    connection_limit: int = 10000
    connection_limit_per_address: int = 0
    retry_after: int = 5


@dataclass(frozen=True)
class Timeouts:
    """
    How long the server waits for a client. Each limit counts from the moment named here.

    ``header``: from the first byte of a request (or from the accept) to its last header byte. ``body``: from there to
    the last body byte, plus a second for every ``MINIMUM_RATE`` bytes received. ``keep_alive``: from the end of a
    response to the first byte of the next request. ``send``: from the first byte that the socket would not take, plus
    a second for every ``MINIMUM_RATE`` bytes that the client has taken since. ``body`` and ``send`` also limit the time
    from one byte to the next. ``idle_grace``: how long a server that stops keeps a connection on which no request has
    begun; 0 closes it at once. ``shutdown``: from the first stop signal to the end of the process. 0 switches off any of
    the first four.
    """

    header: Seconds = 15.0
    body: Seconds = 60.0
    keep_alive: Seconds = 75.0
    send: Seconds = 60.0
    idle_grace: Seconds = 2.0
    shutdown: Seconds = 10.0


@dataclass(frozen=True)
class ProcessPolicy:
    """
    How many worker processes there are, and how long each of their steps may take.

    ``processes``: how many serve; 0: the server runs in the process of the command, and there is no parent.
    ``startup``: from the fork of a child until it is ready; 0 for no limit. ``drain``: how long a child that is
    replaced may finish its requests. ``shutdown``: the same for the end of all. ``start_failure``: what the parent does
    if the first child of all does not become ready: ``retry``, ``exit``, or empty for what suits where it was started.
    ``deadlock``: a child that gives no sign of life for so long is replaced and killed. A child is replaced after
    ``max_requests`` requests, after ``restart_every`` seconds, after ``inactive`` seconds without a request, or from
    ``max_memory`` bytes on. 0 switches off any of these five. ``preload``: the first child of a generation loads
    the application, and forks the others.
    """

    processes: int = 0
    startup: Seconds = 60.0
    drain: Seconds = 30.0
    shutdown: Seconds = 10.0
    start_failure: str = ""
    deadlock: Seconds = 60.0
    max_requests: int = 0
    restart_every: Seconds = 0.0
    inactive: Seconds = 0.0
    max_memory: int = 0
    preload: bool = False


MINIMUM_RATE = 4096
"""
A transfer of at least this many bytes a second may go on beyond its timeout. A slower client looks the same as one that
is slow on purpose, and every real line of the last twenty years is faster.
"""

"""Contract C1 to C3 and C5: the members of cheroot's pool, of its own and of ours."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

pytest.importorskip("cheroot", reason="cheroot is not installed")

from cheroot import server as theirs
from cheroot.workers import threadpool

from pastepool.adapters.cheroot import ThreadPool, use_in
from tests.waiting import WATCHDOG, Stopwatch, until

POOLS = pytest.mark.parametrize("kind", [threadpool.ThreadPool, ThreadPool], ids=["cheroot", "pastepool"])


class Connection:
    """
    A connection as the pool sees it. ``communicate`` lasts until ``gate`` is set.

    ``keep``: what it returns.
    """

    remote_addr, remote_port, requests_seen = "192.0.2.1", 1, 1

    def __init__(self, *, keep: bool = False, open_gate: bool = False) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.closed = threading.Event()
        self.rfile = self.wfile = self.socket = self
        self.bytes_read = self.bytes_written = 0
        self.keep = keep
        self.worker: Any = None
        if open_gate:
            self.gate.set()

    def communicate(self) -> bool:
        self.entered.set()
        assert self.gate.wait(WATCHDOG)
        return self.keep

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def server() -> Any:
    """A server that is not started. ``kept``: the connections that came back."""
    server = theirs.HTTPServer(("127.0.0.1", 0), theirs.Gateway)
    kept: queue.Queue[Any] = queue.Queue()
    server.kept = kept
    server.put_conn = kept.put
    server.lines = []
    server.error_log = lambda msg="", level=20, traceback=False: server.lines.append(msg)
    return server


def started(kind: Any, server: Any, *args: Any, **keywords: Any) -> Any:
    """A pool that is started and is the server's."""
    server.requests = pool = kind(server, *args, **keywords)
    pool.start()
    return pool


@POOLS
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (10, float("inf"))),
        ({"min": 3}, (3, float("inf"))),
        ({"min": 3, "max": -5}, (3, float("inf"))),
        ({"min": 3, "max": float("inf")}, (3, float("inf"))),
        ({"min": 3, "max": 3}, (3, 3)),
        ({"min": 0}, ValueError),
        ({"min": -1}, ValueError),
        ({"min": 3, "max": 2}, ValueError),
        ({"min": 3, "max": 0}, TypeError),
        ({"min": 3, "max": 3.5}, TypeError),
        ({"min": 3, "max": "10"}, TypeError),
    ],
)
def test_arguments_are_checked(kind: Any, server: Any, arguments: dict[str, Any], expected: Any) -> None:
    """The table of cheroot: names, defaults and errors."""
    if isinstance(expected, tuple):
        pool = kind(server, **arguments)
        assert (pool.min, pool.max) == expected
    else:
        with pytest.raises(expected):
            kind(server, **arguments)


@POOLS
def test_pool_starts_once_and_again_after_a_stop(kind: Any, server: Any) -> None:
    """A second ``start`` is a RuntimeError; after ``stop`` there are new threads."""
    pool = started(kind, server, 2)
    with pytest.raises(RuntimeError, match="only be started once"):
        pool.start()
    pool.stop(1)
    assert pool._threads == []
    pool.start()
    until(lambda: pool.idle == 2, "both are idle again")
    pool.stop(1)


@POOLS
def test_worker_has_its_connection_and_the_pool_its_numbers(kind: Any, server: Any) -> None:
    """``conn``, ``server`` and ``ready`` of a worker; ``idle`` and ``qsize`` of the pool."""
    pool = started(kind, server, 2, 2)
    until(lambda: pool.idle == 2, "both are idle")
    assert all(thread.ready and thread.server is server and thread.conn is None for thread in pool._threads)
    connections = [Connection() for _ in range(3)]
    for connection in connections:
        pool.put(connection)
    for connection in connections[:2]:
        assert connection.entered.wait(WATCHDOG)
    until(lambda: {thread.conn for thread in pool._threads} == set(connections[:2]), "each has one")
    assert (pool.idle, pool.qsize) == (0, 1)
    for connection in connections:
        connection.gate.set()
    assert all(connection.closed.wait(WATCHDOG) for connection in connections)
    until(lambda: pool.idle == 2, "both are idle")
    pool.stop(1)


@POOLS
def test_connection_that_is_kept_goes_back(kind: Any, server: Any) -> None:
    """After its turn it is the connection manager's, and is not closed."""
    pool = started(kind, server, 1)
    connection = Connection(keep=True, open_gate=True)
    pool.put(connection)
    assert server.kept.get(timeout=WATCHDOG) is connection and not connection.closed.is_set()
    pool.stop(1)


@POOLS
def test_pool_grows_and_shrinks_within_its_bounds(kind: Any, server: Any) -> None:
    """``grow`` stops at ``max``, ``shrink`` at ``min``."""
    pool = started(kind, server, 2, 4)
    pool.grow(5)
    until(lambda: pool.idle == len(pool._threads) == 4, "four are idle")
    pool.shrink(1)
    until(lambda: len([t for t in pool._threads if t.ready]) == 3, "three are left")
    pool.shrink(9)
    until(lambda: len([t for t in pool._threads if t.ready]) == 2, "two are left")
    pool.stop(1)


@POOLS
def test_waiting_connection_can_be_taken(kind: Any, server: Any) -> None:
    """``get`` gives its caller a connection that waits (contract C1)."""
    pool = kind(server, 1)
    server.requests = pool
    connection = Connection()
    pool.put(connection)
    assert pool.get() is connection and pool.qsize == 0
    with pytest.raises(queue.Empty):
        pool.get(timeout=0.01)
    with pytest.raises(queue.Empty):
        pool.get(block=False)


@POOLS
def test_full_queue_is_an_error_after_its_timeout(kind: Any, server: Any) -> None:
    """``accepted_queue_size`` connections wait; a further one is ``queue.Full``."""
    pool = started(kind, server, 1, 1, accepted_queue_size=1, accepted_queue_timeout=0.05)
    first, second = Connection(), Connection(open_gate=True)
    pool.put(first)
    assert first.entered.wait(WATCHDOG)
    pool.put(second)
    with pytest.raises(queue.Full):
        pool.put(Connection())
    first.gate.set()
    assert second.closed.wait(WATCHDOG)
    pool.stop(1)


def test_room_that_comes_in_time_is_taken(server: Any) -> None:
    """A connection that waits for room gets it as soon as a worker is free."""
    pool = started(ThreadPool, server, 1, 1, accepted_queue_size=1, accepted_queue_timeout=WATCHDOG)
    first, second, third = Connection(), Connection(open_gate=True), Connection(open_gate=True)
    pool.put(first)
    assert first.entered.wait(WATCHDOG)
    pool.put(second)
    putting = threading.Thread(target=pool.put, args=(third,))
    putting.start()
    first.gate.set()
    putting.join(WATCHDOG)
    assert third.closed.wait(WATCHDOG)
    pool.stop(1)


def test_those_behind_the_first_do_not_wait_for_the_sum(server: Any) -> None:
    """Four find the queue full: all are refused within one timeout, and not one timeout after the other."""
    pool = started(ThreadPool, server, 1, 1, accepted_queue_size=1, accepted_queue_timeout=1.0)
    first, second = Connection(), Connection(open_gate=True)
    pool.put(first)
    assert first.entered.wait(WATCHDOG)
    pool.put(second)
    watch = Stopwatch()
    for _ in range(4):
        with pytest.raises(queue.Full):
            pool.put(Connection())
    assert watch.elapsed() >= 1.0 and watch.net() < 2.0
    first.gate.set()
    assert second.closed.wait(WATCHDOG)
    pool.stop(1)


@pytest.mark.parametrize("timeout", [0, -1, 0.2])
def test_stop_is_bounded_with_a_hung_connection(server: Any, timeout: float) -> None:
    """cheroot's own pool waits for ever here; ours returns, and the waiting connection is closed."""
    pool = started(ThreadPool, server, 1, 1)
    hung, waiting = Connection(), Connection()
    pool.put(hung)
    assert hung.entered.wait(WATCHDOG)
    pool.put(waiting)
    watch = Stopwatch()
    pool.stop(timeout)
    assert watch.net() < 5
    assert waiting.closed.is_set()
    hung.gate.set()
    assert hung.closed.wait(WATCHDOG)


def test_stop_without_a_limit_waits(server: Any) -> None:
    """``None`` is for as long as it takes."""
    pool = started(ThreadPool, server, 1, 1)
    hung = Connection()
    pool.put(hung)
    assert hung.entered.wait(WATCHDOG)
    stopping = threading.Thread(target=pool.stop, args=(None,))
    stopping.start()
    assert stopping.is_alive() and not hung.closed.is_set()
    hung.gate.set()
    stopping.join(WATCHDOG)
    assert not stopping.is_alive() and hung.closed.is_set()


def test_stop_before_the_start(server: Any) -> None:
    """Nothing has to be stopped, and the connection that waited is closed."""
    pool = ThreadPool(server)
    connection = Connection()
    pool.put(connection)
    pool.stop(1)
    assert connection.closed.is_set()
    with pytest.raises(queue.Full):
        pool.put(Connection())


def test_min_may_be_changed_before_the_start(server: Any) -> None:
    """``server.numthreads`` sets it."""
    pool = ThreadPool(server, 2)
    pool.min = 3
    pool.start()
    until(lambda: pool.idle == 3, "three are idle")
    pool.stop(1)


def test_use_in_takes_over_what_the_old_pool_was_told(server: Any) -> None:
    """Numbers and queue are those of the pool that was there; options are ours."""
    server.requests = threadpool.ThreadPool(server, 3, 7, 5, 2)
    use_in(server, hung_thread_limit=7)
    pool = server.requests
    assert (pool.min, pool.max, pool._queue_put_timeout) == (3, 7, 2)
    policy = pool.pool.settings.pool
    assert (policy.workers, policy.max_workers, policy.hung_after) == (3, 28, 7.0)
    assert pool.pool.settings.overload.queue_limit == 5

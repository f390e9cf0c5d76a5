"""What a pool offers to a host that had a queue and threads of its own: room, taking back, counts and another size."""

from __future__ import annotations

import queue
import threading

import pytest

from pastepool import Work, WorkerPool
from tests.pooling.pieces import Piece, end, enter, running
from tests.waiting import WATCHDOG, Stopwatch, until


def full(pool: WorkerPool) -> tuple[Piece, Piece]:
    """Fill a pool of one worker whose ``queue_limit`` is 1: one piece runs, one waits."""
    runs, waits = Piece(), Piece(released=True)
    assert pool.submit(runs)
    enter(runs)
    assert pool.submit(waits)
    return runs, waits


def test_submit_waits_for_room() -> None:
    """It takes the room that a worker makes when it becomes free."""
    with running(WorkerPool("shop", workers=1, queue_limit=1)) as pool:
        runs, waits = full(pool)
        third = Piece(released=True)
        taken: queue.Queue[bool] = queue.Queue()
        submitting = threading.Thread(target=lambda: taken.put(pool.submit(third, room_within=None)))
        submitting.start()
        until(lambda: pool.waits.wanted == 1, "it waits")
        end(runs, waits)
        assert taken.get(timeout=WATCHDOG)
        assert third.over.wait(WATCHDOG) and third.runs == 1
        submitting.join(WATCHDOG)


def test_backlog_that_stays_full_refuses_all_within_one_time() -> None:
    """The first waits for the whole of it; those behind it do not wait for the sum. Room that was there begins it again."""
    with running(WorkerPool("shop", workers=1, queue_limit=1)) as pool:
        runs, waits = full(pool)
        watch = Stopwatch()
        assert [pool.submit(Piece(), room_within=0.5) for _ in range(4)] == [False] * 4
        assert watch.elapsed() >= 0.5 and watch.net() < 1.0
        end(runs, waits)
        runs, waits = full(pool)
        watch = Stopwatch()
        assert not pool.submit(Piece(), room_within=0.2)
        assert watch.elapsed() >= 0.2
        end(runs, waits)


def test_worker_does_not_wait_for_room() -> None:
    """It would wait for itself."""
    answers: list[bool] = []
    with running(WorkerPool("shop", workers=1, queue_limit=1)) as pool:
        piece = Piece(
            inside=lambda: answers.extend(pool.submit(print, room_within=None) for _ in range(2)), released=True
        )
        pool.submit(piece)
        assert piece.over.wait(WATCHDOG)
    assert answers == [True, False]


def test_stop_ends_the_wait_for_room() -> None:
    """One that waits is told that its work was not taken."""
    pool = WorkerPool("shop", workers=1, queue_limit=1)
    pool.start()
    runs, waits = full(pool)
    taken: queue.Queue[bool] = queue.Queue()
    submitting = threading.Thread(target=lambda: taken.put(pool.submit(Piece(), room_within=None)))
    submitting.start()
    until(lambda: pool.waits.wanted == 1, "it waits")
    stopping = threading.Thread(target=pool.stop, args=(WATCHDOG,))
    stopping.start()
    assert not taken.get(timeout=WATCHDOG)
    end(runs, waits)
    stopping.join(WATCHDOG)
    submitting.join(WATCHDOG)
    assert not stopping.is_alive()


def test_work_is_taken_back_before_a_worker_has_it() -> None:
    """At once, or when some comes; None if none does."""
    pool = WorkerPool("shop", workers=1)
    first, second = Piece(), Piece()
    pool.submit(first)
    assert pool.take_back() is first and pool.qsize == 0
    assert pool.take_back(0.01) is None
    found: queue.Queue[Work | None] = queue.Queue()
    taking = threading.Thread(target=lambda: found.put(pool.take_back(None)))
    taking.start()
    until(lambda: pool.waits.wanted == 1, "it waits")
    pool.submit(second)
    assert found.get(timeout=WATCHDOG) is second
    taking.join(WATCHDOG)
    assert pool.stop(0)
    assert first.runs == second.runs == first.refusals == second.refusals == 0


def test_running_says_what_each_worker_runs() -> None:
    """The work by the name of its worker, also while a request runs in it; None for an idle one."""
    seen: list[dict[str, Work | None]] = []

    def serve() -> None:
        with pool.request({"PATH_INFO": "/"}):
            seen.append(pool.running())

    with running(WorkerPool("shop", workers=2)) as pool:
        until(lambda: pool.idle == 2, "both are idle")
        names = {worker.name for worker in pool.workers}
        assert pool.running() == dict.fromkeys(names)
        piece = Piece(inside=serve)
        pool.submit(piece)
        enter(piece)
        until(lambda: bool(seen), "the request has run")
        assert seen == [pool.running()] and set(seen[0].values()) == {piece, None}
        end(piece)


def test_counts_of_workers_that_have_ended_are_kept_in_one_sum() -> None:
    """Each worker counts for itself. When it has gone its entry goes, and its numbers stay."""
    with running(WorkerPool("shop", workers=1, most=2)) as pool:
        pieces = [Piece(inside=lambda: pool.counts.add({"bytes": 5, "seconds": 0.5})) for _ in range(2)]
        for piece in pieces:
            pool.submit(piece)
        enter(*pieces)
        end(*pieces)
        until(lambda: pool.idle == 2, "both are idle")
        both = pool.counts.by_worker()
        assert sorted(counts["bytes"] for counts in both.values()) == [0, 5, 5]
        pool.shrink(1)
        until(lambda: len(pool.workers) == 1, "one has left")
        left = pool.counts.by_worker()
        assert len(left) == 2 and [counts["seconds"] for counts in left.values()] == [0.5, 0.5]


@pytest.mark.parametrize("work_waits", [False, True])
def test_size_is_set_before_the_start(work_waits: bool) -> None:
    """The next start keeps so many workers, and what waits is not lost."""
    pool = WorkerPool("shop", workers=1)
    piece = Piece(released=True)
    if work_waits:
        pool.submit(piece)
    pool.resize(3, 4)
    pool.resize(3, 4)
    assert (pool.settings.pool.workers, pool.most, pool.qsize) == (3, 4, int(work_waits))
    with running(pool):
        until(lambda: pool.idle == 3, "three are idle")
    assert piece.runs == piece.ends == int(work_waits) and piece.refusals == 0


def test_size_of_a_pool_that_runs_is_that_of_its_next_start() -> None:
    """``most`` holds at once, ``workers`` from the next start on."""
    pool = WorkerPool("shop", workers=1)
    with running(pool):
        pool.resize(2, 3)
        assert pool.most == 3 and len(pool.workers) == 1
    with running(pool):
        until(lambda: pool.idle == 2, "two are idle")


def test_application_is_wrapped_for_a_server_that_tells_nothing() -> None:
    """Its call and its response are one request; on another thread nothing happens."""
    seen: list[object] = []

    def application(environ: dict[str, object], start_response: object) -> list[bytes]:
        seen.append([worker.task.title() for worker in pool.workers if worker.task is not None])
        return [b"hello"]

    with running(WorkerPool("shop", workers=1)) as pool:
        wrapped = pool.wrap(application)
        piece = Piece(inside=lambda: seen.append(b"".join(wrapped({"PATH_INFO": "/a"}, print))), released=True)
        pool.submit(piece)
        assert piece.over.wait(WATCHDOG)
        assert b"".join(wrapped({"PATH_INFO": "/b"}, print)) == b"hello"
    assert seen == [[" /a"], b"hello", []]

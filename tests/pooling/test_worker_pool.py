"""The pool for other programs: what is taken, how many workers there are, and how it ends."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from pastepool import Work, WorkerPool
from pastepool.core.states import Status, classify
from pastepool.errors import PoolClosed, SettingsError
from tests.pooling.pieces import Connection, Deaf, Piece, end, enter, running, was_killed
from tests.waiting import WATCHDOG, Stopwatch, until


def statuses(pool: WorkerPool) -> list[Status]:
    """What a person would be told of each worker."""
    view = pool.paste_pool.server_view
    assert view is not None
    return [classify(record, view.clock.now(), view.policy) for record in view.pool.records()]


def test_constructor_starts_nothing() -> None:
    """Neither a thread nor anything else begins before ``start`` (contract F2)."""
    before = threading.active_count()
    pool = WorkerPool("shop")
    assert threading.active_count() == before
    assert pool.idle == pool.qsize == 0 and pool.workers == []
    pool.stop(0)


def test_work_given_before_the_start_runs_after_it() -> None:
    """As in Twisted's pool: it waits for the start."""
    pool = WorkerPool("shop", workers=2)
    piece = Piece(released=True)
    assert pool.submit(piece) and pool.qsize == 1
    assert not pool.submit(Piece(), wait=False)
    with running(pool):
        assert piece.over.wait(WATCHDOG)
    assert (piece.runs, piece.ends, piece.refusals) == (1, 1, 0)


def test_starting_twice_starts_once() -> None:
    """``start`` is idempotent."""
    with running(WorkerPool("shop", workers=2)) as pool:
        pool.start()
        until(lambda: pool.idle == 2, "both are idle")
        assert len(pool.workers) == 2


def test_work_that_raises_costs_no_worker() -> None:
    """The work is told of its error, and the next one runs; also after a SystemExit."""

    def fail() -> None:
        raise SystemExit(3)

    with running(WorkerPool("shop", workers=1)) as pool:
        for _ in range(3):
            piece = Piece(inside=fail)
            assert pool.submit(piece)
            assert piece.over.wait(WATCHDOG)
            assert isinstance(piece.error, SystemExit)
        assert [worker.worker_id for worker in pool.workers] == [1]


def test_host_that_fails_at_the_end_costs_no_worker(caplog: pytest.LogCaptureFixture) -> None:
    """An error in ``finished`` is logged."""

    class Clumsy(Piece):
        def finished(self) -> None:
            super().finished()
            raise ValueError("clumsy")

    with running(WorkerPool("shop", workers=1)) as pool:
        for _ in range(2):
            piece = Clumsy(released=True)
            pool.submit(piece)
            assert piece.over.wait(WATCHDOG)
    assert caplog.text.count("ValueError: clumsy") == 2


def test_callable_is_work() -> None:
    """A function is enough; its error is logged with its name."""
    done = threading.Event()
    with running(WorkerPool("shop", workers=1)) as pool:
        assert pool.submit(done.set)
        assert done.wait(WATCHDOG)


def test_base_class_logs_what_it_is_not_told_to_handle(caplog: pytest.LogCaptureFixture) -> None:
    """``run`` has to be defined; the default of ``failed`` logs, and so does that of ``refused``."""

    class Clumsy(Work):
        def run(self) -> None:
            raise LookupError("no such order")

    with pytest.raises(TypeError, match="run"):
        Work()  # type: ignore[abstract]
    with running(WorkerPool("shop", workers=1)) as pool:
        pool.submit(Clumsy())
    pool = WorkerPool("shop", workers=1)
    pool.submit(Clumsy())
    pool.stop(0)
    assert "Clumsy failed" in caplog.text and "LookupError: no such order" in caplog.text
    assert "Clumsy was not run: the pool stops" in caplog.text


def test_connection_whose_other_end_hangs_up_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """It is told in one line, without a traceback."""
    caplog.set_level(logging.INFO)

    class Connection(Work):
        holds_requests = True

        def run(self) -> None:
            raise ConnectionResetError("reset by peer")

    with running(WorkerPool("shop", workers=1)) as pool:
        pool.submit(Connection())
    (line,) = [each for each in caplog.records if each.name == "pastepool.app"]
    assert (line.levelname, line.exc_info) == ("INFO", None)
    assert line.getMessage().endswith("Connection ended: reset by peer")


def test_burst_without_waiting_gets_exactly_the_workers_there_can_be() -> None:
    """Twelve at once, three workers at most, one at first: three are taken (contract F1; flup takes all twelve)."""
    with running(WorkerPool("shop", workers=1, most=3)) as pool:
        pieces = [Piece() for _ in range(12)]
        taken = [pool.submit(piece, wait=False) for piece in pieces]
        assert taken == [True] * 3 + [False] * 9
        enter(*pieces[:3])
        assert len(pool.workers) == 3 and pool.qsize == 0
        end(*pieces[:3])
        until(lambda: pool.idle == 3, "all are idle")
        again = [Piece() for _ in range(5)]
        assert [pool.submit(piece, wait=False) for piece in again] == [True] * 3 + [False] * 2
        end(*again[:3])
    assert [piece.runs + piece.refusals for piece in pieces] == [1] * 3 + [0] * 9


def test_burst_from_many_threads_is_exact_too() -> None:
    """Eight threads offer at the same time; as many pieces are taken as there may be workers."""
    with running(WorkerPool("shop", workers=1, most=3)) as pool:
        pieces = [Piece() for _ in range(16)]
        barrier = threading.Barrier(8)
        taken: list[Piece] = []

        def offer(own: list[Piece]) -> None:
            barrier.wait(WATCHDOG)
            taken.extend(piece for piece in own if pool.submit(piece, wait=False))

        threads = [threading.Thread(target=offer, args=(pieces[at::8],)) for at in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WATCHDOG)
        assert len(taken) == 3
        end(*taken)


def test_queued_work_runs_in_order() -> None:
    """Work that may wait is all taken and begins in the order in which it came."""
    order: list[int] = []
    with running(WorkerPool("shop", workers=1)) as pool:
        first = Piece()
        pool.submit(first)
        enter(first)
        pieces = [Piece(released=True, inside=lambda at=at: order.append(at)) for at in range(12)]  # type: ignore[misc]
        assert all(pool.submit(piece) for piece in pieces)
        assert pool.qsize == 12
        end(first, *pieces)
    assert order == list(range(12))


def test_limit_of_the_backlog_refuses() -> None:
    """With ``queue_limit`` a further piece is not taken, and never hears of it."""
    with running(WorkerPool("shop", workers=1, queue_limit=2)) as pool:
        first = Piece()
        pool.submit(first)
        enter(first)
        pieces = [Piece(released=True) for _ in range(3)]
        assert [pool.submit(piece) for piece in pieces] == [True, True, False]
        end(first, *pieces[:2])
    assert (pieces[2].runs, pieces[2].refusals) == (0, 0)


def test_pool_grows_while_work_waits_and_never_beyond_most() -> None:
    """With ``most`` workers are started before anything waits."""
    with running(WorkerPool("shop", workers=1, most=4)) as pool:
        pieces = [Piece() for _ in range(6)]
        for piece in pieces:
            assert pool.submit(piece)
        enter(*pieces[:4])
        assert len(pool.workers) == 4 and pool.qsize == 2
        end(*pieces)


def test_grow_and_shrink_keep_their_bounds() -> None:
    """``grow`` starts no more than ``most``, ``shrink`` leaves no fewer than ``workers`` (contract C2)."""
    with running(WorkerPool("shop", workers=2, most=4)) as pool:
        until(lambda: pool.idle == 2, "two are idle")
        assert pool.grow(10) == 2
        until(lambda: pool.idle == 4, "four are idle")
        assert pool.grow(1) == 0
        assert pool.shrink(1) == 1
        until(lambda: len(pool.workers) == 3, "three are left")
        assert pool.shrink(10) == 1
        until(lambda: len(pool.workers) == 2, "two are left")
        assert pool.shrink(10) == 0


def test_hung_work_is_replaced_and_killed(caplog: pytest.LogCaptureFixture) -> None:
    """Four pieces hang on two workers: later work runs, the four are killed at their limit, and two workers are left."""
    with running(WorkerPool("shop", workers=2, hung_thread_limit=0.2, kill_thread_limit=1)) as pool:
        hung = [Piece() for _ in range(2)]
        for piece in hung:
            pool.submit(piece)
        enter(*hung)
        later = Piece(released=True)
        pool.submit(later)
        assert later.over.wait(WATCHDOG)
        assert all(piece.over.wait(WATCHDOG) and was_killed(piece) for piece in hung)
        until(lambda: pool.idle == len(pool.workers) == 2, "two are left")
    assert "is hung: a piece has run for" in caplog.text and "kill worker" in caplog.text


def test_work_is_woken_when_it_is_killed() -> None:
    """``cancel`` is called, so that a call ends that no exception reaches."""

    class Cancellable(Deaf):
        def cancel(self) -> None:
            self.release()

    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        piece = Cancellable()
        pool.submit(piece)
        assert piece.over.wait(WATCHDOG)


def test_connection_without_a_request_is_never_hung() -> None:
    """Its worker waits for its host, however long, and another one takes its place."""
    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.05, kill_thread_limit=0.1)) as pool:
        idle = Connection()
        pool.submit(idle)
        enter(idle)
        until(lambda: statuses(pool)[0] is Status.SENDING, "the worker waits for its host")
        other = Piece(released=True)
        pool.submit(other)
        assert other.over.wait(WATCHDOG)
        time.sleep(0.2)  # longer than both limits
        assert statuses(pool)[0] is Status.SENDING and not idle.over.is_set()
        end(idle)
    assert idle.error is None


def test_stop_finishes_what_waits() -> None:
    """Work in the backlog runs before the threads end."""
    pool = WorkerPool("shop", workers=1)
    pool.start()
    first, waiting = Piece(), [Piece(released=True) for _ in range(3)]
    for piece in (first, *waiting):
        pool.submit(piece)
    enter(first)
    first.released.set()
    assert pool.stop(WATCHDOG)
    assert [piece.ends for piece in waiting] == [1, 1, 1]
    assert not pool.submit(Piece())


@pytest.mark.parametrize("timeout", [0, -1, 0.2])
def test_stop_is_bounded(timeout: float, caplog: pytest.LogCaptureFixture) -> None:
    """What hangs is left alone and named; what waited behind it is refused."""
    pool = WorkerPool("shop", workers=1)
    pool.start()
    deaf, waiting = Deaf(), Piece()
    pool.submit(deaf)
    enter(deaf)
    pool.submit(waiting)
    watch = Stopwatch()
    assert not pool.stop(timeout)
    assert watch.net() < max(0, timeout) + 5
    assert waiting.refusals == 1 and waiting.runs == 0
    assert "did not stop: a piece" in caplog.text
    deaf.release()
    assert deaf.over.wait(WATCHDOG)


def test_stop_from_a_worker_returns() -> None:
    """A worker may stop its own pool; it is not waited for."""
    pool = WorkerPool("shop", workers=2)
    pool.start()
    answers: list[bool] = []
    piece = Piece(released=True, inside=lambda: answers.append(pool.stop(WATCHDOG)))
    pool.submit(piece)
    assert piece.over.wait(WATCHDOG)
    assert answers == [True]


def test_stopped_pool_starts_again() -> None:
    """``start`` after ``stop`` has new threads."""
    pool = WorkerPool("shop", workers=1)
    for _ in range(2):
        with running(pool):
            piece = Piece(released=True)
            assert pool.submit(piece)
            assert piece.over.wait(WATCHDOG)


def test_stop_before_the_start_refuses() -> None:
    """What was given to a pool that never started is told so."""
    pool = WorkerPool("shop")
    piece = Piece()
    pool.submit(piece)
    assert pool.stop(None) is True
    assert piece.refusals == 1


def test_pastes_way_of_adding_work_is_work_like_any_other() -> None:
    """``environ['paste.httpserver.thread_pool'].add_task`` counts, waits and is refused as everything else."""
    done = threading.Event()
    pool = WorkerPool("shop", workers=1)
    with running(pool):
        pool.paste_pool.add_task(done.set)
        assert done.wait(WATCHDOG)
    with pytest.raises(PoolClosed):
        pool.paste_pool.add_task(done.set)


def test_zombies_end_the_process_as_the_host_says() -> None:
    """With more zombies than allowed the host's function is called with the reason."""
    reasons: list[str] = []
    told = threading.Event()

    def end_process(reason: str) -> None:
        reasons.append(reason)
        told.set()

    pool = WorkerPool(
        "shop",
        end_process=end_process,
        workers=1,
        hung_thread_limit=0.05,
        kill_thread_limit=0.1,
        dying_limit=0.1,
        max_zombie_threads_before_die=1,
    )
    pool.start()
    deaf = [Deaf(), Deaf()]
    for piece in deaf:
        pool.submit(piece)
        enter(piece)
    assert told.wait(WATCHDOG)
    pool.stop(0)
    for piece in deaf:
        piece.release()
    assert "zombie" in reasons[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"wokers": 3}, "[WorkerPool shop]: 'wokers' is not an option of a pool; the nearest one is 'workers'."),
        ({"zzz": 3}, "it takes admin_allow_from, admin_allow_kill, "),
        (
            {"port": 80},
            "'port' is not an option of a pool; it is an option of the server and not of its pool, so leave",
        ),
        ({"workers": 0}, "threadpool_workers"),
        ({"hung_thread_limit": "soon"}, "threadpool_hung_thread_limit"),
    ],
)
def test_keywords_are_checked(options: dict[str, object], sentence: str) -> None:
    """A mistake is a sentence that names the pool, the keyword and the remedy."""
    with pytest.raises(SettingsError) as error:
        WorkerPool("shop", **options)  # type: ignore[arg-type]
    assert sentence in str(error.value) and "shop" in str(error.value)


def test_keywords_are_those_of_the_ini_file() -> None:
    """With or without ``threadpool_``; durations as in a file."""
    pool = WorkerPool("shop", threadpool_workers="7", hung_thread_limit="2m", most=9)
    assert (pool.settings.pool.workers, pool.settings.pool.hung_after, pool.settings.pool.max_workers) == (7, 120.0, 36)

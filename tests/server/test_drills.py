"""
Emergencies, rehearsed with real sockets and short limits.

Each drill is one that took down a pool of threads somewhere: hung requests and nobody else, hung requests without end,
a burst after a recovery, every worker hung with no room for more. Every kind of hang there is: ``test_hang_table``.
Zombies: ``test_zombies``.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pastepool.core.actions import Retire
from pastepool.core.states import Phase, Status, classify
from tests.server.conftest import Serve
from tests.server.hanging import Hanging, asked
from tests.server.programs import Program
from tests.server.serving import Client, Running
from tests.waiting import Stopwatch, until

LATE = 1.0
"""What the issue allows an answer to be later than the limit that brings it."""


@pytest.fixture
def app() -> Iterator[Hanging]:
    """An application that hangs where it is asked to, and is let go before the server stops."""
    with Hanging() as hanging:
        yield hanging


def number(run: Running, *statuses: Status) -> int:
    """How many workers are called one of these at this moment."""
    pool, now = run.server.parts.pool, run.server.parts.clock.now()
    return sum(classify(record, now, run.server.settings.pool) in statuses for record in pool.records())


def living(run: Running) -> int:
    """Workers that live: those that only have to be forgotten do not count, though their thread may have a line left."""
    return sum(record.phase is not Phase.GONE for record in run.server.parts.pool.records())


# (a)


def test_a_eleven_hung_requests_and_nothing_else(serve: Serve, app: Hanging) -> None:
    """Ten workers, ten hung requests, an eleventh that waits: it is answered within the hung limit plus a second."""
    hung = 0.4
    run = serve(app, threadpool_workers=10, threadpool_hung_thread_limit=hung, threadpool_kill_thread_limit=0)
    with asked(run, *[f"/hang/{each}" for each in range(10)]), run.client() as eleventh:
        app.await_calls(10)
        watch = Stopwatch()
        assert eleventh.get("/eleventh").body == b"/eleventh"
        assert watch.net() < hung + LATE
        app.release()


def test_a_eleventh_that_hangs_as_well_does_not_stop_the_twelfth(serve: Serve, app: Hanging) -> None:
    """Two workers, six hung requests: hung ones are replaced while there is room, and the seventh is answered."""
    run = serve(
        app,
        threadpool_workers=2,
        threadpool_max_workers=8,
        threadpool_hung_thread_limit=0.1,
        threadpool_kill_thread_limit=0,
    )
    with contextlib.ExitStack() as stack:
        for each in range(3):
            stack.enter_context(asked(run, f"/hang/{each}/0", f"/hang/{each}/1"))
            app.await_calls(2)
        assert run.get("/still/there").status == 200
        app.release()


# (b)


def test_b_trickle_of_hanging_requests_for_ever(serve: Serve, app: Hanging) -> None:
    """One after the other they hang and are killed; everybody else is answered; threads go up to the cap, not above."""
    cap, count, kill = 6, 20, 0.5
    run = serve(
        app,
        threadpool_workers=4,
        threadpool_max_workers=cap,
        threadpool_hung_thread_limit=0.1,
        threadpool_kill_thread_limit=kill,
    )
    most, slowest = 0, 0.0
    with contextlib.ExitStack() as stack:
        trickle: list[Client] = []
        for each in range(count):
            [client] = stack.enter_context(asked(run, f"/hang/{each}"))
            trickle.append(client)
            app.await_calls()
            watch = Stopwatch()
            assert run.get("/honest").body == b"/honest"
            slowest = max(slowest, watch.net())
            most = max(most, living(run))
        for client in trickle:
            assert client.response().status == 504
    assert most == cap, "without a cap this trickle takes more"
    assert slowest < kill + LATE, "the cap is reached, so one waits until a hung one has been killed"
    until(lambda: len(app.outcomes) == count, "each of them ended")
    assert set(app.outcomes.values()) == {"WorkerKilled"}


# (d)


def count_after_each_retirement(run: Running) -> list[int]:
    """
    How many workers are left, from now on, each time one was asked to retire; those that leave are not counted.

    Counted on the supervisor's thread, the only one that spawns and retires: no count is in between two states.
    """
    apply = run.server.parts.supervisor._applying._apply_by_type
    retire, left = apply[Retire], []

    def retire_and_count(action: Retire) -> None:
        retire(action)
        phases = [record.phase for record in run.server.parts.pool.records()]
        left.append(sum(phase in (Phase.STARTING, Phase.IDLE, Phase.BUSY) for phase in phases))

    apply[Retire] = retire_and_count
    return left


def test_d_burst_after_a_recovery_never_shrinks_the_pool_below_workers(serve: Serve, app: Hanging) -> None:
    """Twelve for six, the hung ones come back, bursts come while the surplus leaves: six stay, never fewer."""
    run = serve(
        app,
        threadpool_workers=6,
        threadpool_hung_thread_limit=0.2,
        threadpool_kill_thread_limit=0,
        threadpool_idle_timeout=0.05,
    )
    with asked(run, *[f"/hang/{each}" for each in range(6)]) as hung:
        app.await_calls(6)
        until(lambda: number(run, Status.HUNG) == number(run, Status.IDLE) == 6, "six hang, and six are idle")
        left = count_after_each_retirement(run)
        app.release()
        for client in hung:
            assert client.response().status == 200
    for _ in range(15):
        with asked(run, *["/burst"] * 8) as burst:
            assert [client.response().status for client in burst] == [200] * 8
    until(lambda: len(run.server.parts.pool.workers) == 6, "the surplus has left")
    assert min(left) == 6
    assert run.get("/after").status == 200


# (e)

PATIENCE = 1.0

FULL: dict[str, Any] = {
    "threadpool_workers": 2,
    "threadpool_max_workers": 2,
    "threadpool_hung_thread_limit": 0.2,
    "threadpool_kill_thread_limit": 0,
    "queue_limit": 1,
    "queue_timeout": PATIENCE,
    "health_path": "/health",
    "shutdown_timeout": 0.3,
}


def test_e_every_worker_hung_and_no_room_for_more(tmp_path: Path) -> None:
    """Health, the refusal of what cannot wait, the log and signals work; the log says why nobody is served."""
    with Program(tmp_path, **FULL) as program, contextlib.ExitStack() as stack:
        program.address()
        for each in range(2):
            stack.enter_context(program.client()).ask(f"/hang/{each}")
            program.await_call(f"/hang/{each}")
        waits = stack.enter_context(program.client())
        watch = Stopwatch()
        waits.ask("/waits")
        program.await_line(r"ERROR .*cannot spawn 2 workers: 2 threads live and max_workers = 2 \(2 hung\); nobody is")
        with program.client() as client:
            assert client.get("/health").status == 200
        with program.client() as client:
            response = client.get("/one/too/many")
            assert (response.status, "retry-after" in response.fields) == (503, True)
        assert waits.response().status == 503, "it waited as long as it may"
        assert watch.elapsed() >= PATIENCE and watch.net() < PATIENCE + LATE
        program.process.send_signal(signal.SIGTERM)
        assert program.wait() == 1
    assert re.search(r"ERROR .* did not stop: GET /hang/0\n", program.said)


# The log.

LOCKED = """
class Pipe(logging.Handler):
    # Its other end has stopped reading, from a line of the application's on.

    def emit(self, record):
        if record.name == "app":
            say("the log hangs")
            threading.Event().wait()


logging.getLogger().addHandler(Pipe())
inner = app


def app(environ, start_response):
    if environ["PATH_INFO"].startswith("/log"):
        logging.getLogger("app").warning("a line that is never written")
    return inner(environ, start_response)
"""


LOCKED_POOL: dict[str, Any] = {
    "threadpool_workers": 1,
    "threadpool_max_workers": 6,
    "threadpool_hung_thread_limit": 0.2,
    "threadpool_kill_thread_limit": 0.6,
    "shutdown_timeout": 1.0,
    "access_log": "true",
}


def test_log_that_hangs_hangs_nobody_who_does_not_log(tmp_path: Path) -> None:
    """
    A request hangs in a handler of the log and has its lock: hung workers are replaced, requests answered and killed,
    nonsense refused and signals obeyed all the same.
    """
    with Program(tmp_path, LOCKED, **LOCKED_POOL) as program, program.client() as first:
        program.address()
        first.ask("/log")
        program.await_line("the log hangs")
        with program.client() as other:
            for _ in range(20):
                assert other.get("/hello").status == 200
            other.ask("/hang")
            assert other.response().status == 504
        assert first.response().status == 504
        with program.client() as client:
            client.send(b"NONSENSE\r\n\r\n")
            assert client.response().status in (400, 501)
        program.process.send_signal(signal.SIGTERM)
        assert program.wait() == 1

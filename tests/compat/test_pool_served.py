"""
``environ['paste.httpserver.thread_pool']`` as an application finds it that is served over a real socket.

What third parties do with Paste's pool: a monitor looks up long requests by thread id, a page lists threads by state and
kills one of them, an application submits work of its own. Each does it here through what its environ holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pastepool.errors import WorkerKilled
from tests.server.serving import Client, Environ, Running, running
from tests.waiting import WATCHDOG, until

POOL = "paste.httpserver.thread_pool"


class Application:
    """
    Hangs under ``/hang`` until it is let go, in Python, so that a kill lands; elsewhere it does what the test set.

    ``pool``: what its environ held. ``outcomes``: how each call that hung has ended, by path.
    """

    def __init__(self) -> None:
        self.pool: Any = None
        self.outcomes: dict[str, str] = {}
        self.cleaned: list[str] = []
        self.entered = threading.Semaphore(0)
        self.released = False
        self.look: Callable[[Environ], object] = lambda environ: None

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.pool = environ[POOL]
        path = environ["PATH_INFO"]
        if path.startswith("/hang"):
            self._hang(path)
        else:
            self.look(environ)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [path.encode("latin-1")]

    def _hang(self, path: str) -> None:
        self.outcomes[path] = "running"
        try:
            self._wait()
            self.outcomes[path] = "returned"
        except Exception:
            self.outcomes[path] = "an Exception"
            raise
        except WorkerKilled:
            self.outcomes[path] = "WorkerKilled"
            raise
        finally:
            self.cleaned.append(path)

    def _wait(self) -> None:
        self.entered.release()
        while not self.released:
            time.sleep(0.001)


@pytest.fixture
def app() -> Iterator[Application]:
    """An application whose hanging calls end with the test."""
    application = Application()
    yield application
    application.released = True


@pytest.fixture
def run(app: Application) -> Iterator[Running]:
    """A server of three workers, which kills nobody by itself."""
    with running(app, threadpool_workers=3, threadpool_kill_thread_limit=0) as server:
        yield server
        app.released = True


def hang(run: Running, app: Application, path: str = "/hang") -> Client:
    """One request that hangs; the client that asked closes."""
    client = run.client()
    client.ask(path)
    assert app.entered.acquire(timeout=WATCHDOG)
    return client


def test_everything_third_parties_read_is_there(app: Application, run: Running) -> None:
    """The attributes are those of Paste's pool, with its types, seen from inside a request."""
    seen: dict[str, Any] = {}

    def look(environ: Environ) -> None:
        pool, me = environ[POOL], threading.get_ident()
        seen.update(
            nworkers=pool.nworkers,
            threads=[type(thread) for thread in pool.workers],
            idle=list(pool.idle_workers),
            dying=dict(pool.dying_threads),
            tracked={ident: environ is found for ident, (_, found) in pool.worker_tracker.items()},
            started=pool.worker_tracker[me][0],
            states={state: len(threads) for state, threads in pool.track_threads().items()},
            me=me,
        )

    app.look = look
    with hang(run, app) as client:
        assert run.get("/look").status == 200
        app.released = True
        assert client.response().status == 200
    assert seen["nworkers"] == 3
    assert [issubclass(kind, threading.Thread) for kind in seen["threads"]] == [True] * 3
    assert len(seen["idle"]) == 1 and seen["me"] not in seen["idle"]
    assert seen["dying"] == {}
    assert sorted(seen["tracked"].values()) == [False, True] and seen["tracked"][seen["me"]]
    assert abs(seen["started"] - time.time()) < WATCHDOG
    assert seen["states"] == {"idle": 1, "busy": 2, "hung": 0, "dying": 0, "zombie": 0}


def test_thread_knows_its_id(app: Application, run: Running) -> None:
    """``current_thread().thread_id`` is there in every request and is the key of the tracker."""
    seen: list[tuple[int, bool]] = []

    def look(environ: Environ) -> None:
        thread: Any = threading.current_thread()
        seen.append((thread.thread_id, environ[POOL].worker_tracker[thread.thread_id][1] is environ))

    app.look = look
    for _ in range(5):
        assert run.get("/look").status == 200
    assert [mine for _, mine in seen] == [True] * 5
    assert {ident for ident, _ in seen} <= {thread.ident for thread in app.pool.workers}


def test_add_task_runs_a_callable_on_the_pool(app: Application, run: Running) -> None:
    """Submitted in a request, it runs on another thread of the pool, supervised like a request."""
    done, ran_on = threading.Event(), list[threading.Thread]()

    def task() -> None:
        ran_on.append(threading.current_thread())
        done.set()

    app.look = lambda environ: environ[POOL].add_task(task)
    assert run.get("/submit").status == 200
    assert done.wait(WATCHDOG)
    assert ran_on[0] in app.pool.workers


def test_monitor_kills_the_request_it_finds(app: Application, run: Running) -> None:
    """
    From a request of its own a page finds the one that hangs, by its environ, and kills its thread: that request ends
    with WorkerKilled, its client is told, its thread is in ``dying_threads`` or gone, and nobody else notices.
    """

    def kill(environ: Environ) -> None:
        pool = environ[POOL]
        for ident, (_, found) in pool.worker_tracker.items():
            if found["PATH_INFO"] == "/hang/victim":
                pool.kill_worker(ident)

    app.look = kill
    with hang(run, app, "/hang/victim") as victim, hang(run, app, "/hang/other") as other:
        before = set(app.pool.workers)
        assert run.get("/kill").status == 200
        assert victim.response().status == 504
        until(lambda: app.outcomes["/hang/victim"] == "WorkerKilled", "it was killed")
        assert app.outcomes["/hang/other"] == "running"
        until(lambda: len(app.pool.workers) == 3, "the killed one is replaced")
        assert len(set(app.pool.workers) & before) == 2
        until(lambda: app.pool.dying_threads == {}, "it has gone")
        app.released = True
        assert other.response().status == 200


def test_kill_of_a_thread_that_runs_nothing_is_an_error(app: Application, run: Running) -> None:
    """A client that asks for it is told, in its own request."""

    def kill_idle(environ: Environ) -> None:
        with pytest.raises(KeyError):
            environ[POOL].kill_worker(environ[POOL].idle_workers[0])

    app.look = kill_idle
    assert run.get("/kill").status == 200
    assert len(app.pool.workers) == 3

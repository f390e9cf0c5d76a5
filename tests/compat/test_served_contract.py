"""
Clauses of the contract that only a server shows, one short test each, named after the clause.

Each is proved in depth elsewhere: kills and zombies in tests/runtime and tests/server, the page in tests/watch.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pastepool.errors import PoolClosed
from pastepool.watch.app import WatchApp
from pastepool.watch.drawn import drawn_token
from pastepool.watch.options import WatchOptions
from tests.compat.test_pool_served import Application
from tests.server.programs import Program
from tests.server.serving import Environ, path_echo, running
from tests.waiting import WATCHDOG, until

HERE = Path(__file__).parent
TOKEN = "correct-horse-battery"
GIVEN = f"X-Pastepool-Token: {TOKEN}"
LOCAL = "Host: localhost"
"""With HTTP/1.0, where the client names no host of its own."""


def page_beside(app: Callable[..., Iterable[bytes]], **options: Any) -> Callable[..., Iterable[bytes]]:
    """An application with ``watch_threads`` under ``/threads``."""
    page = WatchApp(WatchOptions(**options))

    def dispatch(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith("/threads"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = "/threads", environ["PATH_INFO"][len("/threads") :]
            return page(environ, start_response)
        return app(environ, start_response)

    return dispatch


def test_P7_requests_bring_a_look() -> None:
    """After hung_check_period requests the supervisor is nudged; time alone would do, so once is enough here."""
    nudged: list[str] = []
    with running(path_echo, threadpool_hung_check_period=3) as run, run.client() as client:
        run.server.parts.poller._looks._nudge = lambda: nudged.append("look")
        for number in range(2):
            client.get(f"/{number}")
        assert nudged == []
        client.get("/2")
        assert nudged == ["look"]


def test_P8_a_killed_request_ends_with_worker_killed_and_its_finally_runs() -> None:
    """At the kill limit, without any other request: WorkerKilled, ``finally``, and a worker more before it is dead."""
    app = Application()
    limits = {"threadpool_hung_thread_limit": 0.1, "threadpool_kill_thread_limit": 0.3}
    with running(app, threadpool_workers=1, **limits) as run, run.client() as client:
        client.ask("/hang")
        assert client.response().status == 504
        until(lambda: app.cleaned == ["/hang"], "finally has run")
        assert app.outcomes == {"/hang": "WorkerKilled"}
        assert run.get("/next").body == b"/next"


def test_P11_at_the_end_by_zombies_the_exit_functions_run(tmp_path: Path) -> None:
    """One zombie too many: status 3, by ``os._exit``, with threads that live on, and atexit functions have run."""
    limits: dict[str, Any] = {
        "threadpool_workers": 1,
        "threadpool_hung_thread_limit": 0.1,
        "threadpool_kill_thread_limit": 0.2,
        "threadpool_dying_limit": 0.2,
        "threadpool_max_zombies_before_die": 1,
        "shutdown_timeout": 2.0,
    }
    with (
        Program(tmp_path, 'atexit.register(say, "exit function")', **limits) as program,
        contextlib.ExitStack() as stack,
    ):
        for number in range(2):
            client = stack.enter_context(program.client())
            client.ask(f"/hang/{number}")
            program.await_call(f"/hang/{number}")
        assert program.wait() == 3, program.said
    assert "exit function" in program.said


def test_P16_watch_threads_shows_what_runs_and_kills_only_if_allowed() -> None:
    """The request that hangs is on the page with its URL; nothing there ends it unless ``allow_kill`` is set."""
    for allowed in (False, True):
        app = Application()
        with running(page_beside(app, allow_kill=allowed, token=TOKEN)) as run, run.client() as client:
            client.ask("/hang/here")
            assert app.entered.acquire(timeout=WATCHDOG)
            shown = run.get("/threads/", LOCAL, GIVEN, version="1.0").body.decode()
            app.released = True
            assert client.response().status == 200
        assert "/hang/here" in shown
        assert ('href="kill' in shown) is allowed


def test_P17_watch_threads_is_not_open_to_the_public() -> None:
    """Nothing is shown without the token, not even on this machine; where none is set, the log has one."""
    state = "/threads/api/v1/state"
    with running(page_beside(path_echo, token=TOKEN)) as run:
        assert run.get(state, LOCAL, version="1.0").status == 401
        assert run.get(state, LOCAL, GIVEN, version="1.0").status == 200
    with running(page_beside(path_echo)) as run:
        assert run.get(state, LOCAL, version="1.0").status == 401
        assert run.get(state, LOCAL, GIVEN, version="1.0").status == 401
        assert run.get(state, LOCAL, f"X-Pastepool-Token: {drawn_token.get()}", version="1.0").status == 200


def test_P18_socket_timeout_ends_a_connection_that_says_nothing() -> None:
    """In Paste it has no effect with the pool; here a silent client is shown the door, and one that asks is served."""
    with running(path_echo, socket_timeout=0.2) as run, run.client() as silent:
        assert run.get("/asks").status == 200
        assert silent.ended()


def test_F1_a_task_is_refused_when_it_can_neither_run_nor_wait() -> None:
    """``addJob(allowQueuing=False)``: the one who submits is told."""
    app = Application()
    with running(app, threadpool_workers=1, queue_limit=0) as run, run.client() as client:
        client.ask("/hang")
        assert app.entered.acquire(timeout=WATCHDOG)
        with pytest.raises(PoolClosed):
            run.server.parts.paste_pool.add_task(lambda: None)
        app.released = True
        assert client.response().status == 200


def test_F4_another_framework_can_run_its_jobs_on_the_pool() -> None:
    """Submitted from a thread of its own, a job runs on a worker, and the pool serves on."""
    ran = threading.Event()
    with running(path_echo) as run:
        foreign = threading.Thread(target=run.server.parts.paste_pool.add_task, args=(ran.set,))
        foreign.start()
        foreign.join(WATCHDOG)
        assert ran.wait(WATCHDOG)
        assert run.get("/still/there").status == 200


def test_F5_listening_sockets_are_close_on_exec() -> None:
    """No child process of the application inherits them."""
    with running(path_echo) as run:
        assert [os.get_inheritable(listener.fileno()) for listener in run.server.bind()] == [False]


def test_every_clause_of_the_pool_has_a_test_here() -> None:
    """P1 to P18: the manual of Paste's pool, clause by clause."""
    names = "".join(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in HERE.glob("test_*.py"))))
    found = {int(number) for number in re.findall(r"_[pP](\d+)(?=_)", names)}
    assert found == set(range(1, 19))

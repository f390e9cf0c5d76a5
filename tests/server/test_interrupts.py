"""Requests that are blocked in a system call, on an interpreter that can end it; and the signal that it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pastepool.runtime.window.interruption import interruption
from tests.runtime.window.test_interrupt_signal import caught
from tests.server.serving import Environ, Running, path_echo, running
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in which call a thread is")

CAN = sys.version_info >= (3, 15)


def await_start(run: Running) -> None:
    """Wait until the supervisor has begun: the server serves a few milliseconds before."""
    assert run.get("/").status == 200
    until(lambda: interruption._works is not None and interruption.usable is CAN, "the supervisor has tried")


def test_signal_is_taken_while_the_server_runs_and_not_longer() -> None:
    """Where it is of no use it is not taken at all."""
    before = caught()
    with running(path_echo) as run:
        await_start(run)
        assert len(caught() - before) == CAN
    assert caught() == before


@pytest.mark.skipif(not CAN, reason="functions of this interpreter do not look what is marked")
def test_request_that_sleeps_is_ended_and_its_finally_is_run() -> None:
    """Its worker has gone long before the sleep would have ended; other requests are served by others."""
    ended = threading.Event()

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/sleep":
            try:
                time.sleep(600)
            finally:
                ended.set()
        return path_echo(environ, start_response)

    with running(app, threadpool_hung_thread_limit=0.1, threadpool_kill_thread_limit=0.2) as run:
        await_start(run)
        assert run.get("/sleep").status == 504
        assert ended.wait(WATCHDOG)
        assert run.get("/").status == 200
        until(lambda: len(run.server.parts.pool.workers) > 0, "a worker is there")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_that_the_application_forks_does_not_catch_it() -> None:
    """It has the default handler, as before the server began."""
    before = caught()
    answers = os.pipe()

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/fork":
            child = os.fork()
            if child == 0:
                os.write(answers[1], repr(sorted(caught())).encode())
                os._exit(0)
            os.waitpid(child, 0)
        return path_echo(environ, start_response)

    with running(app) as run:
        await_start(run)
        assert run.get("/fork").status == 200
    assert os.read(answers[0], 1000).decode() == repr(sorted(before))
    for end in answers:
        os.close(end)


TRACED = """
import threading

threading.{hook}(lambda *arguments: None)

from pastepool import WorkerPool

pool = WorkerPool("shop", workers=2, spawn_if_under=2)
pool.start()
for _ in range(200):
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait({watchdog})
assert pool.stop({watchdog})
"""


@pytest.mark.parametrize("hook", ["settrace", "setprofile"])
def test_process_with_a_debugger_in_it_does_not_stand_still(hook: str) -> None:
    """On CPython 3.11 a thread that is marked while it is blocked stops all that are traced. No start marks one there."""
    code = TRACED.format(hook=hook, watchdog=WATCHDOG)
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=PROGRAM_WATCHDOG)

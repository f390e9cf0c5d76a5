"""A pool in a program that forks: it serves in the child as in the parent, and the parent hears nothing of it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests.meta.repository import ROOT
from tests.waiting import PROGRAM_WATCHDOG

HEAD = """
import logging, os, sys, threading
sys.path.insert(0, {root!r})
from pastepool import WorkerPool

logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(levelname)s %(message)s")
pool = WorkerPool("shop", workers=2)

def works(count=3):
    done = [threading.Event() for _ in range(count)]
    taken = [pool.submit(event.set) for event in done]
    return all(taken) and all(event.wait(30) for event in done)

def say(*words):
    print(*words, flush=True)

def in_child(body):
    pid = os.fork()
    if not pid:
        try:
            body()
            sys.stdout.flush()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def printed_by(program: str) -> list[str]:
    """Run a program that uses the pool; return the lines it prints. It must end by itself, with status 0."""
    text = HEAD.format(root=str(ROOT)) + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", text], capture_output=True, text=True, timeout=PROGRAM_WATCHDOG
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_pool_that_was_made_before_the_fork_works_in_the_child() -> None:
    """Work that was given before the fork runs where the pool is started (contract F2); there is nothing to warn of."""
    assert printed_by(
        """
        early = threading.Event()
        pool.submit(early.set)
        def child():
            pool.start()
            say("child", early.wait(30), works())
            pool.stop()
        say("status", in_child(child))
        pool.start()
        say("parent", early.wait(30), works())
        pool.stop()
        """
    ) == ["child True True", "status 0", "parent True True"]


def test_pool_that_ran_at_the_fork_starts_again_in_the_child() -> None:
    """The first work starts it, with one warning; the parent's pool goes on."""
    lines = printed_by(
        """
        pool.start()
        say("before", works())
        def child():
            say("threads", threading.active_count())
            say("child", works(), works())
            pool.stop()
        say("status", in_child(child))
        say("parent", works())
        pool.stop()
        """
    )
    assert [line for line in lines if not line.startswith("WARNING")] == [
        "before True", "threads 1", "child True True", "status 0", "parent True",
    ]  # fmt: skip
    (warning,) = (line for line in lines if line.startswith("WARNING"))
    assert "the pool of shop was started in process" in warning and "a fork of it" in warning


def test_work_of_the_parent_is_not_done_twice() -> None:
    """What waits or runs in the parent stays there."""
    assert printed_by(
        """
        pool.start()
        gate, done = threading.Event(), []
        def piece(number):
            gate.wait(30)
            done.append(number)
        for number in range(5):
            pool.submit(lambda number=number: piece(number))
        def child():
            gate.set()
            logging.disable()
            say("child", works(), done, pool.qsize)
            pool.stop()
        say("status", in_child(child))
        gate.set()
        say("parent", pool.stop(30), sorted(done))
        """
    ) == ["child True [] 0", "status 0", "parent True [0, 1, 2, 3, 4]"]


def test_worker_that_forks_does_not_go_on_in_the_child() -> None:
    """The child has a copy of the worker; when the work returns there, the child ends."""
    lines = printed_by(
        """
        pool.start()
        pids, done = [], threading.Event()
        def piece():
            pid = os.fork()
            if pid:
                pids.append(pid)
        pool.submit(piece)
        say("parent", pool.stop(30), os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]))
        """
    )
    assert lines[-1] == "parent True 0" and sum("went on as if it were the server" in line for line in lines) == 1


def test_child_of_a_child_works_too() -> None:
    """A daemon forks twice."""
    assert printed_by(
        """
        logging.disable()
        pool.start()
        def grandchild():
            say("grandchild", works())
            pool.stop()
        def child():
            say("child", works())
            say("status", in_child(grandchild))
            pool.stop()
        say("status", in_child(child))
        pool.stop()
        """
    ) == ["child True", "grandchild True", "status 0", "status 0"]

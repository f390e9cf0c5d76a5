"""A worker whose interpreter stands still, and workers that have served long enough."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.process.asking import Asking
from tests.process.site import Site, ending, in_background, workers_of
from tests.process.test_hosts import pastepool
from tests.server.commands import alive, get
from tests.server.post_office import PostOffice
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

KILLED = r"worker process (\d) \(pid (\d+), generation 1\) is killed: its interpreter stands still"


def test_worker_that_stands_still_is_replaced_and_then_killed(tmp_path: Path) -> None:
    """The stack with the application's line is in the log; the replacement serves before the kill; nobody else waits."""
    with ending(Site(tmp_path, deadlock_timeout=2)) as site:
        workers = site.serving()
        caller = in_background(site.at, "/stuck")
        site.await_line("gives no sign of life; its threads:")
        for _ in range(200):
            site.answer()
        slot, pid = site.await_line(KILLED).groups()
        assert int(pid) == workers[int(slot)]
        assert re.search(r'File ".*several\.py", line \d+ in stand_still', site.said), site.said
        before_kill = site.said.partition("is killed")[0]
        assert len(re.findall(rf"worker process {slot} \(pid \d+, generation 1\) serves", before_kill)) == 2
        caller.join()
        until(lambda: not alive(int(pid)), "the stuck worker is gone")
        assert site.answer()[0] != int(pid)


def test_replacement_of_one_that_stands_still_is_there_in_time(tmp_path: Path) -> None:
    """``deadlock_timeout``, one second, and as long as a worker needs to boot."""
    boot = Stopwatch()
    with ending(Site(tmp_path, deadlock_timeout=2)) as site:
        workers = site.serving()
        booted = boot.elapsed()
        caller = in_background(site.at, "/stuck")
        site.hold("stuck")
        watch = Stopwatch()
        old = "|".join(map(str, workers.values()))
        site.await_line(rf"worker process \d \(pid (?!{old})\d+, generation 1\) serves")
        assert watch.net() <= 2 + 1 + booted
        caller.join()


def test_stacks_of_a_worker_that_stands_still_are_mailed(tmp_path: Path) -> None:
    """By another worker: the parent speaks to no mail server."""
    with PostOffice() as office:
        mail: dict[str, Any] = {"error_email": "ops@example.org", "smtp_server": f"127.0.0.1:{office.port}"}
        with ending(Site(tmp_path, deadlock_timeout=2, **mail)) as site:
            site.serving()
            caller = in_background(site.at, "/stuck")
            until(lambda: any("gives no sign of life" in subject for subject in office.mails), "the mail has come")
            site.await_line(KILLED)
            caller.join()


def test_all_workers_may_stand_still(tmp_path: Path) -> None:
    """Their replacements serve."""
    with ending(Site(tmp_path, deadlock_timeout=2)) as site:
        workers = site.serving()
        callers = []
        for _ in range(2):
            callers.append(in_background(site.at, "/stuck"))
            site.hold("stuck")
            (tmp_path / "stuck-began").unlink()
        for _ in range(2):
            site.await_line(KILLED)
        for caller in callers:
            caller.join()
        assert site.answer()[0] not in workers.values()


def test_worker_that_goes_on_is_not_killed(tmp_path: Path) -> None:
    """Its stacks are written once, and its request is answered."""
    with ending(Site(tmp_path, processes=1, deadlock_timeout=60)) as site:
        workers = site.serving(workers=1)
        assert get(site.at, "/pause")[0] == 200
        assert site.answer()[0] == workers[1]
        site.await_line("gives no sign of life; its threads:")
        assert "is killed" not in site.said


def test_worker_that_stands_still_outlives_no_killed_parent(tmp_path: Path) -> None:
    """After three times the timeout it ends by itself, in C."""
    with Site(tmp_path, processes=1, deadlock_timeout=1) as site:
        workers = site.serving(workers=1)
        caller = in_background(site.at, "/stuck")
        until((tmp_path / "stuck-began").exists, "it stands still")
        os.kill(site.pid, signal.SIGKILL)
        until(lambda: not alive(workers[1]), "the worker has ended", PROGRAM_WATCHDOG)
        caller.join()


def test_limit_on_requests_replaces_without_an_error(tmp_path: Path) -> None:
    """One process, a client that never pauses: every request is answered, and the process is another one in the end."""
    with ending(Site(tmp_path, processes=1, maximum_requests=50, threadpool_workers=4)) as site:
        first = site.serving(workers=1)[1]
        until(lambda: site.answer()[0] != first, "another process answers", PROGRAM_WATCHDOG)
        site.await_line(r"ended with status 0 \(it has served \d+ requests \(maximum_requests\)\)")


def test_limit_that_is_reached_with_broken_code_on_disk(tmp_path: Path) -> None:
    """The process serves on beyond it."""
    with ending(Site(tmp_path, processes=1, maximum_requests=5)) as site:
        first = site.serving(workers=1)[1]
        site.boot("raise RuntimeError('broken on purpose')")
        for _ in range(20):
            site.answer()
        site.await_line("before it was ready")
        for _ in range(20):
            assert site.answer()[0] == first
        assert site.said.count("before it was ready") == 1


def test_process_without_requests_is_replaced(tmp_path: Path) -> None:
    """After inactivity_timeout, and never below the number that is wanted."""
    with ending(Site(tmp_path, processes=1, inactivity_timeout=2)) as site:
        first = site.serving(workers=1)[1]
        site.await_line(rf"pid {first}, .*ended with status 0 \(it has had no request for")
        assert site.answer()[0] != first


def test_memory_limit_replaces_what_grows(tmp_path: Path) -> None:
    """After two measurements; the line names both numbers."""
    with ending(Site(tmp_path, processes=1, memory_limit="150m")) as site:
        site.serving(workers=1)
        get(site.at, "/grow")
        said = site.await_line(r"ended with status 0 \(it uses (\d+) MiB of memory \(memory_limit = 150 MiB\)\)")
        assert int(said[1]) >= 150


@pytest.mark.parametrize("reloads", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_totals_never_go_down(reloads: int, tmp_path: Path) -> None:
    """Requests of workers that have ended stay in the sum, two with each reload."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        for generation in range(2, 2 + reloads):
            for _ in range(10):
                site.answer()
            site.hup()
            site.serving(generation=generation)
            until(lambda: len(workers_of(site.pid)) == 2, "the old ones have ended")
        sent = f", {10 * reloads} requests"
        until(lambda: sent in pastepool(tmp_path, "status", "site.ini").stdout, "all requests are counted")


def test_keep_alive_connections_survive_reloads_under_load(tmp_path: Path) -> None:
    """A client that keeps its connection is told when it closes: no request is lost over four reloads."""
    with ending(Site(tmp_path, threadpool_workers=4)) as site:
        site.serving()
        with Asking(site.at, 3) as asking:
            for generation in range(2, 6):
                site.hup()
                site.serving(generation=generation)
    assert asking.failures == []
    assert asking.answers > 50

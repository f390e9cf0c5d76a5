"""What reloads leave behind, what programs of the application get, and lines that nobody takes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process.site import Site, children_of, ending, workers_of
from tests.process.test_hosts import pastepool
from tests.server.commands import get
from tests.waiting import PROGRAM_WATCHDOG, until


@pytest.mark.parametrize("reloads", [4, pytest.param(50, marks=pytest.mark.slow)])
def test_reloads_leave_no_descriptors_behind(reloads: int, tmp_path: Path) -> None:
    """Neither in the parent nor in the workers and the desk, which have nothing of their siblings."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        before = _steady(lambda: [_count(site.pid), _count(site.workers()[2]), _count(site.desk())])
        for generation in range(2, 2 + reloads):
            site.hup()
            site.serving(generation=generation)
            until(lambda: len(children_of(site.pid)) == 3, "the old workers and the old desk have ended")
        last = site.workers(1 + reloads)[2]
        assert _steady(lambda: [_count(site.pid), _count(last), _count(site.desk())]) == before


def test_program_that_the_application_starts_gets_no_listener(tmp_path: Path) -> None:
    """Nor any other descriptor of ours."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        assert site.text("/descriptors") == "0 1 2"


def test_service_goes_on_when_nobody_takes_its_lines(tmp_path: Path) -> None:
    """Standard error is /dev/full: a killed worker is replaced, and the parent lives."""
    with Site(tmp_path, full=True) as site:
        port = site.port()
        until(lambda: len(workers_of(site.process.pid)) == 2, "two workers")
        first = workers_of(site.process.pid)[0]
        os.kill(first, signal.SIGKILL)
        until(lambda: first not in workers_of(site.process.pid), "it is gone")
        until(lambda: len(workers_of(site.process.pid)) == 2, "it is replaced")
        assert get(port)[0] == 200
        status = pastepool(tmp_path, "status", "site.ini").stdout
        assert re.search(r"lines of the parent that standard error did not take: \d+", status), status
        assert site.end() == 0


def _count(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _steady(read: Callable[[], list[int]]) -> list[int]:
    """Read again and again until nothing has changed for a while, and return that: what has ended is closed a bit later."""
    seen: list[list[int]] = []

    def is_steady() -> bool:
        seen.append(read())
        return len(seen) > 100 and all(each == seen[-1] for each in seen[-100:])

    until(is_steady, "the counts do not change any more")
    return seen[-1]


def test_parent_loads_no_library_that_it_seldom_needs() -> None:
    """Each of them takes memory that is never given back: OpenSSL alone takes 3.6 MB."""
    code = (
        "import sys; before = set(sys.modules); import pastepool.process.beginning; print(*set(sys.modules) - before)"
    )
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=PROGRAM_WATCHDOG)
    loaded = set(run.stdout.split())
    assert "pastepool.process.parent" in loaded
    assert not loaded & {"ctypes", "hashlib", "ssl", "smtplib", "email", "pastepool.runtime.sockets.port_holder"}
    rooms = (
        "pastepool.http1.engine",
        "pastepool.wsgi",
        "pastepool.watch",
        "pastepool.runtime.http",
        "pastepool.server",
    )
    assert [name for name in loaded if name.startswith(rooms)] == []

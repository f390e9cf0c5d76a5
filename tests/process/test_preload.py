"""Workers that are forked from one that has loaded the application (``preload``)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.process.site import Site, ending
from tests.server.commands import SERVE, alive
from tests.waiting import PROGRAM_WATCHDOG, until

LARGE = """
import gc, os, re

(HERE / f"loaded-{os.getpid()}").touch()
DATA = [[number] for number in range(600_000)]  # some 70 megabytes
STARTED = []

def start():
    STARTED.append(os.getpid())

def private():
    rollup = open("/proc/self/smaps_rollup").read()
    return sum(int(size) for size in re.findall(r"^Private_\\w+: +(\\d+) kB", rollup, re.M))

def collected(environ):
    gc.collect()
    return f"{os.getpid()} {private()} {os.getppid()} {STARTED == [os.getpid()]} {gc.isenabled()}"

SIZE = private()
ROUTES = {"/collected": collected, "/size": lambda environ: f"{SIZE}"}
"""

THREADS = """
import threading

GATE = threading.Event()
threading.Thread(target=GATE.wait, name="poller of the shop", daemon=True).start()
"""


def loads(folder: Path) -> set[int]:
    """The pids of the processes that have loaded the application."""
    return {int(path.name.partition("-")[2]) for path in folder.glob("loaded-*")}


def test_workers_share_the_memory_of_the_application(tmp_path: Path) -> None:
    """Four workers: each has a tenth of it for itself, at most, after a full collection. ``after_fork`` ran in each."""
    with ending(Site(tmp_path, processes=4, preload="true", after_fork="several:start", boots=LARGE)) as site:
        workers = set(site.serving(workers=4).values())
        (mold,) = loads(tmp_path)
        assert mold not in workers
        size = int(site.text("/size"))
        assert size > 60 * 1024
        found: dict[int, int] = {}

        def all_asked() -> bool:
            pid, private, parent, started, collects = site.text("/collected").split()
            assert (int(parent), started, collects) == (site.pid, "True", "True")
            found[int(pid)] = int(private)
            return set(found) == workers

        until(all_asked, "each has collected")
        assert max(found.values()) <= size / 10, (found, size)
    assert not alive(mold)


@pytest.mark.parametrize("command", sorted(SERVE))
def test_reload_loads_new_code(command: str, tmp_path: Path) -> None:
    """In a new mold; the old one ends, and nothing of it is left."""
    with ending(Site(tmp_path, command, preload="true", boots=LARGE)) as site:
        old = {*site.serving().values(), *loads(tmp_path)}
        (mold,) = loads(tmp_path)
        site.boot(f"VERSION = 2\n{LARGE}")
        site.hup()
        site.serving(generation=2)
        until(lambda: not any(map(alive, old)), "the old mold and its workers have ended", PROGRAM_WATCHDOG)
        (fresh,) = loads(tmp_path) - {mold}
        site.answered_by_all(set(site.workers(generation=2).values()))
        assert site.answer()[2] == "2"
    assert not alive(fresh)


def test_reload_of_broken_code_changes_nothing_and_the_old_mold_goes_on(tmp_path: Path) -> None:
    """A worker that dies afterwards is replaced with the old code, though the disk has only the broken one."""
    with ending(Site(tmp_path, preload="true")) as site:
        workers = site.serving()
        site.boot("raise RuntimeError('broken on purpose')")
        site.hup()
        site.await_line("broken on purpose")
        site.await_line("reload failed")
        os.kill(workers[1], signal.SIGKILL)
        site.await_line(r"worker process 1 \(pid \d+, generation 1\) serves")
        site.answered_by_all({site.workers()[1], workers[2]})


def test_threads_that_the_application_has_started_are_named(tmp_path: Path) -> None:
    """Then each worker loads the application for itself."""
    with ending(Site(tmp_path, preload="true", boots=LARGE + THREADS)) as site:
        workers = site.serving()
        assert "preload is given up for generation 1" in site.said
        assert "(poller of the shop)" in site.said
        assert loads(tmp_path) == set(workers.values())


def test_killed_mold_is_made_again_by_the_next_worker(tmp_path: Path) -> None:
    """The workers serve on without it."""
    with ending(Site(tmp_path, preload="true", boots=LARGE)) as site:
        workers = site.serving()
        (mold,) = loads(tmp_path)
        os.kill(mold, signal.SIGKILL)
        until(lambda: not alive(mold), "it has ended")
        os.kill(workers[1], signal.SIGKILL)
        site.await_line(r"worker process 1 \(pid \d+, generation 1\) serves")
        (fresh,) = loads(tmp_path) - {mold}
        assert fresh not in site.workers().values()
        os.kill(workers[2], signal.SIGKILL)
        site.await_line(r"worker process 2 \(pid \d+, generation 1\) serves")
        assert loads(tmp_path) == {mold, fresh}
        site.answered_by_all(set(site.workers().values()))


def test_workers_and_mold_end_with_a_killed_parent(tmp_path: Path) -> None:
    """The port is free then."""
    with Site(tmp_path, preload="true", boots=LARGE) as site:
        workers = site.serving()
        (mold,) = loads(tmp_path)
        os.kill(site.pid, signal.SIGKILL)
        until(lambda: not any(map(alive, (mold, *workers.values()))), "all have ended", PROGRAM_WATCHDOG)


HANGS = """
def hang(name):
    if (HERE / name).exists():
        (HERE / f"{name}-began").touch()
        while (HERE / name).exists():
            time.sleep(0.01)

os.register_at_fork(before=lambda: hang("before"), after_in_child=lambda: hang("child"))
"""


def test_mold_that_hangs_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """Though it reads no orders, and no Python code of ours runs in it."""
    with Site(tmp_path, preload="true", boots=LARGE + HANGS) as site:
        workers = site.serving()
        (mold,) = loads(tmp_path)
        (tmp_path / "before").touch()
        os.kill(workers[1], signal.SIGKILL)
        until((tmp_path / "before-began").exists, "it hangs", PROGRAM_WATCHDOG)
        os.kill(site.pid, signal.SIGKILL)
        until(lambda: not any(map(alive, (mold, *workers.values()))), "all have ended", PROGRAM_WATCHDOG)


@pytest.mark.slow
def test_mold_that_hangs_is_killed_and_made_again(tmp_path: Path) -> None:
    """Whatever time a worker has to start; the other worker serves all the while."""
    with ending(Site(tmp_path, preload="true", startup_timeout=0, boots=LARGE + HANGS)) as site:
        workers = site.serving()
        (mold,) = loads(tmp_path)
        (tmp_path / "before").touch()
        os.kill(workers[1], signal.SIGKILL)
        site.await_line(rf"the mold of generation 1 \(pid {mold}\) has not forked a worker within 10 s, and is killed")
        assert site.answer()[0] == workers[2]
        (tmp_path / "before").unlink()
        site.await_line(r"worker process 1 \(pid \d+, generation 1\) serves")
        assert len(loads(tmp_path)) == 2


@pytest.mark.slow
def test_process_between_mold_and_worker_that_hangs_is_killed(tmp_path: Path) -> None:
    """The mold lives on, and forks the next worker."""
    with ending(Site(tmp_path, preload="true", boots=LARGE + HANGS)) as site:
        workers = site.serving()
        (mold,) = loads(tmp_path)
        (tmp_path / "child").touch()
        os.kill(workers[1], signal.SIGKILL)
        site.await_line(r"it was not forked: a function that runs at forks \(os.register_at_fork\) hangs")
        (tmp_path / "child").unlink()
        site.await_line(r"worker process 1 \(pid \d+, generation 1\) serves")
        assert loads(tmp_path) == {mold}
        assert set(children(site.pid)) == {str(pid) for pid in (mold, site.desk(), *site.workers().values())}


def test_failing_load_and_failing_hook_are_told(tmp_path: Path) -> None:
    """The traceback of the hook is the failure of the reload; a hook that is not there is named."""
    with ending(Site(tmp_path, preload="true")) as site:
        site.serving()
        site.boot("VERSION = 2\ndef start():\n    raise RuntimeError('no database')")
        for hook, told in (("start", "RuntimeError: no database"), ("stop", r"after_fork = several:stop is not")):
            site.configure(processes=2, preload="true", after_fork=f"several:{hook}")
            site.hup()
            site.await_line(told)
            site.await_line("reload failed")
            assert site.answer()[2] == "1"


def test_reloads_leave_no_descriptors_behind(tmp_path: Path) -> None:
    """Neither in the parent nor in the workers."""
    with ending(Site(tmp_path, preload="true")) as site:
        site.serving()
        until(lambda: len(children(site.pid)) == 4, "two workers, a mold and the desk are there")
        parent = descriptors(site.pid)
        for generation in range(2, 5):
            site.hup()
            first, second = (site.serving(generation=generation)[slot] for slot in (1, 2))
            until(lambda: len(children(site.pid)) == 4, "the old ones have ended")
        until(lambda: descriptors(site.pid) == parent, "the parent has as many as before")
        until(lambda: descriptors(first) == descriptors(second), "the mold has given the second worker no more")


def descriptors(pid: int) -> int:
    """How many a process has."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid: int) -> list[str]:
    """The pids of the children of a process."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

"""Too many zombies in one of several processes (contract P10)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.process.site import Site, ending
from tests.process.test_watchdog import in_background
from tests.server.commands import alive
from tests.waiting import PROGRAM_WATCHDOG, until

ZOMBIES: dict[str, Any] = {
    "threadpool_workers": 4,
    "threadpool_hung_thread_limit": 0.1,
    "threadpool_kill_thread_limit": 0.2,
    "threadpool_dying_limit": 0.2,
    "threadpool_max_zombies_before_die": 1,
}

HANGS = """
import threading

def hang(environ):
    lock = threading.Lock()
    lock.acquire()
    number = environ["QUERY_STRING"]
    (HERE / f"{number}.fresh").write_text(str(os.getpid()))
    (HERE / f"{number}.fresh").rename(HERE / f"{number}.hangs")
    lock.acquire()  # no exception ends this

ROUTES = {"/hang": hang}
"""


def test_only_the_worker_with_too_many_zombies_is_replaced(tmp_path: Path) -> None:
    """Its replacement serves before it leaves; the others stay the same, also one with as many zombies as allowed."""
    with ending(Site(tmp_path, processes=3, boots=HANGS, **ZOMBIES)) as site:
        workers = site.serving(workers=3)
        seen: list[int] = []
        callers = []
        while len(seen) == len(set(seen)):
            number = len(seen)
            callers.append(in_background(site.at, f"/hang?{number}"))
            hangs = tmp_path / f"{number}.hangs"
            until(hangs.exists, "it hangs", PROGRAM_WATCHDOG)
            seen.append(int(hangs.read_text()))
        victim = seen[-1]
        site.await_line(rf"pid {victim}, generation 1\) ended with status \d \(.*zombies")
        slot = next(slot for slot, pid in workers.items() if pid == victim)
        served = re.findall(rf"worker process {slot} \(pid (\d+), generation 1\) serves", site.said)
        assert len(served) == 2
        assert site.said.index(f"pid {served[1]}, generation 1) serves") < site.said.index(
            f"pid {victim}, generation 1) ended"
        )
        others = {pid for pid in workers.values() if pid != victim}
        assert all(map(alive, others))
        assert {site.workers()[other] for other in workers if other != slot} == others
        assert len(set(seen)) == len(seen) - 1
        for caller in callers:
            caller.join()

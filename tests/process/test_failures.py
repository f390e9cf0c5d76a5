"""What the parent does when a worker cannot start, dies, or is killed; and what workers do when the parent is killed."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from pastepool.core.generations.planning import LATE_BY
from tests.process.asking import Asking
from tests.process.site import SERVES, Site, children_of, ending, in_background, sockets_of, workers_of
from tests.process.test_hosts import pastepool
from tests.server.commands import alive, get
from tests.server.post_office import PostOffice
from tests.server.programs import is_free
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

FAILS = re.compile(r"before it was ready")


def test_first_start_that_fails_is_tried_again_until_it_succeeds(tmp_path: Path) -> None:
    """A client that waits fetches the next attempt forward, and is answered as soon as the application loads."""
    with ending(_broken(tmp_path)) as site:
        for _ in range(3):
            site.read_until(FAILS)
        assert "Traceback" in site.said
        assert site.process.poll() is None
        port = _port_of(site.process.pid)
        site.boot("VERSION = 5")
        assert get(port)[1].split()[2] == b"5"
        site.serving()


def test_client_of_a_failing_start_is_answered_503(tmp_path: Path) -> None:
    """After five seconds, with when to come again. When the application loads, the next one is answered by it."""
    with ending(_broken(tmp_path)) as site:
        site.read_until(FAILS)
        port = _port_of(site.process.pid)
        watch = Stopwatch()
        connection = HTTPConnection("127.0.0.1", port, timeout=PROGRAM_WATCHDOG)
        connection.request("POST", "/", b"x" * 1000)
        response = connection.getresponse()
        assert (response.status, response.getheader("Retry-After")) == (503, "5")
        assert watch.elapsed() > 4.9
        assert b"try again" in response.read()
        connection.close()
        site.boot("VERSION = 5")
        assert get(port)[1].split()[2] == b"5"
        site.serving()


def test_reload_that_ends_a_failing_start_is_answered(tmp_path: Path) -> None:
    """The command waits until the workers of the new generation serve."""
    with ending(_broken(tmp_path)) as site:
        site.read_until(FAILS)
        site.boot("VERSION = 5")
        done = pastepool(tmp_path, "reload", "site.ini")
        assert (done.returncode, done.stdout) == (0, "generation 2 serves\n")
        assert len(site.serving(2)) == 2


def test_attempts_of_a_failing_start_are_not_a_loop(tmp_path: Path) -> None:
    """After the third failure two seconds pass at least, with a fifth less by chance."""
    with _broken(tmp_path) as site:
        times = []
        for _ in range(4):
            site.read_until(FAILS)
            times.append(time.monotonic())
        assert times[3] - times[0] > 0.8 + 1.6
        assert site.end() == 0


def test_start_failure_exit_ends_with_status_3(tmp_path: Path) -> None:
    """After one attempt."""
    with _broken(tmp_path, start_failure="exit") as site:
        assert site.wait() == 3
        assert len(FAILS.findall(site.said)) == 1
        assert "RuntimeError: not yet" in site.said


def test_killed_worker_is_replaced_and_no_other_request_is_cut(tmp_path: Path) -> None:
    """Its own request is cut. The line says that nobody of ours did it."""
    with ending(Site(tmp_path, threadpool_workers=4)) as site:
        workers = site.serving()
        victim = site.answer()[0]
        survivor = next(pid for pid in workers.values() if pid != victim)
        os.kill(victim, signal.SIGKILL)
        site.await_line(r"was killed by signal 9 from outside.*; it is replaced")
        assert site.answer()[0] == survivor
        assert "ended unasked: 1 killed" in pastepool(tmp_path, "status", "site.ini").stdout
        until(
            lambda: len(set(site.workers().values())) and _new_worker(site, {victim, survivor}), "a new worker serves"
        )


def test_worker_that_dies_young_again_and_again_is_slowed_down(tmp_path: Path) -> None:
    """Its slot waits longer each time; the other worker serves all the while. Each death is a line, and all are one mail."""
    with PostOffice() as office:
        mail: dict[str, Any] = {"error_email": "ops@example.org", "smtp_server": f"127.0.0.1:{office.port}"}
        with ending(Site(tmp_path, **mail)) as site:
            workers = site.serving()
            site.boot(
                "import threading\nVERSION = 2\ndef die():\n"
                "    while not (HERE / 'die').exists():\n        time.sleep(0.01)\n    os._exit(7)\n"
                "threading.Thread(target=die).start()"
            )
            os.kill(workers[2], signal.SIGKILL)
            died = []
            for _ in range(3):
                site.read_until(SERVES)
                (tmp_path / "die").touch()
                site.await_line("ended with status 7; it is replaced")
                died.append(time.monotonic())
                (tmp_path / "die").unlink()
                assert site.answer()[2] == "1"
            assert died[2] - died[0] > 1.6 + 3.2  # the pauses after the second and the third death, a fifth shorter
        assert site.said.count("it is replaced") == 4
        assert len(office.mails) == 1, office.mails


def test_too_many_deaths_are_no_fork_bomb(tmp_path: Path) -> None:
    """Each new worker is killed as soon as it serves. There are never more than 2N + 2, and one fork a second then."""
    with Site(tmp_path, processes=2) as site:
        site.serving()
        began = time.monotonic()
        while time.monotonic() < began + 6.0:
            children = workers_of(site.pid)
            assert len(children) <= 6
            for pid in children:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        forks = len(re.findall(r"was killed by signal 9|serves", site.said))
        assert forks <= 6 + 2 * (4 + 7)


def test_storm_of_signals_is_no_fork_bomb(tmp_path: Path) -> None:
    """SIGHUP fifty times a second for five seconds: one candidate a second after the first four; the last code serves."""
    with ending(Site(tmp_path)) as site:
        old = site.serving()
        site.boot("time.sleep(3600)")
        seen: set[int] = set()
        watch = Stopwatch()

        def storm_is_over() -> bool:
            site.hup()
            seen.update(workers_of(site.pid))
            return watch.elapsed() > 5.0

        until(storm_is_over, "the storm is over")
        assert len(seen - set(old.values())) <= 4 + 6
        assert site.answer()[0] in old.values()
        site.boot("VERSION = 2")
        site.hup()
        until(lambda: site.answer()[2] == "2", "the last code serves", PROGRAM_WATCHDOG)


def test_workers_finish_and_leave_when_the_parent_is_killed(tmp_path: Path) -> None:
    """The port is free at once for a new start, which serves while an old request still runs."""
    answers: list[tuple[int, int, str]] = []
    (tmp_path / "new").mkdir()
    with Site(tmp_path) as site:
        workers = site.serving()
        caller = threading.Thread(target=lambda: answers.append(site.answer("/held")))
        caller.start()
        site.hold("held")
        port = site.at
        watch = Stopwatch()
        os.kill(site.pid, signal.SIGKILL)
        until(lambda: is_free(port), "the port is free")
        assert watch.net() < 1.0
        with ending(Site(tmp_path / "new", port=port)) as new:
            new.serving()
            assert new.answer()[0] not in workers.values()
        site.open_gate()
        caller.join()
        until(lambda: not any(map(alive, workers.values())), "the old workers have left")
    assert answers[0][0] in workers.values()


def test_worker_that_stops_answering_the_parent_is_killed_in_the_end(tmp_path: Path) -> None:
    """A request that never ends holds a replaced worker no longer than graceful_timeout, and some seconds."""
    with ending(Site(tmp_path, graceful_timeout=1, threadpool_workers=4)) as site:
        old = site.serving()
        caller = threading.Thread(target=_ask, args=(site.at, "/held"))
        caller.start()
        site.hold("held")
        site.hup()
        site.serving(generation=2)
        until(lambda: not any(map(alive, old.values())), "the old workers have ended, the held request with them")
        caller.join()


def test_time_of_a_worker_that_leaves_does_not_grow_with_load(tmp_path: Path) -> None:
    """Clients ask without a pause, on connections that they keep, and a request never ends: it is killed on time."""
    with ending(Site(tmp_path, graceful_timeout=1, threadpool_workers=4)) as site:
        old = site.serving()
        caller = in_background(site.at, "/held")
        site.hold("held")
        with Asking(site.at, 3) as asking:
            site.hup()
            site.serving(generation=2)
            watch = Stopwatch()
            until(lambda: not any(map(alive, old.values())), "the old workers have ended")
            assert watch.net() < 1 + LATE_BY + 2
        assert asking.failures == []
        assert asking.answers > 50
        caller.join()


def test_hup_and_int_to_a_worker_mean_nothing(tmp_path: Path) -> None:
    """``pkill -HUP`` reaches all processes."""
    with ending(Site(tmp_path)) as site:
        workers = site.serving()
        for pid in workers.values():
            os.kill(pid, signal.SIGHUP)
            os.kill(pid, signal.SIGINT)
        site.answered_by_all(set(workers.values()))


def test_usr2_ends_no_process(tmp_path: Path) -> None:
    """``pkill -USR2`` reaches the parent, which says that it asks for nothing, the workers, the desk and the mold."""
    with ending(Site(tmp_path, preload="true")) as site:
        workers = site.serving()
        until(lambda: len(children_of(site.pid)) == 4, "a mold and the desk are there")
        everybody = [site.pid, *children_of(site.pid)]
        for pid in everybody:
            os.kill(pid, signal.SIGUSR2)
        site.await_line("SIGUSR2 asks for nothing here")
        site.answered_by_all(set(workers.values()))
        assert all(map(alive, everybody))


def test_term_to_a_worker_replaces_it_first(tmp_path: Path) -> None:
    """Then it drains."""
    with ending(Site(tmp_path)) as site:
        workers = site.serving()
        os.kill(workers[1], signal.SIGTERM)
        site.await_line(rf"worker process 1 \(pid {workers[1]}, .*ended with status 0 \(SIGTERM asked for its end\)")
        assert site.workers()[1] != workers[1]
        site.answered_by_all(set(site.workers().values()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_the_whole_group_ends_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """As systemd and a terminal send it: nothing is replaced, and no line is an error."""
    with Site(tmp_path) as site:
        site.serving()
        os.killpg(site.process.pid, number)
        assert site.wait() == 0
        assert "ERROR" not in site.said
        assert len(re.findall("generation 1\\) serves", site.said)) == 2


def _broken(folder: Path, **options: Any) -> Site:
    """A site whose application does not load."""
    return Site(folder, boots="raise RuntimeError('not yet')", **options)


def _port_of(pid: int) -> int:
    """The port on which a process listens: it has not told it yet."""
    inodes = {link[8:-1] for link in sockets_of(pid)}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[9] in inodes and words[3] == "0A":
            return int(words[1].partition(":")[2], 16)
    raise AssertionError("it listens nowhere")


def _new_worker(site: Site, old: set[int]) -> bool:
    return bool(set(workers_of(site.pid)) - old) and site.answer()[0] not in old


def _ask(port: int, path: str) -> None:
    try:
        get(port, path)
    except (TimeoutError, OSError):
        pass


def test_stop_while_a_worker_loads_is_no_error(tmp_path: Path) -> None:
    """It serves nobody yet, so it is killed at once, and an operator who reads errors sees none."""
    second, began = tmp_path / "second", tmp_path / "began"
    boots = f"import os, time\nif os.path.exists({str(second)!r}): open({str(began)!r}, 'w').close(); time.sleep(600)"
    with Site(tmp_path, boots=boots) as site:
        site.serving()
        second.touch()
        site.hup()
        until(began.exists, "the candidate loads", PROGRAM_WATCHDOG)
        watch = Stopwatch()
        assert site.end() == 0
        assert watch.net() < 10
        assert "is killed: " in site.said and "ERROR" not in site.said, site.said

"""The desk: it shows all processes, reaches each of them, and dies and hangs without harm to the site."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.process.site import Site, children_of, ending, in_background, sockets_of, workers_of
from tests.process.test_hosts import pastepool
from tests.server.commands import alive, get
from tests.server.post_office import PostOffice
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

ADMIN: dict[str, Any] = {
    "admin_listen": "127.0.0.1:0",
    "admin_allow_kill": "true",
    "admin_token": "a-token-for-the-tests",
}
TOKEN = {"Authorization": "Bearer a-token-for-the-tests"}


def post(site: Site, name: str, **fields: object) -> tuple[int, dict[str, Any]]:
    """Ask the desk for an action."""
    connection = http.client.HTTPConnection("127.0.0.1", site.desk_at, timeout=PROGRAM_WATCHDOG)
    form = {"Content-Type": "application/x-www-form-urlencoded", **TOKEN}
    connection.request("POST", f"/api/v1/{name}", urlencode(fields), form)
    response = connection.getresponse()
    told = response.status, json.loads(response.read())
    connection.close()
    return told


class Asked(Site):
    """A site whose desk asks for a token."""

    def __enter__(self) -> Asked:
        return self

    def asked(self, path: str, accept: str = "application/json") -> tuple[int, bytes]:
        """Ask the desk."""
        connection = http.client.HTTPConnection("127.0.0.1", self.desk_at, timeout=PROGRAM_WATCHDOG)
        connection.request("GET", path, headers={"Accept": accept, **TOKEN})
        response = connection.getresponse()
        told = response.status, response.read()
        connection.close()
        return told

    def state(self) -> dict[str, Any]:
        status, body = self.asked("/api/v1/state")
        assert status == 200, body
        return dict(json.loads(body))

    def shown(self, count: int) -> dict[str, Any]:
        """Wait until the threads of so many processes are in the state."""
        until(lambda: len({row["pid"] for row in self.state()["workers"]}) == count, f"{count} processes answer")
        return self.state()


def asking(folder: Path, **options: object) -> Asked:
    """A site with ``admin_listen`` and a token."""
    return Asked(folder, **{**ADMIN, **options})


@contextlib.contextmanager
def whole(folder: Path, **options: object) -> Iterator[Asked]:
    """The same, and see that it ends in order."""
    with asking(folder, **options) as site:
        yield site
        assert site.end() == 0, site.said


def test_page_and_json_show_all_workers(tmp_path: Path) -> None:
    """Each process with its place, pid, generation and state; the threads of all below, each with its process."""
    with whole(tmp_path, processes=3) as site:
        workers = site.serving(workers=3)
        state = site.shown(3)
        assert {row["slot"]: row["pid"] for row in state["processes"]} == workers
        assert {(row["generation"], row["state"]) for row in state["processes"]} == {(1, "ready")}
        assert all(row["memory"] > 1 << 20 and row["beat_ago"] < 10 for row in state["processes"])
        assert {row["label"] for row in state["workers"]} == {
            f"{slot}.{worker}" for slot in (1, 2, 3) for worker in (1, 2)
        }
        assert len({row["worker"] for row in state["workers"]}) == len(state["workers"]) == state["pool"]["size"] == 6
        page = site.asked("/", "text/html")[1].decode()
        table = site.asked("/", "text/plain")[1].decode()
        for slot, pid in workers.items():
            assert f'<tr id="process-{pid}">' in page
            assert re.search(rf"^ +{slot} +{pid} +1  ready", table, re.MULTILINE)
        assert json.loads(site.asked("/health")[1]) == {"status": "ok"}
        counters = json.loads(site.asked("/api/v1/counters")[1])
        assert counters["pastepool_workers_idle"] == 6


def test_mold_is_shown_beside_the_workers(tmp_path: Path) -> None:
    """On the page, in its JSON and text, and by ``pastepool status``; none of them takes it for a worker."""
    with whole(tmp_path, preload="true") as site:
        workers = site.serving()
        until(lambda: [one["state"] for one in site.state()["molds"]] == ["ready"], "it has forked all")
        state = site.shown(2)
        (mold,) = state["molds"]
        assert {mold["pid"]} == set(workers_of(site.pid)) - set(workers.values())
        assert mold["generation"] == 1 and mold["memory"] > 10 << 20
        assert {one["pid"] for one in state["processes"]} == set(workers.values())
        page, text = (site.asked("/", kind)[1].decode() for kind in ("text/html", "text/plain"))
        assert f'<tr id="process-{mold["pid"]}"><td class="process" data-label="process">mold<' in page
        assert re.search(rf"^ +mold +{mold['pid']} +1  ready", text, re.MULTILINE)
        status = pastepool(tmp_path, "status", "site.ini").stdout
        assert re.search(rf"^mold +{mold['pid']} +1  ready +[\d.]+ s +\d+ MiB", status, re.MULTILINE), status


def test_kill_reaches_the_process_that_it_names_and_no_other(tmp_path: Path) -> None:
    """A wrong pid, place or number is refused, and kills nothing."""
    with whole(tmp_path) as site:
        workers = site.serving()
        callers = [in_background(site.at, "/hang") for _ in range(2)]
        until(lambda: sum(row["title"] == "GET /hang" for row in site.state()["workers"]) == 2, "both are shown")
        one, other = [row for row in site.state()["workers"] if row["title"] == "GET /hang"]
        aim = {name: one[name] for name in ("slot", "pid", "worker", "serial")}
        wrong_slot = next(slot for slot in (1, 2) if slot != one["slot"])
        assert post(site, "kill", **{**aim, "slot": wrong_slot})[0] == 409
        assert post(site, "kill", **{**aim, "pid": site.pid})[0] == 404
        other_pid = next(pid for pid in workers.values() if pid != one["pid"])
        assert post(site, "kill", **{**aim, "slot": wrong_slot, "pid": other_pid})[0] == 409
        assert post(site, "kill", worker=one["worker"], serial=one["serial"])[0] == 400
        assert post(site, "kill", **{**aim, "serial": one["serial"] + 10**9})[0] == 409
        assert post(site, "kill", **{**aim, "serial": one["serial"] + 1})[1]["outcome"] == "finished"
        assert sum(row["title"] == "GET /hang" for row in site.state()["workers"]) == 2
        status, told = post(site, "kill", **aim)
        assert status in (200, 202), told  # it sleeps in C, so before CPython 3.15 its thread ends later
        until(lambda: one["serial"] not in _served(site), "the one is killed")
        assert other["serial"] in _served(site)
        assert {row["slot"]: row["pid"] for row in site.state()["processes"]} == workers
        post(site, "kill", **{name: other[name] for name in ("slot", "pid", "worker", "serial")})
        for pid in workers.values():
            os.kill(pid, signal.SIGKILL)  # what sleeps may not hear of its kill
        for caller in callers:
            caller.join()
        until(lambda: set(site.desks()) and len(site.state()["processes"]) >= 2, "others have taken their places")


def _served(site: Asked) -> set[int]:
    rows = site.state()["workers"]
    return {row["serial"] for row in rows if row["title"] == "GET /hang" and row["status"] not in ("dying", "zombie")}


def test_dump_reaches_all_processes_or_the_one_that_is_named(tmp_path: Path) -> None:
    """Each writes its stacks to the log itself."""
    with whole(tmp_path) as site:
        workers = site.serving()
        site.shown(2)
        assert post(site, "dump", slot=2, pid=workers[2])[1]["outcome"] == "dumped"
        site.await_line("wrote the stacks|dumped|stack")
        assert post(site, "dump", slot=1, pid=workers[2])[0] == 409
        assert post(site, "dump")[1]["outcome"] == "dumped"
        assert post(site, "reset")[1]["outcome"] == "reset"


def test_desk_that_is_killed_is_back_within_two_seconds(tmp_path: Path) -> None:
    """Under load no request is lost. The new one shows all workers, which it was not there to see begin."""
    stop, failures, counts = threading.Event(), [], []
    with whole(tmp_path, threadpool_workers=4) as site:
        site.serving()
        site.shown(2)

        def load() -> None:
            count = 0
            while not stop.is_set():
                try:
                    site.answer()
                    count += 1
                except (AssertionError, OSError, http.client.HTTPException) as error:
                    failures.append(repr(error))
            counts.append(count)

        clients = [threading.Thread(target=load) for _ in range(2)]
        for client in clients:
            client.start()
        desk = site.desk()
        watch = Stopwatch()
        os.kill(desk, signal.SIGKILL)
        until(lambda: _answers(site), "the new desk answers")
        assert watch.net() < 2.0
        state = site.shown(2)
        assert desk not in site.desks()
        stop.set()
        for client in clients:
            client.join()
        assert any("the desk" in event["text"] and "signal 9" in event["text"] for event in state["events"])
    assert failures == []
    assert min(counts) > 5


def _answers(site: Site) -> bool:
    try:
        return get(site.desk_at, "/health")[0] in (200, 503)
    except (OSError, http.client.HTTPException):
        return False


def test_sigterm_to_the_desk_replaces_it(tmp_path: Path) -> None:
    """And a reload does, with the new settings."""
    with whole(tmp_path) as site:
        site.serving()
        desk = site.desk()
        os.kill(desk, signal.SIGTERM)
        until(lambda: site.desks() and desk not in site.desks(), "another desk")
        site.shown(2)
        second = site.desk()
        site.configure(**{**ADMIN, "processes": 2, "threadpool_workers": 3})
        site.hup()
        site.serving(generation=2)
        until(lambda: second not in site.desks(), "the desk is another one again")
        until(lambda: _answers(site), "it answers")
        until(lambda: ["threadpool_workers", "3"] in site.state()["settings"], "it has the new settings")
        assert "ERROR" not in site.said


def test_worker_that_stands_still_is_shown_from_the_board_with_its_stacks(tmp_path: Path) -> None:
    """The other is shown as always."""
    with whole(tmp_path, deadlock_timeout=60, shutdown_timeout=1) as site:
        workers = site.serving()
        site.shown(2)
        caller = in_background(site.at, "/stuck")
        site.hold("stuck")
        until(lambda: [row for row in site.state()["processes"] if row["silent_for"]], "one is silent")
        state = site.state()
        (silent,) = [row for row in state["processes"] if row["silent_for"]]
        assert {row["pid"] for row in state["workers"]} == set(workers.values()) - {silent["pid"]}
        site.await_line("gives no sign of life")
        (silent,) = [row for row in site.state()["processes"] if row["silent_for"]]
        assert re.search(r'File ".*several\.py", line \d+ in stand_still', silent["stacks"])
        assert "does not answer since" in site.asked("/", "text/html")[1].decode()
        assert "1 of 2 processes does not answer" in site.asked("/", "text/html")[1].decode()
        post_status, told = post(
            site, "kill", slot=silent["slot"], pid=silent["pid"], worker=1, serial=silent["serial"] * 10**9 + 1
        )
        assert (post_status, told["outcome"]) == (503, "no answer")
        os.kill(silent["pid"], signal.SIGKILL)
        caller.join()


def test_health_of_the_desk_fails_when_all_stand_still(tmp_path: Path) -> None:
    """It is well again when their replacements serve."""
    with whole(tmp_path, deadlock_timeout=4) as site:
        workers = site.serving()
        site.shown(2)
        callers = []
        for _ in range(2):
            callers.append(in_background(site.at, "/stuck"))
            site.hold("stuck")
            (tmp_path / "stuck-began").unlink()
        until(lambda: site.asked("/health")[0] == 503, "health fails")
        until(lambda: site.asked("/health")[0] == 200, "replacements serve", PROGRAM_WATCHDOG)
        assert site.answer()[0] not in workers.values()
        for caller in callers:
            caller.join()


def test_mail_of_a_failed_reload_comes_from_the_desk(tmp_path: Path) -> None:
    """With the traceback, to a real mail server."""
    with PostOffice() as office:
        mail: dict[str, Any] = {"error_email": "ops@example.org", "smtp_server": f"127.0.0.1:{office.port}"}
        with ending(Site(tmp_path, **mail)) as site:
            site.serving()
            site.boot("raise RuntimeError('broken on purpose')")
            site.hup()
            until(lambda: any("before it was ready" in subject for subject in office.mails), "the mail has come")


def test_page_inside_of_the_application_shows_the_others_too(tmp_path: Path) -> None:
    """If the desk stands still it shows its own process, and says so."""
    with ending(_Mounted(tmp_path)) as site:
        workers = site.serving()
        until(lambda: {row["pid"] for row in site.inside()["processes"]} == set(workers.values()), "all are shown")
        until(lambda: {row["pid"] for row in site.inside()["workers"]} == set(workers.values()), "with their threads")
        until(lambda: any(row["own"] for row in site.inside()["workers"]), "the visitor's own request is marked")
        desk = site.desk()
        os.kill(desk, signal.SIGSTOP)
        try:
            state = site.inside()
        finally:
            os.kill(desk, signal.SIGCONT)
        assert "The desk does not answer" in state["note"]
        assert len(state["workers"]) == 2
        assert "processes" not in state


class _Mounted(Site):
    """A site whose application has the page."""

    def configure(self, **options: object) -> None:
        super().configure(**options)
        ini = self.folder / "site.ini"
        text = ini.read_text().replace("[app:main]", "[app:shop]")
        ini.write_text(
            f"{text}\n[composite:main]\nuse = egg:Paste#urlmap\n/threads = threads\n/ = shop\n"
            "[app:threads]\nuse = egg:pastepool#watch_threads\ntoken = a-token-for-the-tests\n"
        )

    def inside(self) -> dict[str, Any]:
        """What the mounted page shows."""
        connection = http.client.HTTPConnection("127.0.0.1", self.at, timeout=PROGRAM_WATCHDOG)
        connection.request("GET", "/threads/api/v1/state", headers=TOKEN)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == 200, body
        return dict(json.loads(body))


def test_status_names_the_desk(tmp_path: Path) -> None:
    """Beside the workers."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        desk = site.desk()
        assert re.search(rf"desk +{desk}\b", pastepool(tmp_path, "status", "site.ini").stdout)


def test_desk_leaves_when_the_parent_is_killed(tmp_path: Path) -> None:
    """Also if nothing else would end it."""
    with asking(tmp_path) as site:
        site.serving()
        desk = site.desk()
        os.kill(site.pid, signal.SIGKILL)
        until(lambda: not alive(desk), "the desk has ended")


def test_parent_loads_no_http_no_mail_and_no_page() -> None:
    """What it imports is what it is."""
    code = (
        "import sys, pastepool.process.beginning\n"
        "print([name for name in sys.modules if name in ('smtplib', 'webob', 'httptools') or name.startswith("
        "('pastepool.http1.engine', 'pastepool.watch', 'pastepool.desk', 'pastepool.worker', 'pastepool.server',"
        " 'pastepool.runtime.http', 'pastepool.runtime.mail', 'pastepool.runtime.pool'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_children_hold_no_ends_of_their_siblings(tmp_path: Path) -> None:
    """A worker has two sockets for the family: to its parent and to the desk. None of them is that of another process."""
    with whole(tmp_path, processes=3) as site:
        workers = site.serving(workers=3)
        site.shown(3)
        family = {pid: sockets_of(pid) for pid in children_of(site.pid)}
        listening = set.intersection(*family.values())
        desk = site.desk()
        for pid in workers.values():
            for other in workers.values():
                assert pid == other or family[pid] & family[other] == listening
            assert not (family[pid] - listening) & family[desk]

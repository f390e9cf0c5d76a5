"""What may be done from the page: aimed at the request that was seen, from our own page only, and told afterwards."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from typing import Any

import pytest

from tests.server.serving import HeldAtLock, plain
from tests.waiting import WATCHDOG, until
from tests.watch.watching import Held, Watched, form, watched

SETTINGS: dict[str, Any] = {"threadpool_workers": 2}


@pytest.fixture(autouse=True)
def outcome_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the end of a killed request may take longer than a visitor should wait."""
    monkeypatch.setattr("pastepool.watch.actions.OUTCOME_WITHIN", WATCHDOG / 2)


def spin(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An application that a kill reaches at once, and that ends by itself in any case."""
    deadline = time.monotonic() + 3 * WATCHDOG
    while time.monotonic() < deadline:
        pass
    start_response("200 OK", [])
    return [b"late\n"]


def one_row(run: Watched) -> Any:
    """The row of the only request that runs."""
    until(lambda: len(run.busy()) == 1, "one request runs")
    return run.busy()[0]


def test_kill_ends_the_request_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """A request in Python code ends at once; its client is told 504, the log who did it, an event what was done."""
    caplog.set_level(logging.INFO)
    with watched(spin, allow_kill=True, **SETTINGS) as run, run.client() as client:
        client.ask("/spin?token=abc")
        row = one_row(run)
        assert row["can_kill"]
        status, said = run.post("kill", worker=row["worker"], serial=row["serial"])
        assert (status, said["ok"], said["outcome"]) == (200, True, "killed")
        assert "GET /spin" in said["text"]
        assert client.response().status == 504
        kinds = [event["kind"] for event in run.state()["events"]]
        assert "killed" in kinds and "action" in kinds
        assert run.state()["totals"]["killed"] == 1
    told = [record.getMessage() for record in caplog.records if record.name == "pastepool.watch"]
    assert any("127.0.0.1" in line and "asked to kill" in line and "GET /spin" in line for line in told)
    assert not any("abc" in line for line in told)


def test_what_was_done_is_seen_by_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are shared for a while, but none from before an action is shown after it."""
    with watched(spin, allow_kill=True, **SETTINGS) as run, run.client() as client:
        csrf = run.csrf()
        client.ask("/spin")
        row = one_row(run)
        monkeypatch.setattr("pastepool.watch.observer.FRESH_FOR", 600.0)
        run.state()
        assert run.state()["taken_at"] == run.state()["taken_at"], "one look for everybody"
        assert run.post("kill", csrf=csrf, worker=row["worker"], serial=row["serial"])[1]["outcome"] == "killed"
        assert run.busy() == []
        client.response()


def test_kill_hits_only_the_request_that_was_seen() -> None:
    """With the serial of another request nobody is killed, even though the worker is busy."""
    with Held() as held, watched(held, allow_kill=True, **SETTINGS) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        row = one_row(run)
        status, said = run.post("kill", worker=row["worker"], serial=row["serial"] + 1)
        assert (status, said["outcome"]) == (409, "finished")
        status, said = run.post("kill", worker=999, serial=1)
        assert (status, said["outcome"]) == (404, "not found")
        held.release()
        assert client.response().status == 200


def test_kill_of_a_blocked_request_says_that_it_is_dying(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits in C is told to end and has not: the answer does not pretend otherwise."""
    monkeypatch.setattr("pastepool.watch.actions.OUTCOME_WITHIN", 0.1)
    with HeldAtLock() as held, watched(held, allow_kill=True, **SETTINGS) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        row = one_row(run)
        status, said = run.post("kill", worker=row["worker"], serial=row["serial"])
        assert (status, said["outcome"]) == (202, "dying")
        (row,) = run.busy()
        assert row["status"] == "dying" and not row["can_kill"]
        assert client.response().status == 504
        held.release()


def test_without_the_gil_the_page_says_why_it_kills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The button is there and cannot be pressed; a kill that is asked for all the same is refused with the reason."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    why = "threadpool_kill_without_gil = true switches kills on."
    with Held() as held, watched(held, allow_kill=True, **SETTINGS) as run, run.client() as client:
        until(lambda: run.server.parts.supervisor.no_kills, "the supervisor has looked at the interpreter")
        client.ask("/")
        held.await_calls()
        row = one_row(run)
        assert not row["can_kill"] and row["kill_note"].endswith(why) and row["kill_in"] is None
        assert not run.state()["actions"]["kill"] and not run.state()["actions"]["flame"]
        assert "without the GIL. Stacks and flame graphs are left out" in run.state()["stacks_note"]
        page = run.ask("/").body.decode()
        assert '<button class="kill" disabled title="No request is killed' in page and "kill?worker" not in page
        status, said = run.post("kill", worker=row["worker"], serial=row["serial"])
        assert (status, said["outcome"]) == (403, "refused") and said["text"].endswith(why)
        status, said = run.post("flame", seconds=5)
        assert (status, said["outcome"]) == (409, "refused") and "flame graphs are left out" in said["text"]
        held.release()
        assert client.response().status == 200


def test_kill_is_off_unless_allowed() -> None:
    """Without allow_kill there is no link, no question and no kill."""
    with Held() as held, watched(held, **SETTINGS) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        row = one_row(run)
        assert not row["can_kill"] and not run.state()["actions"]["kill"]
        status, said = run.post("kill", worker=row["worker"], serial=row["serial"])
        assert (status, said["outcome"]) == (403, "refused") and "allow_kill" in said["text"]
        assert b"kill?worker" not in run.ask("/").body
        held.release()
        assert client.response().status == 200


@pytest.mark.parametrize("way", ["form", "query"])
def test_token_in_a_header_is_proof_enough_for_a_kill(way: str) -> None:
    """``curl -H 'Authorization: Bearer ...'`` needs no csrf: worker and serial are enough, in a form or in the query."""
    token = "open-sesame-and-come-in"
    with watched(spin, allow_kill=True, token=token, **SETTINGS) as run, run.client() as client:
        client.ask("/spin")
        bearer = f"Authorization: Bearer {token}"
        until(lambda: "serial" in run.ask("/", bearer, "Accept: text/plain").body.decode(), "the request runs")
        words = run.ask("/", bearer, "Accept: text/plain").body.decode().split("DOING")[1].split()
        aim = f"worker={words[0]}&serial={words[words.index('serial') + 1]}"
        assert run.ask(f"/api/v1/kill?{aim}", method="POST").status == 401
        target, body = ("/api/v1/kill", aim.encode()) if way == "form" else (f"/api/v1/kill?{aim}", b"")
        response = run.ask(target, bearer, method="POST", body=body)
        assert (response.status, json.loads(response.body)["outcome"]) == (200, "killed"), response.body
        assert client.response().status == 504


def test_get_kills_nobody() -> None:
    """A link only asks: it names the request, and its form is aimed at exactly that one."""
    with Held() as held, watched(held, allow_kill=True, **SETTINGS) as run, run.client() as client:
        client.ask("/a/slow/page")
        held.await_calls()
        row = one_row(run)
        link = f"/kill?worker={row['worker']}&serial={row['serial']}"
        assert link[1:].replace("&", "&amp;").encode() in run.ask("/").body
        question = run.ask(link)
        assert question.status == 200 and b"GET /a/slow/page" in question.body
        assert re.search(rb'name="serial" value="%d"' % row["serial"], question.body)
        assert run.ask(f"/api/v1{link}").status == 405
        assert one_row(run)["status"] == "busy"
        assert run.ask("/kill?worker=x&serial=1").status == 400
        held.release()
        assert client.response().status == 200


def test_page_never_kills_its_own_worker() -> None:
    """The worker that answers the kill is refused as its target, with the very serial it has."""
    with watched(plain(), allow_kill=True, **SETTINGS) as run:
        csrf = run.csrf(admin=False)
        own = run.state(admin=False)["you"]
        for serial in range(own["serial"], own["serial"] + 4):
            for worker in (1, 2):
                status, said = run.post("kill", admin=False, csrf=csrf, worker=worker, serial=serial)
                assert status in (403, 409), said
        status, said = run.post("kill", admin=False, csrf=csrf, worker=own["worker"], serial=serial + 5)
        assert run.state()["totals"]["killed"] == 0


@pytest.mark.parametrize(
    ("lines", "csrf"),
    [
        ([], ""),
        ([], "x"),
        (["Sec-Fetch-Site: cross-site"], None),
        (["Sec-Fetch-Site: same-site"], None),
        (["Origin: http://evil.example"], None),
        (["Origin: null"], None),
    ],
)
@pytest.mark.parametrize("action", ["kill", "dump", "reset", "flame"])
def test_foreign_page_changes_nothing(action: str, lines: list[str], csrf: str | None) -> None:
    """Without our csrf value, or from another site, every action is refused."""
    with watched(plain(), allow_kill=True, **SETTINGS) as run:
        given = run.csrf() if csrf is None else csrf
        body = form(csrf=given, worker=1, serial=1, seconds=5)
        assert run.ask(f"/api/v1/{action}", *lines, method="POST", body=body).status == 403
        assert run.ask(f"/{action}", *lines, method="POST", body=body).status == 403


def test_dump_writes_every_stack_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each thread with its name and its stack."""
    with Held() as held, watched(held, **SETTINGS) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        status, said = run.post("dump")
        assert (status, said["outcome"]) == (200, "dumped")
        held.release()
    text = "\n".join(record.getMessage() for record in caplog.records if record.name == "pastepool.watch")
    for name in ("pastepool worker 1", "pastepool supervisor", "MainThread", "_released.wait"):
        assert name in text


ACTIONS = {
    "kill": "asked to kill worker",
    "dump": "wrote the stacks of",
    "reset": "set all counters back",
    "flame": "began a flame graph",
}


@pytest.mark.parametrize("door", ["the admin listener", "the page"])
@pytest.mark.parametrize("action", list(ACTIONS))
def test_every_action_is_logged_and_an_event(action: str, door: str, caplog: pytest.LogCaptureFixture) -> None:
    """Who did what, and through which door, stands in the log and among the events; a kill names its request."""
    admin = door == "the admin listener"
    with watched(spin, allow_kill=True, threadpool_workers=3) as run, run.client() as client:
        client.ask("/spin")
        until(lambda: any(row["path"] == "/spin" for row in run.busy()), "the request runs")
        row = next(row for row in run.busy() if row["path"] == "/spin")
        fields: dict[str, Any] = {"worker": row["worker"], "serial": row["serial"]} if action == "kill" else {}
        status, said = run.post(action, admin=admin, **({"seconds": 5} if action == "flame" else fields))
        assert said["ok"], (status, said)
        told = f"127.0.0.1, by {door}, {ACTIONS[action]}"
        until(lambda: [each for each in caplog.records if each.getMessage().startswith(told)], "the line is in the log")
        (event,) = [event for event in run.state()["events"] if event["kind"] == "action"]
        assert event["text"].startswith(told)
        if action == "kill":
            assert event["text"].endswith("GET /spin") and event["serial"] == row["serial"]
        else:
            run.post("kill", worker=row["worker"], serial=row["serial"])
        client.response()


def test_refused_action_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An attempt from another site leaves a line with its address."""
    with watched(plain(), **SETTINGS) as run:
        body = form(csrf=run.csrf())
        assert run.ask("/api/v1/reset", "Origin: http://evil.example", method="POST", body=body).status == 403
    told = [record.getMessage() for record in caplog.records if record.name == "pastepool.watch"]
    (line,) = told
    assert line.startswith("127.0.0.1: refused api/v1/reset: This was sent by another site, and is refused. Origin is ")


def test_reset_counts_from_nothing() -> None:
    """Counters, histograms and the slowest requests start again from zero; the events stay."""
    with watched(plain(), **SETTINGS) as run:
        for _ in range(3):
            with run.client() as client:
                client.get("/")
        until(lambda: run.state()["totals"]["requests"] == 3, "all are counted")
        assert run.post("reset") == (
            200,
            {"ok": True, "outcome": "reset", "text": "Everything is counted from nothing again."},
        )
        state = run.state()
        assert state["totals"]["requests"] == 0 and state["latency"]["application"]["count"] == 0
        assert state["slowest"] == [] and state["events"]
        with run.client() as client:
            client.get("/")
        until(lambda: run.state()["totals"]["requests"] == 1, "the next is counted")


def test_form_that_is_too_large_is_refused() -> None:
    """Nobody fills memory through a form."""
    with watched(plain(), **SETTINGS) as run:
        assert run.ask("/api/v1/dump", method="POST", body=b"a=" + b"x" * 20000).status == 413
        assert run.ask("/api/v1/dump", method="POST", body=b"a=" + b"x" * 70000).status == 413


def test_form_of_binary_is_refused() -> None:
    """A body that is no UTF-8 is the client's mistake, not ours."""
    with watched(plain(), allow_kill=True, **SETTINGS) as run:
        body = b"csrf=" + run.csrf().encode() + b"&worker=%ff%fe&serial=\xff"
        assert run.ask("/api/v1/kill", method="POST", body=body).status in (400, 403)

"""The state: what the JSON says is what the pool does, in the shape that is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.testing import FakeClock
from pastepool.watch.figures import events_of
from pastepool.watch.wall import Wall
from tests.server.serving import HeldAtLock, plain
from tests.waiting import until
from tests.watch.watching import Held, watched

SAMPLE = json.loads((Path(__file__).parent / "sample-v1.json").read_text(encoding="utf-8"))
OPEN = {"request", "settings", "counts", "buckets"}
"""Lists and objects whose shape is of their own, or checked apart."""


def shape_errors(real: Any, sample: Any, path: str = "") -> list[str]:
    """Where a value differs from the sample in its fields or types; null and empty lists fit everything."""
    if real is None or sample is None:
        return []
    if isinstance(sample, bool) or isinstance(real, bool):
        return [] if type(sample) is type(real) else [f"{path}: {real!r} beside {sample!r}"]
    if isinstance(sample, (int, float)):
        return [] if isinstance(real, (int, float)) else [f"{path}: {real!r} beside {sample!r}"]
    if isinstance(sample, list):
        if not isinstance(real, list):
            return [f"{path}: {real!r} is no list"]
        first = next((one for one in sample if one is not None), None)
        return [error for one in real for error in shape_errors(one, first, f"{path}[]")] if path not in OPEN else []
    if isinstance(sample, dict):
        if set(real) != set(sample):
            return [f"{path}: {sorted(set(real) ^ set(sample))} on one side only"]
        return [error for key in sample for error in shape_errors(real[key], sample[key], f"{path}.{key}")]
    return [] if isinstance(real, str) else [f"{path}: {real!r} is no text"]


def test_state_has_the_shape_of_the_sample() -> None:
    """Every field of the documented sample is there, with its type, and no other."""
    with Held() as held, watched(held, allow_kill=True, threadpool_workers=2) as run, run.client() as client:
        client.ask("/slow?a=1")
        held.await_calls()
        for admin in (True, False):
            state = run.state(admin=admin)
            assert shape_errors(state, SAMPLE) == []
            assert state["stacks"] and state["events"]
        held.release()
        client.response()
        run.ask("/", admin=False)
        assert shape_errors(run.state(), SAMPLE) == []


def test_row_tells_what_a_worker_does() -> None:
    """A busy worker's row names its request, its client, how long it has run and where it stands."""
    with Held() as held, watched(held, threadpool_workers=2) as run, run.client() as client:
        client.ask("/slow/page?a=1&token=abc")
        held.await_calls()
        (row,) = run.busy()
        assert (row["status"], row["title"], row["client"]) == ("busy", "GET /slow/page", "127.0.0.1")
        assert row["query"] == "a=1&token=***"
        assert row["phase"] == "running" and row["doing"] == "waiting for another thread's signal"
        assert 0 < row["ran_for"] < 10 and row["kill_in"] > 1700
        stack = run.state()["stacks"][0]
        telling = stack["frames"][stack["telling"]]
        assert (
            telling["function"].endswith("__call__")
            and telling["kind"] == "own"
            and "_released.wait" in telling["source"]
        )
        assert stack["frames"][-1]["kind"] == "server" or stack["frames"][-1]["kind"] == "stdlib"
        held.release()


def test_requests_at_one_place_are_one_stack() -> None:
    """Two workers in the same line share a stack, which names both."""
    with Held() as held, watched(held, threadpool_workers=3) as run, run.client() as one, run.client() as other:
        one.ask("/a")
        other.ask("/b")
        held.await_calls(2)
        rows, stacks = run.busy(), run.state()["stacks"]
        assert {row["stack"] for row in rows} == {0}
        assert sorted(stacks[0]["workers"]) == sorted(row["worker"] for row in rows)
        held.release()


def test_worker_that_waits_for_its_client_says_so() -> None:
    """A response a client does not read holds its worker above the watermark, and the row blames nobody else."""

    def export(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield from (b"x" * 65536 for _ in range(1000))

    with watched(export, threadpool_workers=2, output_high_watermark="64k", output_spool=0) as run:
        with run.client() as client:
            client.ask("/export")
            until(lambda: [row["phase"] for row in run.busy()] == ["waiting for the client"], "the output is full")
            until(lambda: run.busy()[0]["status"] == "sending", "the row says so too")
            (row,) = run.busy()
            assert (row["title"], row["kill_in"]) == ("GET /export", None)
            assert 0 <= row["for"] <= row["ran_for"]
            assert row["sentence"].startswith("sending for ")
            assert run.state()["pool"]["counts"]["sending"] == 1
        until(lambda: not run.busy(), "the client has gone")


def test_kill_and_zombie_are_events_with_their_stacks() -> None:
    """What a request did when it was killed, and when it had not ended long after, stays among the events."""
    settings: dict[str, Any] = {
        "threadpool_workers": 2,
        "threadpool_hung_thread_limit": "20ms",
        "threadpool_kill_thread_limit": "50ms",
        "threadpool_dying_limit": "50ms",
    }
    with HeldAtLock() as held, watched(held, **settings) as run, run.client() as client:
        client.ask("/report")
        held.await_calls()
        until(lambda: run.state()["pool"]["counts"]["zombie"] == 1, "it is a zombie")
        until(lambda: "zombie" in {event["kind"] for event in run.state()["events"]}, "the event is there")
        events = {event["kind"]: event for event in run.state()["events"]}
        for kind in ("hung", "killed", "zombie"):
            assert "GET /report" in events[kind]["text"], kind
            assert any("_released.wait" in frame["source"] for frame in events[kind]["stack"]), kind
        assert events["spawned"]["stack"] == []
        held.release()
        assert client.response().status == 504


def test_mails_are_events() -> None:
    """A mail that was handed over and one that was not are both told, with where they went."""
    journal, mail = EventJournal(FakeClock()), EmailMessage()
    mail["To"], mail["Subject"] = "ops@example.com", "1 hung request killed"
    journal.noting_mail(lambda *_: None)(mail, None, FakeClock())

    def refuse(*_: object) -> None:
        raise OSError("no route")

    with pytest.raises(OSError, match="no route"):
        journal.noting_mail(refuse)(mail, None, FakeClock())
    assert [(event.kind, event.text) for event in journal.events()] == [
        ("mail failed", "could not mail ops@example.com: no route"),
        ("mail sent", "mailed ops@example.com: 1 hung request killed"),
    ]


def test_events_name_files_as_the_rows_do() -> None:
    """The application's files are named from its directory in an event's sentence, as everywhere on the page."""
    journal = EventJournal(FakeClock())
    journal.note("hung", "worker 1 is hung", detail="waiting for a lock (/srv/shop/db.py:88 fetch)")
    server_view: Any = SimpleNamespace(journal=journal)
    (event,) = events_of(server_view, Wall(FakeClock()), "/srv/shop")
    assert event["detail"] == "waiting for a lock (db.py:88 fetch)"


def test_stack_that_does_not_move_is_told() -> None:
    """From the second look on a row says for how long its stack has been the same."""
    with Held() as held, watched(held, threadpool_workers=2) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        first = run.busy()[0]["unmoved_for"]
        until(lambda: run.busy()[0]["unmoved_for"] > first, "the stack has been the same for longer")
        held.release()


def test_hung_request_is_red_and_in_the_events() -> None:
    """Past the limit the row says hung, the strip counts it, and an event has the stack of that moment."""
    hung: dict[str, Any] = {"threadpool_workers": 2, "threadpool_hung_thread_limit": "50ms"}
    with Held() as held, watched(held, **hung) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        until(lambda: run.state()["pool"]["counts"]["hung"] == 1, "one worker is hung")
        until(lambda: any(event["kind"] == "hung" for event in run.state()["events"]), "the event is there")
        event = next(event for event in run.state()["events"] if event["kind"] == "hung")
        assert event["stack"] and "GET /" in event["text"] and event["worker"] == run.busy()[0]["worker"]
        held.release()


def test_own_request_is_marked_and_never_offered() -> None:
    """The row of the worker that answers says so and cannot be killed; on the admin listener there is none."""
    with watched(plain(), allow_kill=True) as run:
        state = run.state(admin=False)
        (own,) = [row for row in state["workers"] if row["own"]]
        assert (own["worker"], own["serial"]) == (state["you"]["worker"], state["you"]["serial"])
        assert not own["can_kill"] and own["stack"] is None
        assert run.state()["you"] == {"address": "127.0.0.1", "worker": None, "serial": None, "logged_in": False}


def test_backlog_and_counters_are_told() -> None:
    """Waiting requests are listed with the oldest first; refused ones are counted and are one event."""
    settings: dict[str, Any] = {
        "threadpool_workers": 1,
        "threadpool_max_workers": 1,
        "threadpool_spawn_if_under": 0,
        "queue_limit": 1,
    }
    with Held() as held, watched(held, **settings) as run, run.client() as one, run.client() as two:
        one.ask("/first")
        held.await_calls()
        two.ask("/second")
        until(lambda: run.state()["backlog"]["length"] == 1, "a request waits")
        backlog = run.state()["backlog"]
        assert backlog["waiting"][0]["title"] == "GET /second" and backlog["oldest_for"] >= 0
        for _ in range(3):
            with run.client() as third:
                assert third.get("/third").status == 503
        totals = run.state()["totals"]
        assert (totals["refused"], totals["requests"]) == (3, 0)
        (shed,) = [event for event in run.state()["events"] if event["kind"] == "shed"]
        assert shed["count"] == 3
        held.release()
        one.response()
        two.response()
        until(lambda: run.state()["totals"]["requests"] == 2, "both are counted")
        state = run.state()
        assert state["totals"]["waited"] == 1 and state["latency"]["queue"]["max"] > 0
        assert state["slowest"][0]["path"] in ("/first", "/second") and state["slowest"][0]["status"] == 200


def test_connections_beyond_the_limit_are_counted() -> None:
    """A client that is turned away is counted and an event, which several within a while are together."""
    with Held() as held, watched(held, threadpool_workers=2, connection_limit=1) as run, run.client() as client:
        client.ask("/")
        held.await_calls()
        for _ in range(2):
            with run.client() as another:
                assert another.response().status == 503
        until(lambda: run.state()["totals"]["turned_away"] == 2, "both are counted")
        (event,) = [event for event in run.state()["events"] if event["kind"] == "shed"]
        assert event["count"] == 2 and "limit of connections" in event["text"]
        held.release()
        client.response()


def test_settings_are_shown_masked() -> None:
    """The effective settings are all there and the passwords are not."""
    with watched(plain(), smtp_password="hunter2-hunter2", admin_token="hunter3-hunter3-x") as run:
        state = run.state()
        assert dict(state["settings"])["threadpool_workers"] == "10"
        assert "hunter" not in json.dumps(state)

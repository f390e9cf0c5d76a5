"""A request inside of the work of a host: from when limits count, what a kill does, and what the page is told."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from webob import Request

from pastepool import WorkerPool
from pastepool.core.telling.slowest import SLOW_FROM
from pastepool.errors import WorkerKilled
from pastepool.runtime.pool.task import ShedReason, TaskOutcome
from pastepool.watch.app import WatchApp
from pastepool.watch.options import WatchOptions
from tests.pooling.pieces import Connection, Piece, end, enter, running
from tests.waiting import WATCHDOG, until


def environ(path: str = "/slow", **more: object) -> dict[str, Any]:
    """The environ of a request, as a host would make it."""
    return {**Request.blank(path).environ, "REMOTE_ADDR": "192.0.2.7", **more}


def state_of(pool: WorkerPool, **pages: Any) -> Any:
    """What ``watch_threads`` tells of the pool, to a program that has the token."""
    page = WatchApp(WatchOptions(token="t" * 20, **pages))
    asked = Request.blank("/api/v1/state", headers={"Authorization": "Bearer " + "t" * 20})
    asked.environ.update({"REMOTE_ADDR": "127.0.0.1", "paste.httpserver.thread_pool": pool.paste_pool})
    return asked.get_response(page).json


def rows_of(pool: WorkerPool) -> list[Any]:
    """Return the rows of the workers that are not idle."""
    return [row for row in state_of(pool)["workers"] if row["status"] != "idle"]


class Requests(Connection):
    """A connection with requests. Each lasts until its event is set, in a loop of Python code."""

    def __init__(self, pool: WorkerPool, paths: list[str], **callbacks: Any) -> None:
        super().__init__(released=True, inside=self._serve)
        self.pool = pool
        self.paths = paths
        self.inside_of: dict[str, threading.Event] = {path: threading.Event() for path in paths}
        self.gates: dict[str, threading.Event] = {path: threading.Event() for path in paths}
        self.outside: dict[str, threading.Event] = {path: threading.Event() for path in paths}
        self.between: dict[str, threading.Event] = {path: threading.Event() for path in paths}
        self.environs: list[dict[str, Any]] = []
        self.callbacks = callbacks

    def _serve(self) -> None:
        for path in self.paths:
            environ_now = environ(path)
            self.environs.append(environ_now)
            with self.pool.request(environ_now, **self.callbacks):
                self.inside_of[path].set()
                self.wait(self.gates[path])
            self.outside[path].set()
            self.wait(self.between[path])

    def wait(self, gate: threading.Event) -> None:
        while not gate.is_set():
            time.sleep(0.001)


def test_page_shows_the_request_and_counts_from_its_begin() -> None:
    """Between two requests on a connection the worker waits; each request has its own title, serial and time."""
    with running(WorkerPool("shop", workers=1)) as pool:
        connection = Requests(pool, ["/a", "/b"])
        pool.submit(connection)
        serials = []
        for path in connection.paths:
            assert connection.inside_of[path].wait(WATCHDOG)
            until(lambda: [row["path"] for row in rows_of(pool)] == [path], "the page shows the request")  # noqa: B023
            (row,) = rows_of(pool)
            assert (row["status"], row["client"]) == ("busy", "192.0.2.7")
            serials.append(row["serial"])
            connection.gates[path].set()
            assert connection.outside[path].wait(WATCHDOG)
            until(lambda: [each["status"] for each in rows_of(pool)] == ["sending"], "it waits for its host")
            connection.between[path].set()
        assert connection.over.wait(WATCHDOG)
        until(lambda: state_of(pool)["totals"]["requests"] == 2, "two requests are counted, and no connection")
        state = state_of(pool)
    assert state["host"] == "shop" and state["connections"]["open"] is None
    assert serials[0] != serials[1]


def test_only_the_request_is_hung_and_killed() -> None:
    """A request past its limit gets the exception; ``respond`` and ``hang_up`` are called once, and the work ends."""
    told: list[str] = []
    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.2, kill_thread_limit=0.4)) as pool:
        connection = Requests(
            pool, ["/a"], respond=lambda: told.append("respond"), hang_up=lambda: told.append("hang up")
        )
        pool.submit(connection)
        assert connection.over.wait(WATCHDOG)
        assert isinstance(connection.error, WorkerKilled)
        assert told == ["respond", "hang up"]
        until(lambda: pool.idle == 1, "another worker is there")
        assert connection.ends == 1 and not connection.outside["/a"].is_set()


def test_work_that_is_a_request_itself() -> None:
    """Where the whole of the work can be killed, a request inside of it takes its place and gives it back."""
    inside, gate, after = threading.Event(), threading.Event(), threading.Event()

    def serve() -> None:
        with pool.request(environ("/whole")):
            inside.set()
            assert gate.wait(WATCHDOG)
        after.set()

    with running(WorkerPool("shop", workers=1)) as pool:
        piece = Piece(inside=serve)
        pool.submit(piece)
        assert inside.wait(WATCHDOG)
        assert [row["path"] for row in rows_of(pool)] == ["/whole"]
        gate.set()
        assert after.wait(WATCHDOG)
        until(lambda: [row["title"] for row in rows_of(pool)] == ["a piece"], "the work is there again")
        end(piece)


def test_kill_that_is_swallowed_ends_the_worker_all_the_same() -> None:
    """The host catches everything around the request; its worker leaves after the work, and another one comes."""

    def serve() -> None:
        try:
            with pool.request(environ()):
                while True:
                    time.sleep(0.001)
        except BaseException as error:
            caught.append(error)

    caught: list[BaseException] = []
    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        piece = Piece(inside=serve, released=True)
        pool.submit(piece)
        assert piece.over.wait(WATCHDOG)
        assert isinstance(caught[0], WorkerKilled) and piece.error is None
        until(lambda: [worker.worker_id for worker in pool.workers] == [2], "the first worker has left")


def test_request_may_set_its_own_limit_and_be_told() -> None:
    """The keys of the environ are those of our own server."""
    cancelled = threading.Event()

    def serve() -> None:
        own = environ()
        with pool.request(own):
            with pytest.raises(ValueError, match="seconds must be 0"):
                own["pastepool.kill_after"](-1)
            with pytest.raises(TypeError, match="without arguments"):
                own["pastepool.on_cancel"](3)
            own["pastepool.on_cancel"](cancelled.set)
            own["pastepool.kill_after"](0.05)
            while True:
                time.sleep(0.001)

    with running(WorkerPool("shop", workers=1)) as pool:
        piece = Piece(inside=serve)
        pool.submit(piece)
        assert piece.over.wait(WATCHDOG)
        assert isinstance(piece.error, WorkerKilled)
        assert cancelled.wait(WATCHDOG)


def test_no_kill_lands_while_a_piece_of_the_response_is_sent() -> None:
    """While the host sends, a kill cuts the connection instead; it does not answer any more."""
    told: list[str] = []
    sending, gate = threading.Event(), threading.Event()

    def hang_up() -> None:
        told.append("hang up")
        gate.set()

    def serve() -> None:
        with pool.request(environ(), respond=lambda: told.append("respond"), hang_up=hang_up) as stamp:
            with stamp.sending():
                sending.set()
                assert gate.wait(WATCHDOG)
            told.append("sent")
            while True:
                time.sleep(0.001)

    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        connection = Connection(inside=serve)
        pool.submit(connection)
        assert connection.over.wait(WATCHDOG)
        assert isinstance(connection.error, WorkerKilled)
    assert told[:2] == ["hang up", "sent"] and "respond" not in told


def test_killed_request_sends_nothing_any_more() -> None:
    """An application that swallows the kill comes too late to ``sending``."""
    answered = threading.Event()
    sent: list[str] = []

    def serve() -> None:
        with pool.request(environ(), respond=answered.set) as stamp:
            try:
                while True:
                    time.sleep(0.001)
            except WorkerKilled:
                pass
            with stamp.sending():
                sent.append("late")

    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        connection = Connection(inside=serve)
        pool.submit(connection)
        assert connection.over.wait(WATCHDOG)
    assert answered.is_set() and sent == [] and isinstance(connection.error, WorkerKilled)


def test_stamp_on_another_thread_does_nothing() -> None:
    """Where no worker of the pool runs it, a request is only given the pool."""
    pool = WorkerPool("shop", workers=1)
    own = environ()
    with pool.request(own) as stamp, stamp.sending():
        assert stamp.request is None and own["paste.httpserver.thread_pool"] is pool.paste_pool
    with running(WorkerPool("other", workers=1)) as other:
        seen: list[object] = []

        def serve() -> None:
            with pool.request(environ()) as stamp:
                seen.append(stamp.request)

        piece = Piece(inside=serve, released=True)
        other.submit(piece)
        assert piece.over.wait(WATCHDOG)
    assert seen == [None]
    pool.stop(0)


def test_operator_kills_the_request_he_saw() -> None:
    """``watch_threads`` mounted in the application of another host kills by worker and serial."""
    with running(WorkerPool("shop", workers=2)) as pool:
        connection = Requests(pool, ["/a"])
        pool.submit(connection)
        assert connection.inside_of["/a"].wait(WATCHDOG)
        (row,) = rows_of(pool)
        page = WatchApp(WatchOptions(allow_kill=True, token="t" * 20))
        query = f"/api/v1/kill?worker={row['worker']}&serial={row['serial']}"
        asked = Request.blank(query, method="POST", headers={"Authorization": "Bearer " + "t" * 20})
        asked.environ.update({"REMOTE_ADDR": "127.0.0.1", "paste.httpserver.thread_pool": pool.paste_pool})
        answer = asked.get_response(page)
        assert answer.json["outcome"] in ("killed", "dying"), answer.json
        assert connection.over.wait(WATCHDOG)
        assert isinstance(connection.error, WorkerKilled)


def test_slowest_requests_are_remembered_without_their_connection() -> None:
    """A connection that held requests is none itself."""
    with running(WorkerPool("shop", workers=1)) as pool:
        connection = Requests(pool, ["/a"])
        pool.submit(connection)
        assert connection.inside_of["/a"].wait(WATCHDOG)
        time.sleep(2 * SLOW_FROM)
        for gate in (connection.gates["/a"], connection.between["/a"]):
            gate.set()
        assert connection.over.wait(WATCHDOG)
        assert [one["path"] for one in state_of(pool)["slowest"]] == ["/a"]


def test_tasks_answer_what_the_pool_may_ask() -> None:
    """What a task of a host has nothing for, it answers with nothing."""
    with running(WorkerPool("shop", workers=1)) as pool:
        connection = Requests(pool, ["/a"])
        pool.submit(connection)
        assert connection.inside_of["/a"].wait(WATCHDOG)
        (worker,) = pool.workers
        request = worker.task
        assert request is not None
        assert not request.cut_if_waiting() and request.outcome() == TaskOutcome()
        request.refused(ShedReason.STOPPING)
        request.dropped()
        connection.gates["/a"].set()
        assert connection.outside["/a"].wait(WATCHDOG)
        until(lambda: worker.task is not request, "the connection is there again")
        outer = worker.task
        assert outer is not None and outer.client_wait is not None
        assert not outer.cut_if_waiting() and not outer.client_wait.cut() and outer.described() == {}
        outer.killed(0.0)
        connection.between["/a"].set()
        assert connection.over.wait(WATCHDOG)
        enter(connection)


def test_no_kill_lands_in_a_sender() -> None:
    """A function made by ``sender`` is like the inside of ``sending``: a kill cuts the connection and answers nothing."""
    told: list[str] = []
    sending, gate = threading.Event(), threading.Event()

    def send(what: str) -> int:
        sending.set()
        assert gate.wait(WATCHDOG)
        told.append(what)
        return len(what)

    def hang_up() -> None:
        told.append("hang up")
        gate.set()

    def serve() -> None:
        with pool.request(environ(), respond=lambda: told.append("respond"), hang_up=hang_up) as stamp:
            inner = stamp.sender(send)
            assert stamp.sender(inner)("sent") == 4
            while True:
                time.sleep(0.001)

    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        connection = Connection(inside=serve)
        pool.submit(connection)
        assert connection.over.wait(WATCHDOG)
        assert isinstance(connection.error, WorkerKilled)
    assert told[:2] == ["hang up", "sent"] and "respond" not in told


def test_sender_of_a_killed_request_sends_nothing() -> None:
    """It raises what the kill raises; a quiet one returns, because its host sends in a ``finally``."""
    sent: list[str] = []

    def serve() -> None:
        with pool.request(environ()) as stamp:
            send, quiet = stamp.sender(sent.append), stamp.sender(sent.append, quietly=True)
            try:
                quiet("head")
                while True:
                    time.sleep(0.001)
            except WorkerKilled:
                assert quiet("late") is None
                send("too late")

    with running(WorkerPool("shop", workers=1, hung_thread_limit=0.1, kill_thread_limit=0.2)) as pool:
        connection = Connection(inside=serve)
        pool.submit(connection)
        assert connection.over.wait(WATCHDOG)
    assert sent == ["head"] and isinstance(connection.error, WorkerKilled)


def test_sender_that_fails_raises_its_error() -> None:
    """The window stays shut, as after a ``sending`` that failed: the host cleans up."""
    errors: list[BaseException] = []

    def send() -> None:
        raise OSError("gone")

    def serve() -> None:
        with pool.request(environ()) as stamp:
            try:
                stamp.sender(send)()
            except OSError as error:
                errors.append(error)
            assert stamp.request is not None and not stamp.request.writing

    with running(WorkerPool("shop", workers=1)) as pool:
        connection = Connection(inside=serve, released=True)
        pool.submit(connection)
        assert connection.over.wait(WATCHDOG)
    assert len(errors) == 1 and connection.error is None
    with WorkerPool("shop", workers=1).request(environ()) as stamp:
        assert stamp.sender(send) is send

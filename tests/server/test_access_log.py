"""``access_log = true``: one line for each request, however it ended, in which nobody can write anything of his own."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.server.conftest import Serve
from tests.server.hanging import Hanging
from tests.server.serving import Client, Environ, Held, path_echo
from tests.waiting import until

pytestmark = pytest.mark.over_tls

LINE = re.compile(
    r"127\.0\.0\.1 - (?P<user>\S+) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "
    r'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}|-) (?P<size>\d+|-) '
    r'"(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)" '
    r"(?P<duration>\d+\.\d{6}) (?P<waited>\d+\.\d{6}) (?P<worker>pastepool worker \d+|-)(?P<fate> [a-z ]+)?"
)


class Lines:
    """The access lines logged so far, each taken apart."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def __call__(self, count: int) -> list[dict[str, str | Any]]:
        """Wait for so many lines; there must not be more."""
        until(lambda: len(self._texts()) >= count, f"{count} lines are logged")
        found = [LINE.fullmatch(text) for text in self._texts()]
        assert len(found) == count and None not in found, self._texts()
        return [match.groupdict() for match in found if match]

    def _texts(self) -> list[str]:
        records = [record for record in self._caplog.records if record.name == "pastepool.access"]
        assert {record.levelno for record in records} <= {logging.INFO}
        return [record.getMessage() for record in records]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The access log of this test."""
    return Lines(caplog)


def test_it_is_off_by_default(serve: Serve, lines: Lines) -> None:
    """Nobody pays for a line that nobody asked for."""
    run = serve(path_echo)
    run.get("/")
    run.stop()
    assert lines(0) == []


def test_line_of_a_plain_request(serve: Serve, lines: Lines) -> None:
    """The combined format, then duration, wait for a worker and the worker that ran it."""
    run = serve(path_echo, access_log="true")
    run.get("/path?q=1", "Referer: http://other.example/from?x=2", "User-Agent: Probe/1.0")
    (line,) = lines(1)
    assert line["request"] == "GET /path?q=1 HTTP/1.1"
    assert (line["status"], line["size"], line["user"]) == ("200", "5", "-")
    assert (line["referer"], line["agent"]) == ("http://other.example/from?x=2", "Probe/1.0")
    assert line["worker"].startswith("pastepool worker ")
    assert (line["fate"], line["waited"]) == (None, "0.000000")
    assert 0 < float(line["duration"]) < 1


def test_line_without_what_was_not_sent(serve: Serve, lines: Lines) -> None:
    """Missing fields and empty answers are dashes; HTTP/1.0 is called by its name."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("204 No Content", [])
        return []

    serve(app, access_log="true").get("/", version="1.0")
    (line,) = lines(1)
    assert (line["request"], line["status"]) == ("GET / HTTP/1.0", "204")
    assert (line["size"], line["referer"], line["agent"]) == ("-", "-", "-")


def test_nobody_can_forge_a_line_or_a_field(serve: Serve, lines: Lines) -> None:
    """Quotation marks, backslashes, control characters and what looks like them stay inside their field."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        environ["REMOTE_USER"] = 'me - [x] "GET / HTTP/1.1" 200\nline'
        return path_echo(environ, start_response)

    run = serve(app, access_log="true")
    run.get('/a%0a"b\\"?c%0d%0ad="', 'User-Agent: x" 200 1 "-" "y\\" \x85\xa0 z', 'Referer: http://h/\\"')
    (line,) = lines(1)
    assert line["request"] == 'GET /a%0a\\"b\\\\\\"?c%0d%0ad=\\" HTTP/1.1'
    assert line["agent"] == 'x\\" 200 1 \\"-\\" \\"y\\\\\\" \\x85\\xa0 z'
    assert "\n" not in str(line)


def test_secrets_in_queries_are_masked(serve: Serve, lines: Lines) -> None:
    """Values whose names promise a secret never reach the log, in the target nor in the referer (contract P17)."""
    run = serve(path_echo, access_log="true")
    run.get(
        "/login;jsessionid=abc123?user=me&password=hunter2&token=t0ps3cret", "Referer: http://h/?api_key=k3y&page=2"
    )
    (line,) = lines(1)
    assert line["request"] == "GET /login;jsessionid=***?user=me&password=***&token=*** HTTP/1.1"
    assert line["referer"] == "http://h/?api_key=***&page=2"


def test_overlong_fields_are_cut(serve: Serve, lines: Lines) -> None:
    """A client cannot fill the disk with one request."""
    run = serve(path_echo, access_log="true")
    run.get("/" + "x" * 5000, "User-Agent: " + "y" * 5000)
    (line,) = lines(1)
    assert len(line["request"]) < 400 and len(line["agent"]) < 400


def test_application_that_empties_its_environ_has_its_line(serve: Serve, lines: Lines) -> None:
    """The environ is the application's to change; the line says what was asked all the same, and the worker lives."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        environ.clear()
        environ["HTTP_USER_AGENT"] = 42
        start_response("200 OK", [])
        return [b"ok"]

    with serve(app, access_log="true", threadpool_workers=1).client() as client:
        for _ in range(3):
            assert client.get("/emptied").body == b"ok"
    assert [line["request"] for line in lines(3)] == ["GET /emptied HTTP/1.1"] * 3


def test_request_that_waited_says_how_long(serve: Serve, lines: Lines) -> None:
    """The wait for a worker is told apart from the time the worker took."""
    with Held(path_echo, lambda environ: environ["PATH_INFO"] == "/held") as app:
        run = serve(app, access_log="true", threadpool_workers=1, threadpool_max_workers=1)
        with run.client() as first, run.client() as second:
            first.ask("/held")
            app.await_calls()
            second.ask("/waits")
            until(lambda: run.server.parts.baton.backlog, "the request waits")
            arrived = run.server.parts.baton.backlog[0].arrived_at
            until(lambda: run.server.parts.clock.now() > arrived + 0.2, "it has waited")
            app.release()
            second.response()
    held, waits = sorted(lines(2), key=lambda line: line["request"])
    assert (held["request"], float(held["waited"])) == ("GET /held HTTP/1.1", 0)
    assert float(held["duration"]) > 0.2
    assert 0.2 < float(waits["waited"]) < 5
    assert float(waits["duration"]) < 0.2


def test_refused_expired_and_dropped_requests_have_their_lines(serve: Serve, lines: Lines) -> None:
    """Requests that no worker ever saw are in the log too, with what became of them."""
    with Held(path_echo, lambda environ: environ["PATH_INFO"] == "/held") as app:
        run = serve(
            app, access_log="true", threadpool_workers=1, threadpool_max_workers=1, queue_limit=1, queue_timeout=0.3
        )
        with run.client() as first, run.client() as second:
            first.ask("/held")
            app.await_calls()
            leaver = run.client()
            leaver.ask("/dropped")
            until(lambda: run.server.parts.baton.backlog, "the request waits")
            leaver.close()
            until(lambda: not run.server.parts.baton.backlog, "the request is dropped")
            second.ask("/expired")
            until(lambda: run.server.parts.baton.backlog, "the request waits")
            assert run.get("/refused").status == 503
            assert second.response().status == 503
            found = {line["request"].split()[1]: line for line in lines(3)}
            app.release()
            first.response()
    assert {path: (line["status"], line["fate"], line["worker"]) for path, line in found.items()} == {
        "/dropped": ("-", " client gone", "-"),
        "/expired": ("503", " expired", "-"),
        "/refused": ("503", " refused", "-"),
    }
    assert float(found["/expired"]["duration"]) >= 0.3


def test_killed_request_has_its_line_at_once_and_only_once(serve: Serve, lines: Lines) -> None:
    """The line is written at the kill, with the 504 its client was told; not again when the worker leaves."""
    with Hanging() as app:
        run = serve(app, access_log="true", threadpool_hung_thread_limit=0.1, threadpool_kill_thread_limit=0.2)
        assert run.get("/hang").status == 504
        (line,) = lines(1)
        assert (line["request"], line["status"], line["fate"]) == ("GET /hang HTTP/1.1", "504", " killed")
        assert line["worker"].startswith("pastepool worker ")
        until(lambda: app.outcomes == {"/hang": "WorkerKilled"}, "the worker has left the application")
        run.stop()
    lines(1)


def test_failed_request_has_its_line(serve: Serve, lines: Lines) -> None:
    """An application that raises is a 500, or what it had begun to answer."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        if environ["PATH_INFO"] == "/late":
            start_response("200 OK", [])
            yield b"some"
        raise ValueError("no")

    run = serve(app, access_log="true")
    assert run.get("/early").status == 500
    with run.client() as client, pytest.raises(EOFError):
        client.get("/late")
    # Two workers write the lines, each after it has answered its client, so their order is not fixed.
    assert {(line["status"], line["size"]) for line in lines(2)} == {("500", "-"), ("200", "4")}


def test_client_that_goes_in_the_middle_has_its_line(serve: Serve, lines: Lines) -> None:
    """What was sent until then, and why it is not all."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(1000):
            yield b"x" * 100_000

    run = serve(app, access_log="true")
    client = run.client(receive_buffer=4096)
    client.ask("/")
    client.read_exactly(200_000)  # something of the second piece, so the first one has been counted
    Client.reset(client)
    (line,) = lines(1)
    assert (line["status"], line["fate"]) == ("200", " client gone")
    assert 0 < int(line["size"]) < 100_000_000


def test_title_in_other_logs_cannot_be_forged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A failed request is named in one line, percent-encoded as it came, without its query."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        environ.clear()
        raise ValueError("no")

    run = serve(app)
    assert run.get("/a%0d%0aERROR%20forged?password=hunter2").status == 500
    (record,) = (record for record in caplog.records if record.name == "pastepool.app")
    assert record.getMessage().startswith("GET /a%0d%0aERROR%20forged: the application failed; ")
    assert "hunter2" not in record.getMessage()

"""Clients that read slowly, or not at all, what an application yields in many pieces: no worker waits for them."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool.core.states import classify
from tests.server.conftest import Serve
from tests.server.serving import Client, Environ, Running
from tests.waiting import WATCHDOG, Stopwatch, until

pytestmark = pytest.mark.over_tls

PIECE = 50_000
PIECES = 160
WHOLE = b"".join(b"%049999d\n" % number for number in range(PIECES))
"""8 MB. The kernel takes some 2.5 MB of it for a client that reads nothing."""


class Export:
    """
    An application that yields ``pieces`` pieces for ``/export``; other paths get a few bytes.

    ``yielded``: how many pieces were asked for, in all calls together. ``closed``: is released once by each call that
    ends. ``then``: called after the last piece.
    """

    def __init__(self, pieces: int = PIECES, then: Callable[[], object] = lambda: None) -> None:
        self.yielded = 0
        self.closed = threading.Semaphore(0)
        self._pieces = pieces
        self._then = then

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return self._export() if environ["PATH_INFO"] == "/export" else [b"small"]

    def _export(self) -> Iterator[bytes]:
        try:
            for number in range(self._pieces):
                self.yielded += 1
                yield b"%049999d\n" % number
            self._then()
        finally:
            self.closed.release()

    def await_closed(self, count: int = 1) -> None:
        """Wait until ``count`` more calls have ended."""
        for _ in range(count):
            assert self.closed.acquire(timeout=WATCHDOG), "the application has not ended"


def spooled(run: Running) -> tuple[int, int]:
    """How many bytes are in temporary files, and how many files there are."""
    room = run.server.parts.shared.spool_room
    return room.taken, len(room.files)


def until_spool_is_empty(run: Running) -> None:
    """Wait until all room was given back."""
    until(lambda: spooled(run) == (0, 0), "the room is given back")


@contextlib.contextmanager
def readers(run: Running, count: int, *lines: str, version: str = "1.1") -> Iterator[list[Client]]:
    """Clients that have asked for the export and read nothing."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(run.client(receive_buffer=4096)) for _ in range(count)]
        for client in clients:
            client.ask("/export", *lines, version=version)
        yield clients


@pytest.mark.parametrize("workers", [1, 3])
def test_readers_of_pieces_hold_no_worker(serve: Serve, workers: int) -> None:
    """However many do not read: each application ends at once, and each client that reads at last has every byte."""
    app = Export()
    run = serve(app, threadpool_workers=workers, threadpool_max_workers=workers)
    with readers(run, 12) as clients:
        app.await_closed(12)
        assert run.get("/").body == b"small"
        taken, files = spooled(run)
        assert (taken > 12 * 1_000_000, files) == (True, 12)
        for client in clients:
            assert client.response().body == WHOLE
            assert client.get("/").body == b"small"
    until_spool_is_empty(run)


@pytest.mark.parametrize(("version", "lines"), [("1.1", []), ("1.0", []), ("1.0", ["Connection: keep-alive"])])
def test_reader_that_stalls_and_then_reads_gets_everything(serve: Serve, version: str, lines: list[str]) -> None:
    """By chunks, or by a response that only the end of the connection ends."""
    app = Export()
    run = serve(app)
    with readers(run, 1, *lines, version=version) as (client,):
        app.await_closed()
        response = client.response()
        assert response.body == WHOLE
        assert response.chunked is (version == "1.1")
    until_spool_is_empty(run)


def test_reader_may_read_while_the_application_yields(serve: Serve) -> None:
    """Memory and file are filled and sent at once, many times over."""
    app = Export(400)
    run = serve(app, output_high_watermark="100k", output_spool="300k")
    with run.client(receive_buffer=32768) as client:
        assert client.get("/export").body == b"".join(b"%049999d\n" % number for number in range(400))
        assert client.get("/").body == b"small"
    until_spool_is_empty(run)


def test_pieces_of_two_bytes_take_no_more_memory_than_others(serve: Serve) -> None:
    """What a piece takes beside its bytes counts too."""
    ended = threading.Event()

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"x" * 4_000_000
        yield from (b"ab" for _ in range(50_000))
        ended.set()

    run = serve(app, output_high_watermark="1m")
    with readers(run, 1) as (client,):
        assert ended.wait(WATCHDOG)
        (connection,) = run.server.parts.poller.connections.values()
        assert connection.output is not None
        assert len(connection.output._parts) < 6000
        assert client.response().body == b"x" * 4_000_000 + b"ab" * 50_000


def test_beyond_the_bound_of_one_response_the_worker_waits(serve: Serve) -> None:
    """Memory and disk are bounded: the application is asked for no more than both take; later it goes on."""
    app = Export(400)
    run = serve(app, output_high_watermark="500k", output_spool="2m")
    with readers(run, 1) as (client,):
        until(lambda: spooled(run)[0] > 1_900_000, "the file is full")
        until(lambda: a_worker_waits(run), "the worker waits")
        assert app.yielded < 200
        assert client.response().body == b"".join(b"%049999d\n" % number for number in range(400))
        app.await_closed()
    until_spool_is_empty(run)


def a_worker_waits(run: Running) -> bool:
    """Return whether a worker waits for its client, as the supervisor sees it."""
    tasks = [worker.task for worker in list(run.server.parts.pool.workers.values())]
    waits = [task.client_wait for task in tasks if task is not None]
    return any(wait is not None and wait.since is not None for wait in waits)


def test_bound_over_all_responses(serve: Serve) -> None:
    """Many reach it: some of them are in files, the others wait; as soon as those have read, there is room for these."""
    app = Export()
    run = serve(app, threadpool_workers=6, output_spool="8m", spool_total="8m")
    with readers(run, 6) as clients:
        until(lambda: spooled(run)[0] > 7_900_000, "all the room is taken")
        assert spooled(run)[0] <= 8 * 1_048_576
        for client in clients:
            assert client.response().body == WHOLE
        app.await_closed(6)
    until_spool_is_empty(run)


def test_worker_that_waits_goes_on_when_another_response_ends(serve: Serve) -> None:
    """Its own client has read nothing, but the bound over all is free again."""
    app = Export()
    run = serve(app, output_spool="6m", spool_total="6m")
    with readers(run, 1) as (first,):
        app.await_closed()
        with readers(run, 1):
            until(lambda: a_worker_waits(run), "the second one waits")
            first.close()
            app.await_closed()
    until_spool_is_empty(run)


def test_client_that_leaves_in_the_middle_frees_its_room(serve: Serve) -> None:
    """While the application still yields, and after it has ended; by FIN and by reset."""
    gate = threading.Event()
    app = Export(then=lambda: gate.wait(WATCHDOG))
    run = serve(app)
    with readers(run, 4) as clients:
        until(lambda: app.yielded == 4 * PIECES, "every piece is made")
        clients[0].close()
        clients[1].reset()
        until(lambda: spooled(run)[1] == 2, "two files are closed")
        gate.set()
        app.await_closed(4)
        clients[2].close()
        clients[3].reset()
        until_spool_is_empty(run)
    until(lambda: run.connections == 0, "all are gone")


def test_application_that_is_killed_frees_its_room(serve: Serve) -> None:
    """Its client is cut off: the response cannot be completed, so what is in the file goes nowhere."""
    gate = threading.Event()

    def hang() -> None:
        while not gate.wait(0.01):
            pass

    app = Export(then=hang)
    limits = {"threadpool_hung_thread_limit": "50ms", "threadpool_kill_thread_limit": "0.5s"}
    run = serve(app, **limits)
    with readers(run, 1) as (client,):
        until(lambda: spooled(run)[1] == 1, "it is in a file")
        app.await_closed()
        until_spool_is_empty(run)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.response()
    gate.set()


def test_application_that_fails_frees_its_room(serve: Serve) -> None:
    """The client can tell that the response is incomplete."""

    def fail() -> None:
        raise ValueError("the end cannot be made")

    run = serve(Export(then=fail))
    with readers(run, 1) as (client,):
        until(lambda: run.connections == 0, "the connection is cut")
        until_spool_is_empty(run)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.response()


def test_stop_sends_what_is_in_files(serve: Serve) -> None:
    """A drain waits for readers that read, and the server ends when they have everything."""
    app = Export()
    run = Running(app, {}).start()
    with readers(run, 3) as clients:
        app.await_closed(3)
        run.server.stop()
        for client in clients:
            assert client.response().body == WHOLE
        run.join()
    assert spooled(run) == (0, 0)


def test_stop_does_not_wait_for_ever_for_readers(serve: Serve) -> None:
    """At ``shutdown_timeout`` those that do not read are cut, and their files go."""
    app = Export()
    run = Running(app, {"shutdown_timeout": 1}).start()
    with readers(run, 3):
        app.await_closed(3)
        run.server.stop()
        run.join()
    assert spooled(run) == (0, 0)


def test_reader_that_stops_ends_at_its_timeout(serve: Serve) -> None:
    """The timeout is that of every slow reader: one timeout after the last byte, also where the rest is in a file."""
    app = Export()
    run = serve(app, send_timeout=0.5)
    with readers(run, 1) as (client,):
        app.await_closed()
        client.read_exactly(4_000_000)
        watch = Stopwatch()
        until(lambda: run.connections == 0, "the connection is given up")
        assert watch.elapsed() > 0.3 and watch.net() < 2.5
    until_spool_is_empty(run)


def test_reader_that_goes_on_slowly_outlives_its_timeout(serve: Serve) -> None:
    """A third of a megabyte a second is progress: everything arrives, six timeouts later."""
    app = Export()
    run = serve(app, send_timeout=0.5)
    now = run.server.parts.clock.now
    with readers(run, 1) as (client,):
        app.await_closed()
        began, read = now(), b""
        while now() < began + 3:
            read += client.read_exactly(10_000)
            threading.Event().wait(0.03)
        client._unread = read + client._unread
        assert client.response().body == WHOLE
    until_spool_is_empty(run)


def full(*anything: object, **more: object) -> Any:
    """A disk that takes nothing more."""
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("where", "what"), [(tempfile, "TemporaryFile"), (os, "pwrite")])
def test_disk_that_is_full(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, where: Any, what: str
) -> None:
    """The worker waits for its client as it did without a file; nothing is lost, and the log says once what to do."""
    app = Export()
    run = serve(app, threadpool_workers=4)
    monkeypatch.setattr(where, what, full)
    with readers(run, 3) as clients:
        until(lambda: a_worker_waits(run), "a worker waits")
        for client in clients:
            assert client.response().body == WHOLE
    until_spool_is_empty(run)
    (told,) = [record for record in caplog.records if "cannot be kept" in record.getMessage()]
    assert (told.name, told.levelname) == ("pastepool.http", "ERROR")
    assert told.getMessage() == (
        f"GET /export: its response cannot be kept in {tempfile.gettempdir()}: [Errno 28] No space left on device; its"
        " worker waits until the client has read more. Make room there, or set the environment variable TMPDIR to a"
        " directory that has room"
    )


def test_disk_that_becomes_full_in_the_middle(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written before stays in its place; half a piece that was written is not sent twice."""
    real, written = os.pwrite, [0]

    def pwrite(fd: int, data: memoryview, offset: int) -> int:
        if written[0] > 1_000_000:
            full()
        written[0] += real(fd, data[:30_000], offset)
        return min(len(data), 30_000)

    monkeypatch.setattr(os, "pwrite", pwrite)
    app = Export()
    run = serve(app)
    with readers(run, 1) as (client,):
        until(lambda: a_worker_waits(run), "the worker waits")
        assert spooled(run)[0] > 900_000
        assert client.response().body == WHOLE
    until_spool_is_empty(run)


def test_no_file_for_what_fits_in_memory_or_has_no_content(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses below the watermark, to HEAD, 204 and 304 make no file, however slowly they are read."""
    monkeypatch.setattr(tempfile, "TemporaryFile", full)

    def app(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response({"/204": "204 No Content", "/304": "304 Not Modified"}.get(environ["PATH_INFO"], "200 OK"), [])
        yield from (b"x" * 10_000 for _ in range(300))

    run = serve(app, threadpool_workers=1)
    with run.client(receive_buffer=4096) as client:
        assert client.get("/", method="HEAD").body == b""
        assert client.get("/204").status == 204
        assert client.get("/304").status == 304
        assert len(client.get("/").body) == 3_000_000


@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_upload_that_finds_no_room_is_503(serve: Serve, caplog: pytest.LogCaptureFixture, framing: str) -> None:
    """
    Uploads share the bound with the responses. What does not fit is read to its end and answered 503 with Retry-After;
    the connection goes on, the log says what to do, and when there is room it is taken.
    """

    def upload(client: Client, size: int) -> int:
        if framing == "chunked":
            client.ask("/", "Transfer-Encoding: chunked", method="POST")
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size))
        else:
            client.ask("/", method="POST", body=b"x" * size)
        response = client.response()
        assert not response.closes
        assert response.fields.get("retry-after") == ("5" if response.status == 503 else None)
        return response.status

    app = Export()
    total = 8_000_000
    run = serve(app, output_spool=total, spool_total=total, max_body_bytes=total, body_memory="1k", access_log=True)
    with readers(run, 1) as (reader,), run.client() as client:
        app.await_closed()
        free = total - spooled(run)[0]
        assert [upload(client, free), upload(client, free + 1), upload(client, free)] == [200, 503, 200]
        assert client.get("/").body == b"small"
        assert reader.response().body == WHOLE
        assert upload(client, free + 1) == 200
    until_spool_is_empty(run)
    until(lambda: f"its content of {free + 1} bytes is not kept: temporary files hold " in caplog.text, "the log tells")
    assert "raise spool_total" in caplog.text


def statuses(run: Running) -> list[str]:
    """The statuses of all workers that are busy in one way or another."""
    parts = run.server.parts
    now, policy = parts.clock.now(), run.server.settings.pool
    shown = [classify(record, now, policy).value for record in parts.pool.records()]
    return [status for status in shown if status not in ("idle", "starting")]


def test_worker_that_waits_for_its_client_is_replaced_and_never_hung_or_killed(serve: Serve) -> None:
    """
    However long it waits: it is *sending*, another worker serves in its place, and the client gets everything. Before
    and after the wait its call is as long as it is.
    """
    app = Export()
    limits = {"threadpool_hung_thread_limit": "1s", "threadpool_kill_thread_limit": "2s", "output_spool": 0}
    run = serve(app, threadpool_workers=2, threadpool_max_workers=4, **limits)
    now = run.server.parts.clock.now
    with readers(run, 2) as clients:
        until(lambda: statuses(run) == ["sending", "sending"], "both wait")
        began = now()
        while now() < began + 2.5:
            assert run.get("/").body == b"small"
            assert set(statuses(run)) <= {"sending", "busy"}
        for client in clients:
            assert client.response().body == WHOLE
        app.await_closed(2)


def test_hung_request_is_killed_after_its_client_has_read_on(serve: Serve) -> None:
    """The time of the wait does not count, the time after it does."""
    gate = threading.Event()
    app = Export(then=lambda: [gate.wait(0.01) for _ in range(10_000)])
    limits = {"threadpool_hung_thread_limit": "1s", "threadpool_kill_thread_limit": "2s", "output_spool": 0}
    run = serve(app, **limits)
    now = run.server.parts.clock.now
    with readers(run, 1) as (client,):
        until(lambda: statuses(run) == ["sending"], "it waits")
        began = now()
        until(lambda: now() > began + 2.5, "the kill limit is long over")
        assert statuses(run) == ["sending"]
        with contextlib.suppress(EOFError, ConnectionResetError):
            client.response()
        app.await_closed()
        assert now() > began + 3.0


@pytest.mark.plain_only("what the kernel takes for a silent client, and when, depends on the records")
def test_reader_that_has_stalled_longest_is_cut_while_requests_wait(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the cap leaves no room, a waiting request gets the worker of the client that has read nothing for longest."""
    app = Export()
    run = serve(app, threadpool_workers=2, threadpool_max_workers=2, output_spool=0, access_log=True)
    with readers(run, 1) as (first,):
        until(lambda: statuses(run) == ["sending"], "the first one waits")
        with readers(run, 1) as (second,):
            until(lambda: statuses(run) == ["sending", "sending"], "both wait")
            assert run.get("/").body == b"small"
            with pytest.raises((EOFError, ConnectionResetError)):
                first.response()
            assert second.response().body == WHOLE
    app.await_closed(2)
    told = [record for record in caplog.records if "cut the client of worker" in record.getMessage()]
    assert [record.levelname for record in told] == ["WARNING"]
    assert "GET /export is sent to it, and it has read nothing for " in told[0].getMessage()
    assert "while 1 request waits and max_workers = 2" in told[0].getMessage()
    until(lambda: " too slow" in caplog.text, "the access log says why")
    events = [event.text for event in run.server.parts.journal.events() if event.kind == "cut"]
    assert events == ["cut: a client read nothing while requests waited for its worker"]


def test_client_that_is_cut_can_tell(serve: Serve) -> None:
    """A response that only the end of the connection ends is reset: it must not look complete."""
    run = serve(Export(), threadpool_workers=1, threadpool_max_workers=1, output_spool=0)
    with readers(run, 1, version="1.0") as (client,):
        until(lambda: statuses(run) == ["sending"], "it waits")
        assert run.get("/").body == b"small"
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_reader_that_reads_is_not_cut(serve: Serve) -> None:
    """It is slow, and its worker waits for it; of two such clients the one goes that reads nothing."""
    run = serve(Export(), threadpool_workers=2, threadpool_max_workers=2, output_spool=0)
    with readers(run, 2) as (reading, silent):
        until(lambda: statuses(run) == ["sending", "sending"], "both wait")
        answers: list[bytes] = []
        honest = threading.Thread(target=lambda: answers.append(run.get("/").body))
        honest.start()
        read = b""
        while honest.is_alive():
            read += reading.read_exactly(5000)
            honest.join(0.01)
        assert answers == [b"small"]
        reading._unread = read + reading._unread
        assert reading.response().body == WHOLE
        with pytest.raises((EOFError, ConnectionResetError)):
            silent.response()

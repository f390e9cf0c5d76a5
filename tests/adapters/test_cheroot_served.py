"""cheroot's server on our pool, over real sockets: hung requests, kills, slow clients, errors, overload, the end."""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from pastepool.core.states import Status, classify
from tests.adapters.cheroot_server import serving
from tests.adapters.clients import LOST, Application, Asking, ask, connect, hanging
from tests.waiting import WATCHDOG, Stopwatch, until

QUICK: dict[str, Any] = {"hung_thread_limit": 0.3, "kill_thread_limit": 1.5}
KILLED = (504, b"The request took too long and was ended by the server.\n")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certification authority of this module's own."""
    return trustme.CA()


def statuses(server: Any) -> list[Status]:
    """The statuses of all workers, as a person is told them."""
    view = server.requests.pool.paste_pool.server_view
    return [classify(record, view.clock.now(), view.policy) for record in view.pool.records()]


def test_hung_requests_do_not_stop_the_server(caplog: pytest.LogCaptureFixture) -> None:
    """
    Four threads, twenty requests that hang: each later one is answered, the hung ones are reported and killed at their
    limits, their clients hear of it, and four threads are left.
    """
    application = Application()
    with serving(application, numthreads=4, max=4, max_workers=40, **QUICK) as server:
        clients = Asking(server.address, [f"/hang/{at}" for at in range(20)])
        application.await_calls(20)
        for _ in range(3):
            assert ask(server.address, "/") == (200, b"GET / 0")
        assert set(clients.join()) <= {KILLED, LOST}
        until(lambda: server.requests.idle == len(server.requests._threads) == 4, "four are left")
        assert ask(server.address, "/") == (200, b"GET / 0")
    hung = [record for record in caplog.records if "is hung: GET /hang/" in record.getMessage()]
    assert hung  # not all: on a busy machine some are past the kill limit at the first look
    assert "clients.py" in caplog.text and caplog.text.count("kill worker") >= 20


def test_cheroot_alone_stops_answering() -> None:
    """The same with cheroot's own pool: the fifth request has no answer. This is what the adapter is for."""
    application = Application()
    with serving(application, own=True, numthreads=4) as server, hanging(application, server.address, 4):
        fifth = connect(server.address)
        fifth.sock.settimeout(0.5)
        fifth.request("GET", "/")
        with pytest.raises(TimeoutError):
            fifth.getresponse()
        fifth.close()


def test_hung_requests_over_tls(authority: trustme.CA, tmp_path: Path) -> None:
    """The same over TLS: the client of a killed request sees a closed connection."""
    from cheroot.ssl.builtin import BuiltinSSLAdapter

    certificate = authority.issue_cert("localhost", "127.0.0.1")
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(pem)
    certificate.private_key_pem.write_to_path(key)
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    application = Application()
    adapter = BuiltinSSLAdapter(str(pem), str(key))
    with serving(application, numthreads=2, max=2, max_workers=20, ssl_adapter=adapter, **QUICK) as server:
        clients = Asking(server.address, ["/hang/1", "/hang/2", "/hang/3"], tls)
        application.await_calls(3)
        assert ask(server.address, "/", tls) == (200, b"GET / 0")
        assert clients.join() == [LOST] * 3
        assert ask(server.address, "/", tls, "POST", b"x" * 1000) == (200, b"POST / 1000")


def test_hung_requests_over_a_unix_socket(folder: Path) -> None:
    """The same over a unix socket."""
    application = Application()
    path = str(folder / "sock")
    with serving(application, path, numthreads=2, max=2, max_workers=20, **QUICK) as server:
        clients = Asking(path, ["/hang/1", "/hang/2", "/hang/3"])
        application.await_calls(3)
        assert ask(path, "/") == (200, b"GET / 0")
        assert set(clients.join()) <= {KILLED, LOST}
        assert ask(server.address, "/") == (200, b"GET / 0")


def test_idle_and_slow_clients_are_not_hung(caplog: pytest.LogCaptureFixture) -> None:
    """Idle connections and half-sent heads occupy workers of cheroot, but hang nobody, and the server goes on."""

    def limits(server: Any) -> None:
        server.keep_alive_conn_limit = None

    limit: dict[str, Any] = {"hung_thread_limit": 0.1, "kill_thread_limit": 0.2}
    with serving(Application(), numthreads=4, max=4, max_workers=60, prepare=limits, **limit) as server:
        kept = [connect(server.address) for _ in range(30)]
        for connection in kept:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"GET / 0"
        slow = [socket.create_connection(("127.0.0.1", server.address)) for _ in range(10)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: exa")
        until(lambda: statuses(server).count(Status.SENDING) == 10, "ten workers wait for their clients")
        assert ask(server.address, "/") == (200, b"GET / 0")
        assert ask(server.address, "/hang/until-killed") in (KILLED, LOST)  # so both limits are over for the others too
        assert statuses(server).count(Status.SENDING) == 10
        for connection in kept:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"GET / 0"
            connection.close()
        for sock in slow:
            sock.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings and all("GET /hang/until-killed" in warning for warning in warnings)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_of_the_application_stops_the_server(kind: type[BaseException]) -> None:
    """Contract C4: ``serve`` raises what the application raised."""

    def leave() -> None:
        raise kind("enough")

    with serving(Application(leave=leave), numthreads=2, shutdown_timeout=1) as server:
        assert ask(server.address, "/leave") == LOST
        server.thread.join(WATCHDOG)
        assert not server.thread.is_alive()
    assert isinstance(server.raised, kind) and str(server.raised) == "enough"


def test_other_errors_cost_no_worker() -> None:
    """Whatever else the application raises: it is logged, and the next request is answered by the same workers."""

    class Odd(BaseException):
        pass

    def recurse() -> None:
        recurse()

    def fail(error: BaseException) -> Any:
        def failing() -> None:
            raise error

        return failing

    application = Application(value=fail(ValueError("no")), recursion=recurse, odd=fail(Odd("odd")))
    with serving(application, numthreads=2, max=2) as server:
        for path, expected in (("/value", 500), ("/recursion", 500), ("/odd", 0)):
            assert ask(server.address, path)[0] == expected
            assert ask(server.address, "/") == (200, b"GET / 0")
        until(lambda: any("Odd('odd')" in line for line in server.lines), "it is logged")
        assert [thread.name for thread in server.requests._threads] == ["pastepool worker 1", "pastepool worker 2"]
    assert server.raised is None


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # cheroot leaves a refused connection to the collector
def test_overload_is_answered_in_time() -> None:
    """Two may wait: four more are told 503 within one timeout, and not one timeout after the other."""
    application = Application()
    options: dict[str, Any] = {"accepted_queue_size": 2, "accepted_queue_timeout": 1, "max": 1, "max_workers": 1}
    with serving(application, numthreads=1, hung_thread_limit=60, **options) as server:
        with hanging(application, server.address, 1):
            waiting = Asking(server.address, ["/a", "/b"])
            until(lambda: server.requests.qsize == 2, "two wait")
            watch = Stopwatch()
            refused = Asking(server.address, ["/c", "/d", "/e", "/f"]).join()
            took = watch.net()
            assert [status for status, _ in refused] == [503] * 4
            assert took < 2.5
        assert sorted(waiting.join()) == [(200, b"GET /a 0"), (200, b"GET /b 0")]


def test_stop_is_bounded_with_a_hung_request() -> None:
    """cheroot alone never returns here."""
    application = Application()
    with (
        serving(application, numthreads=2, max=2, shutdown_timeout=0.5) as server,
        hanging(application, server.address, 1),
    ):
        watch = Stopwatch()
        server.stop()
        assert watch.net() < 4
    assert not server.thread.is_alive()


def test_stop_waits_for_the_request_that_runs() -> None:
    """Its client has the answer before ``stop`` returns."""
    application = Application()
    with serving(application, numthreads=2, shutdown_timeout=WATCHDOG) as server:
        clients = Asking(server.address, ["/hang"])
        application.await_calls(1)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        application.release()
        stopping.join(WATCHDOG)
        assert clients.join() == [(200, b"GET /hang 0")]


def test_stop_from_a_worker() -> None:
    """An application may stop its server."""
    holder: list[Any] = []
    application = Application(stop=lambda: holder[0].stop())
    with serving(application, numthreads=2, shutdown_timeout=1) as server:
        holder.append(server)
        ask(server.address, "/stop")
        server.thread.join(WATCHDOG)
        assert not server.thread.is_alive()


def test_statistics_are_right_over_a_connection_that_stays_open() -> None:
    """Five requests on one connection count five; cheroot itself counts fifteen. Workers that are gone have no entry."""

    def enabled(server: Any) -> None:
        server.stats["Enabled"] = True

    with serving(Application(), numthreads=2, max=4, prepare=enabled) as server:
        connection = connect(server.address)
        for _ in range(5):
            connection.request("GET", "/")
            connection.getresponse().read()
        connection.close()

        def number(name: str) -> Any:
            value = server.stats[name]
            return value(server.stats) if callable(value) else value

        until(lambda: server.requests.idle == 2, "all is counted")
        assert number("Requests") == 5
        assert number("Threads") == number("Threads Idle") == 2
        read = number("Bytes Read")
        assert 5 * 30 < read < 5 * 150
        threads = server.stats["Worker Threads"]
        assert list(threads) == ["pastepool worker 1", "pastepool worker 2", "workers that have ended"]
        server.requests.grow(2)
        until(lambda: server.requests.idle == 4, "four are idle")
        assert len(threads) == 5 and "pastepool worker 4" in threads
        server.requests.shrink(2)
        until(lambda: len(server.requests._threads) == 2, "two are gone")
        assert len(threads.keys()) == len(threads.values()) == len(dict(threads.items())) == 3
        assert number("Requests") == 5 and number("Bytes Read") == read
        entry = threads["workers that have ended"]
        assert entry["Read Throughput"](entry) >= 0 and entry["Write Throughput"](entry) >= 0


def test_gateway_that_is_no_wsgi_is_stamped_too() -> None:
    """A gateway of the user's own is a request as well."""
    from cheroot import server as servers

    titles: list[str] = []

    class Own(servers.Gateway):
        def respond(self) -> None:
            (worker,) = [each for each in self.req.server.requests.pool.workers if each.task is not None]
            titles.append(worker.task.title())
            self.req.simple_response("200 OK", "own")

    def own(server: Any) -> None:
        server.gateway = Own

    with serving(Application(), numthreads=1, max=1, prepare=own) as server:
        assert ask(server.address, "/page") == (200, b"own")
    assert titles == ["GET /page"]


def test_killed_request_is_closed() -> None:
    """PEP 3333: the iterable of a killed request is closed; and its response is cut if it had begun."""
    closed = threading.Event()

    def endless(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "10")])
        try:
            yield b"begun"
            while True:
                time.sleep(0.001)
        finally:
            closed.set()

    with serving(endless, numthreads=1, max=1, hung_thread_limit=0.2, kill_thread_limit=0.4) as server:
        connection = connect(server.address)
        connection.request("GET", "/")
        response = connection.getresponse()
        assert response.status == 200 and response.read(5) == b"begun"
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        assert closed.wait(WATCHDOG)
        connection.close()

"""TLS as clients meet it: versions, handshakes that do not end, plain text on its port, kills, drains, proxies."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from typing import IO, Any

import pytest

from tests.certificates import NAME, TlsClientSide, handshake, server_pem, trusting
from tests.server.conftest import Serve
from tests.server.serving import Client, Environ, Held, HeldAtLock, Running, path_echo, plain
from tests.waiting import WATCHDOG, until


def serving(serve: Serve, app: Any = path_echo, **options: object) -> Running:
    """A server whose only address speaks TLS."""
    return serve(app, **{"ssl_pem": server_pem(), **options})


def tell(environ: Environ, start_response: Any) -> list[bytes]:
    """An application whose answer is what it is told of TLS."""
    start_response("200 OK", [("Content-Type", "application/json")])
    keys = ("wsgi.url_scheme", "HTTPS", "REMOTE_ADDR", "SERVER_PORT")
    told = {key: environ.get(key) for key in keys}
    return [json.dumps({**told, **{key: environ[key] for key in environ if key.startswith("SSL_")}}).encode()]


def asked(sock: ssl.SSLSocket) -> bytes:
    """Ask on an open connection, and return the answer."""
    with sock:
        sock.sendall(b"GET /asked HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_both_versions_are_spoken(serve: Serve, version: str) -> None:
    """By the client of the standard library."""
    context = trusting()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    assert asked(handshake(serving(serve).port, context)).endswith(b"/asked")


def test_an_old_version_is_refused_and_the_client_is_told(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """The alert arrives, and the log has no more than a line at level info."""
    run = serving(serve, ssl_minimum_version="1.3")
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        handshake(run.port, context)
    until(lambda: "TLS failed: unsupported protocol" in caplog.text, "the log says so")
    until(lambda: run.connections == 0, "the connection is closed")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.parametrize(("offered", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)])
def test_only_http_1_1_is_agreed_on(serve: Serve, offered: list[str], chosen: str | None) -> None:
    """A client that offers nothing else gets nothing, and may go on or leave."""
    context = trusting()
    if offered:
        context.set_alpn_protocols(offered)
    with handshake(serving(serve).port, context) as sock:
        assert sock.selected_alpn_protocol() == chosen
        assert asked(sock).endswith(b"/asked")


def test_the_application_is_told(serve: Serve) -> None:
    """The scheme, and the keys of mod_ssl; a plain address beside it tells none of them."""
    run = serve(tell, listen="127.0.0.1:0 tls 127.0.0.1:0", ssl_pem=server_pem())
    with run.client() as client:
        for _ in range(2):
            told = json.loads(client.get().body)
            assert (told["wsgi.url_scheme"], told["HTTPS"]) == ("https", "on")
            assert told["SSL_PROTOCOL"] == "TLSv1.3"
            assert told["SSL_CIPHER"].startswith("TLS_")
            assert told["SERVER_PORT"] == str(run.port)
    with Client(run.server.listeners[1].endpoint.port) as client:
        told = json.loads(client.get().body)
        assert (told["wsgi.url_scheme"], told["HTTPS"]) == ("http", None)
        assert not [key for key in told if key.startswith("SSL_")]


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "DELETE / HTTP/1.1", "PROPFIND / HTTP/1.0"])
def test_a_client_that_speaks_http_is_told_of_tls(serve: Serve, request_line: str) -> None:
    """In plain text, before its request is complete."""
    run = serving(serve)
    with Client(run.port) as client:
        client.send(f"{request_line}\r\nHost".encode())
        response = client.response()
        assert (response.status, response.closes) == (400, True)
        assert b"This port speaks TLS" in response.body
        client.send(b": h\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.ended()
    until(lambda: run.connections == 0, "the connection is closed")


def test_two_requests_in_one_record_are_both_answered(serve: Serve) -> None:
    """Without a further byte of the client, and however their worker works."""
    with Held(path_echo, lambda environ: environ["PATH_INFO"] == "/1") as held, serving(serve, held).client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in (1, 2, 3)))
        held.await_calls()
        held.release()
        assert [client.response().body for _ in range(3)] == [b"/1", b"/2", b"/3"]


class Crowd:
    """Many clients of a TLS port of which none ever ends its handshake. ``sockets``: those that are open."""

    def __init__(self, port: int) -> None:
        self.sockets: list[socket.socket] = []
        self.port = port

    def join(self, count: int, first: bytes) -> None:
        """Let clients come that send ``first`` and nothing more."""
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", self.port), WATCHDOG)
            self.sockets.append(sock)
            if first:
                sock.sendall(first)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *exception: object) -> None:
        for sock in self.sockets:
            sock.close()


def hello() -> bytes:
    """The first message of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        trusting().wrap_bio(incoming, outgoing, server_hostname=NAME).do_handshake()
    return outgoing.read()


def test_clients_that_do_not_end_their_handshake_cost_nobody_anything(serve: Serve) -> None:
    """Silent ones, ones in the middle of a message, ones that wait for ever: the one worker serves others beside them."""
    run = serving(serve, header_timeout=0, threadpool_workers=1, threadpool_max_workers=1)
    with Crowd(run.port) as crowd:
        crowd.join(60, b"")
        crowd.join(30, hello()[:100])
        crowd.join(30, hello())
        with run.client() as client:
            for number in range(50):
                assert client.get(f"/{number}").body == b"/%d" % number
        until(lambda: run.connections == 120, "only the others are left")


def test_clients_that_do_not_end_their_handshake_are_closed(serve: Serve) -> None:
    """At header_timeout, however far they have come."""
    run = serving(serve, header_timeout="200ms")
    with Crowd(run.port) as crowd:
        for first in (b"", hello()[:100], hello()):
            crowd.join(5, first)
        for sock in crowd.sockets:
            with contextlib.suppress(ConnectionResetError):
                while sock.recv(65536):
                    pass
    until(lambda: run.connections == 0, "all are closed")


def test_time_for_the_handshake_counts_from_accept(serve: Serve) -> None:
    """Bytes that come one after the other give no more time."""
    run = serving(serve, header_timeout="1s")
    data = hello()
    with Crowd(run.port) as crowd:
        crowd.join(1, b"")
        (sock,) = crowd.sockets
        sock.settimeout(0.05)
        for byte in data:
            try:
                sock.sendall(bytes([byte]))
                if sock.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("the server waited for the whole message")


def test_handshakes_are_taken_a_few_at_a_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many clients come at once: between them the others have their turn, and all come to an end."""
    run = serving(serve, threadpool_workers=1)
    looks: list[int] = []
    shake, poll = run.server.parts.poller._welcoming._encrypting._turns, run.server.parts.poller._poll
    take = shake.take

    def counted() -> bool:
        taken = take()
        looks[-1:] = [looks[-1] + taken]
        return taken

    def look(until: float) -> bool:
        looks.append(0)
        return poll(until)

    looks.append(0)
    monkeypatch.setattr(run.server.parts.poller, "_poll", look)
    monkeypatch.setattr(shake, "take", counted)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", run.port), WATCHDOG)) for _ in range(40)]
        sides = [TlsClientSide(sock) for sock in socks]
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side._tls.do_handshake()
            side._send_out()
        for side in sides:
            side._until_done(side._tls.do_handshake)
            side.sendall(b"GET /here HTTP/1.1\r\nHost: h\r\n\r\n")
        for side in sides:
            assert b"200 OK" in side.recv(65536)
    assert max(looks) <= 4


def test_a_client_that_leaves_at_any_byte_of_the_handshake_leaves_nothing(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """No connection stays, and no line of the log is above level info."""
    run = serving(serve)
    for size in range(0, len(hello()) + 90, 7):
        sock = socket.create_connection(("127.0.0.1", run.port), WATCHDOG)
        side, left = TlsClientSide(sock), size
        with contextlib.suppress(ssl.SSLWantReadError):
            side._tls.do_handshake()
        data = side._outgoing.read()
        while data and left:
            sock.sendall(data[:left])
            left -= min(left, len(data))
            if left:
                side._incoming.write(sock.recv(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    side._tls.do_handshake()
                data = side._outgoing.read()
        sock.close()
    until(lambda: run.connections == 0, "all are closed")
    assert run.get("/after").body == b"/after"
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_a_hung_request_is_killed(serve: Serve) -> None:
    """Its client is told so over TLS, and TLS is ended in order."""
    app = HeldAtLock()
    with app:
        run = serving(serve, app, threadpool_hung_thread_limit="100ms", threadpool_kill_thread_limit="200ms")
        with run.client() as client:
            assert client.get("/hung").status == 504
            assert client.ended()
            assert client.sock.was_told_of_end
        app.release()


def test_a_request_that_is_killed_while_it_sends_is_cut(serve: Serve) -> None:
    """Its response has begun, so the client must not take it for complete: there is no end in order."""
    gate = threading.Event()

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"the beginning"
        for _ in range(10_000):
            gate.wait(0.01)

    run = serving(serve, app, threadpool_hung_thread_limit="100ms", threadpool_kill_thread_limit="200ms")
    with run.client() as client, pytest.raises((EOFError, ConnectionResetError)):
        client.get("/hung", version="1.1")
    with run.client() as client:
        client.ask("/hung", version="1.0")
        with pytest.raises(ConnectionResetError):
            client.rest()


def test_the_end_of_a_connection_is_said_in_tls(serve: Serve) -> None:
    """A client can tell that nothing was cut off. An answer to it is not waited for."""
    run = serving(serve, plain())
    with run.client() as client:
        assert client.get("/", "Connection: close").closes
        assert client.ended()
        assert client.sock.was_told_of_end
        until(lambda: run.connections == 0 or client.sock.raw.close() is not None, "it is closed")


def test_a_client_that_ends_tls_alone_is_answered(serve: Serve) -> None:
    """A close-notify without the end of its socket: what was asked before is answered, then the connection ends."""
    run = serving(serve)
    with run.client() as client:
        client.ask("/last")
        with contextlib.suppress(ssl.SSLError):
            client.sock._tls.unwrap()
        client.sock._send_out()
        data = b"".join(iter(lambda: client.sock.raw.recv(65536), b""))
        assert len(data) > 100
    until(lambda: run.connections == 0, "the connection is closed")


def test_a_client_for_whom_there_is_no_room_is_closed_without_plain_text(serve: Serve) -> None:
    """It could not read an answer before the handshake."""
    with Held() as held:
        run = serving(serve, held, connection_limit=1)
        with run.client() as client:
            client.ask("/held")
            held.await_calls()
            with pytest.raises((ssl.SSLEOFError, ConnectionError)):
                handshake(run.port)
            assert run.server.parts.shared.tally.totals([]).counters["turned_away"] == 1
            held.release()
            assert client.response().body == b"/held"


def test_tls_behind_a_header_of_the_proxy_protocol(serve: Serve) -> None:
    """The header comes first, in plain text; the handshake may come in the same packet or later."""
    run = serve(tell, listen="127.0.0.1:0 proxy tls", proxy_from="127.0.0.1", ssl_pem=server_pem())
    header = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"
    for first in (header, header[:10]):
        with socket.create_connection(("127.0.0.1", run.port), WATCHDOG) as sock:
            side = TlsClientSide(sock)
            sock.sendall(first)
            if first != header:
                sock.sendall(header[10:])
            side._until_done(side._tls.do_handshake)
            side.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            told = json.loads(side.rest().partition(b"\r\n\r\n")[2])
            assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("192.0.2.1", "https")
    with socket.create_connection(("127.0.0.1", run.port), WATCHDOG) as sock:
        side = TlsClientSide(sock)
        with contextlib.suppress(ssl.SSLWantReadError):
            side._tls.do_handshake()
        sock.sendall(header + side._outgoing.read())
        side._until_done(side._tls.do_handshake)
        side.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"192.0.2.1" in side.recv(65536)
    with socket.create_connection(("127.0.0.1", run.port), WATCHDOG) as sock:
        sock.sendall(header + b"GET / HTTP/1.1\r\n")
        assert b"This port speaks TLS" in b"".join(iter(lambda: sock.recv(65536), b""))
    until(lambda: run.connections == 0, "all are closed")
    assert list(run.server.parts.poller.proxy_refused.values()) == [0]


def test_a_drain_ends_idle_connections_and_those_in_a_handshake(serve: Serve) -> None:
    """A request that runs is answered over TLS."""
    with Held() as held:
        run = serving(serve, held)
        with run.client() as busy, run.client() as idle, Crowd(run.port) as crowd:
            crowd.join(3, b"")
            crowd.join(3, hello())
            busy.ask("/busy")
            held.await_calls()
            until(lambda: run.connections == 8, "all are there")
            run.server.stop()
            assert idle.ended() and idle.sock.was_told_of_end
            for sock in crowd.sockets:
                with contextlib.suppress(ConnectionResetError):
                    while sock.recv(65536):
                        pass
            held.release()
            response = busy.response()
            assert (response.body, response.closes) == (b"/busy", True)
        run.join()


def test_a_unix_socket_may_speak_tls(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> None:
    """As on an address of IP; the port is then that of https."""
    path = tmp_path_factory.mktemp("s") / "s"
    serve(tell, listen=f"127.0.0.1:0 unix:{path} tls", ssl_pem=server_pem())
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(WATCHDOG)
        raw.connect(str(path))
        with trusting().wrap_socket(raw, server_hostname=NAME) as sock:
            answer = asked(sock)
    assert b'"SERVER_PORT": "443"' in answer and b'"REMOTE_ADDR": ""' in answer


def test_a_client_that_closes_without_a_word_of_tls_is_no_error(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Many do so: between two requests, and in the middle of one."""
    run = serving(serve)
    for more in (b"", b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nfour"):
        with run.client() as client:
            assert client.get().status == 200
            if more:
                client.send(more)
        until(lambda: run.connections == 0, "the connection is closed")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_keys_are_changed_while_a_connection_is_open(serve: Serve) -> None:
    """A client of OpenSSL asks for new keys between two requests."""
    run = serving(serve)
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{run.port}", "-tls1_3"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        assert client.stdin is not None and client.stdout is not None
        for target in (b"/1", b"/2", b"/3"):
            client.stdin.write(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target)
            client.stdin.flush()
            await_words(client.stdout, b"\r\n\r\n" + target)
            client.stdin.write(b"K\n")
            client.stdin.flush()
            await_words(client.stdout, b"KEYUPDATE")
        client.stdin.write(b"Q\n")
        client.stdin.flush()
    until(lambda: run.connections == 0, "the connection is closed")


def await_words(output: IO[bytes], end: bytes) -> None:
    """Read what a program says up to some words."""
    said = b""
    while end not in said:
        data = os.read(output.fileno(), 65536)
        assert data, said
        said += data


@pytest.mark.parametrize("bad", [b"\xff", b"\n"])
def test_a_name_that_is_none_is_no_line_on_standard_error(
    serve: Serve, capfd: pytest.CaptureFixture[str], bad: bytes
) -> None:
    """The client is served or refused by OpenSSL; the standard library would print a traceback for each of them."""
    run = serving(serve)
    data = hello().replace(b"shop.example", b"shop.exampl" + bad)
    with socket.create_connection(("127.0.0.1", run.port), WATCHDOG) as sock:
        sock.sendall(data)
        sock.recv(100)
    until(lambda: run.connections == 0, "the connection is closed")
    assert "Exception ignored" not in capfd.readouterr().err

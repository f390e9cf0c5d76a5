"""Listeners with the word ``proxy``: real HAProxy and nginx in front, and clients that send no right header."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import TlsClientSide, server_pem
from tests.meta.repository import ROOT
from tests.server.fronts import ELSEWHERE, HAPROXY, NGINX, ClientElsewhere, Front, free_port
from tests.server.serving import Client, Held, Running, plain
from tests.waiting import until

Serve = Callable[..., Running]
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
LINE = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"
REQUEST = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"


def tell(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An application whose answer is what it is told of the client."""
    keys = ("REMOTE_ADDR", "REMOTE_PORT", "pastepool.peer", "wsgi.url_scheme")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({key: environ.get(key) for key in keys}).encode()]


def serving(serve: Serve, app: Any = tell, **options: object) -> Running:
    """A server on one address with ``proxy``."""
    return serve(app, **{"listen": "127.0.0.1:0 proxy", "proxy_from": "127.0.0.1", **options})


def refused(run: Running) -> list[int]:
    """How many connections were refused at each listener with ``proxy``."""
    return list(run.server.parts.poller.proxy_refused.values())


def asked_through(port: int) -> tuple[dict[str, Any], int]:
    """Ask a program in front from another address. Returns what the application saw, and the port of the client."""
    with ClientElsewhere(port) as client:
        for _ in range(2):
            answer: dict[str, Any] = json.loads(client.get().body)
        return answer, client.port


@pytest.mark.skipif(not Path(HAPROXY).exists(), reason="HAProxy is not installed")
@pytest.mark.parametrize("how", ["send-proxy-v2", "send-proxy", "send-proxy-v2-ssl"])
def test_behind_haproxy(serve: Serve, front: Front, folder: Path, how: str) -> None:
    """The configuration of the manual; both versions of the header."""
    run, port = serving(serve), free_port()
    text = (ROOT / "docs" / "how-to" / "files" / "haproxy.cfg").read_text(encoding="utf-8")
    text = text.replace("bind :80", f"bind 127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{run.port}")
    (folder / "haproxy.cfg").write_text(text.replace("send-proxy-v2", how))
    front([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], port)
    answer, client_port = asked_through(port)
    assert answer == {
        "REMOTE_ADDR": ELSEWHERE,
        "REMOTE_PORT": str(client_port),
        "pastepool.peer": "127.0.0.1",
        "wsgi.url_scheme": "http",
    }


@pytest.mark.skipif(not Path(HAPROXY).exists(), reason="HAProxy is not installed")
@pytest.mark.parametrize("how", ["send-proxy-v2", "send-proxy"])
def test_behind_haproxy_that_takes_ipv4_at_a_socket_of_ipv6(serve: Serve, front: Front, folder: Path, how: str) -> None:
    """It names such a client by an address of IPv6; the application sees that of IPv4."""
    run, port = serving(serve), free_port()
    (folder / "haproxy.cfg").write_text(
        "defaults\n    mode tcp\n    timeout client 30s\n    timeout server 30s\n    timeout connect 5s\n"
        f"listen shop\n    bind :::{port} v4v6\n    server one 127.0.0.1:{run.port} {how}\n"
    )
    front([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], port)
    answer, client_port = asked_through(port)
    assert (answer["REMOTE_ADDR"], answer["REMOTE_PORT"]) == (ELSEWHERE, str(client_port))


@pytest.mark.skipif(not Path(STREAM).exists(), reason="nginx has no stream module here")
def test_behind_nginx_stream(serve: Serve, front: Front, folder: Path) -> None:
    """``proxy_protocol on`` sends version 1; here over a unix socket, which needs no ``proxy_from``."""
    serve(tell, listen=f"127.0.0.1:0 unix:{folder}/s proxy mode=666")
    port = free_port()
    (folder / "nginx.conf").write_text(
        f"load_module {STREAM}; daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{ }}\n"
        f"stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass unix:{folder}/s; proxy_protocol on; }} }}\n"
    )
    front([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], port)
    answer, client_port = asked_through(port)
    assert (answer["REMOTE_ADDR"], answer["REMOTE_PORT"], answer["pastepool.peer"]) == (ELSEWHERE, str(client_port), "")


def test_a_header_byte_by_byte_and_requests_behind_it(serve: Serve) -> None:
    """Two requests that came with the header are both answered, without a further byte of the client."""
    run = serving(serve)
    with run.client() as client:
        for byte in LINE:
            client.send(bytes([byte]))
        client.send(REQUEST)
        assert json.loads(client.response().body)["REMOTE_ADDR"] == "192.0.2.1"
    with run.client() as client:
        client.send(LINE + REQUEST + REQUEST)
        assert [json.loads(client.response().body)["REMOTE_PORT"] for _ in range(2)] == ["4711", "4711"]


@pytest.mark.parametrize("tls", [False, True])
def test_a_refusal_names_the_client_and_the_balancer(serve: Serve, caplog: pytest.LogCaptureFixture, tls: bool) -> None:
    """An operator looks for the client; the balancer's address is that of all of them."""
    listen = {"listen": "127.0.0.1:0 proxy tls", "ssl_pem": server_pem()} if tls else {}
    with Client(serving(serve, **listen).port) as client:
        client.send(LINE)
        if tls:
            client.sock = TlsClientSide(client.sock)
            client.sock.shake()
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.response().status == 400
    assert "192.0.2.1 via 127.0.0.1: refused with 400: The request has no Host field." in caplog.messages


def test_a_client_over_tls_and_a_health_check(serve: Serve) -> None:
    """Version 2: an extra value says that the client spoke TLS; LOCAL keeps the real peer."""
    run = serving(serve)
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    extra = b"\x20\x00\x05\x01\0\0\0\0"
    addresses = bytes([192, 0, 2, 1, 10, 0, 0, 1]) + struct.pack("!HH", 4711, 443)
    with run.client() as client:
        client.send(signature + b"\x21\x11" + struct.pack("!H", len(addresses + extra)) + addresses + extra + REQUEST)
        assert json.loads(client.response().body)["wsgi.url_scheme"] == "https"
    with run.client() as client:
        client.send(signature + b"\x20\x00\x00\x00" + REQUEST)
        told = json.loads(client.response().body)
        assert (told["REMOTE_ADDR"], told["REMOTE_PORT"], told["pastepool.peer"]) == (
            "127.0.0.1",
            str(client.port),
            None,
        )


@pytest.mark.parametrize(
    "data",
    [REQUEST, b"PROXY " + b"x" * 102, b"\x16\x03\x01\x02", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"],
    ids=["none", "too long", "TLS", "length 65535"],
)
def test_a_client_without_a_right_header_is_closed_unanswered(
    serve: Serve, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """No worker is used; one line a minute has the number."""
    with Held(plain()) as held:
        run = serving(serve, held)
        for _ in range(5):
            with run.client() as client:
                client.send(data)
                assert closes_without_answer(client.sock)
        until(lambda: refused(run) == [5], "five were counted")
        assert held.paths == []
    lines = [record.getMessage() for record in caplog.records if "without a right PROXY header" in record.getMessage()]
    assert len(lines) == 1 and re.match(
        r"127\.0\.0\.1:\d+: 1 connection without a right PROXY header closed; the last from 127", lines[0]
    )


def closes_without_answer(sock: socket.socket) -> bool:
    """Say whether the server closes a connection and has sent nothing on it."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_client_that_sends_nothing_is_closed_after_a_while(serve: Serve) -> None:
    """``proxy_timeout`` counts from accept, whatever comes byte by byte; then the time for the request begins."""
    run = serving(serve, proxy_timeout="100ms")
    with run.client() as silent, run.client() as slow:
        slow.send(LINE[:20])
        assert closes_without_answer(silent.sock) and closes_without_answer(slow.sock)
    until(lambda: refused(run) == [2], "both were counted")
    with run.client() as client:
        client.send(LINE)
        until(lambda: run.connections == 1, "the connection is open")
        connection = next(iter(run.server.parts.poller.connections.values()))
        until(lambda: connection.deadline - connection.began_at > 1.0, "the deadline is that of the request")
        client.send(REQUEST)
        assert client.response().status == 200


def test_a_peer_that_may_not_send_a_header_is_closed(serve: Serve) -> None:
    """It cannot choose an address."""
    run = serving(serve, proxy_from="192.0.2.0/24")
    with run.client() as client:
        assert closes_without_answer(client.sock)
    until(lambda: refused(run) == [1], "it was counted")


def test_a_header_where_none_is_expected_is_no_request(serve: Serve) -> None:
    """A listener without the word answers 400."""
    run = serve(tell)
    with run.client() as client:
        client.send(LINE + REQUEST)
        assert client.response().status == 400


def test_refused_headers_are_counted_for_each_listener(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """By its address; each has its own line in the log. One without ``proxy`` is not there."""
    run = serving(serve, listen="127.0.0.1:0 proxy\n127.0.0.1:0 proxy backlog=5\n127.0.0.1:0")
    ports = [listener.endpoint.port for listener in run.server.listeners]
    for port in (ports[0], ports[1], ports[1]):
        with Client(port) as client:
            client.send(REQUEST)
            assert closes_without_answer(client.sock)
    counted = {f"127.0.0.1:{ports[0]}": 1, f"127.0.0.1:{ports[1]}": 2}
    until(lambda: run.server.parts.poller.proxy_refused == counted, "each has its own count")
    lines = [record.getMessage().partition(": ")[0] for record in caplog.records if "PROXY" in record.getMessage()]
    assert sorted(lines) == sorted(counted)

"""
The same file and the same requests, with waitress and with pastepool: the application and the client see the same.

What differs on purpose is in ``DIFFERENT``, and in the manual (docs/how-to/replace-waitress.md).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadwsgi
from waitress import wasyncore
from waitress.server import create_server

from pastepool.server import Server
from pastepool.settings import read
from pastepool.settings.dialect import WAITRESS
from tests.meta.repository import ROOT
from tests.server.serving import Client, Response, Running
from tests.waiting import WATCHDOG

DIFFERENT = {
    "GATEWAY_INTERFACE",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_SOFTWARE",
}
"""Keys of environ that one of the two does not set, or sets to something of its own. REMOTE_PORT is the client's."""


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Return the environ as JSON; fail on request."""
    if environ["PATH_INFO"].endswith("/fails"):
        raise RuntimeError("a failure that the client may see")
    if environ["PATH_INFO"] == "/too/long":
        start_response("200 OK", [("Content-Length", "3")])
        return [b"four"]
    body = environ["wsgi.input"].read()
    told = {key: value for key, value in environ.items() if isinstance(value, str)}
    text = json.dumps({"environ": told, "body": body.decode("latin-1")}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


def options_of(lines: str, use: str, folder: Path) -> dict[str, Any]:
    """What Paste Deploy passes to a server for a section."""
    path = folder / "app.ini"
    path.write_text(f"[server:main]\nuse = {use}\n{lines}\n", encoding="utf-8")
    context: Any = loadwsgi.loadcontext(loadwsgi.SERVER, f"config:{path}")
    return dict(context.local_conf)


@contextlib.contextmanager
def waitress_running(lines: str, folder: Path, app: Any = application) -> Iterator[list[Any]]:
    """Serve with waitress, and yield the names of the sockets that listen."""
    sockets: dict[Any, Any] = {}
    server = create_server(app, map=sockets, **options_of(lines, "egg:waitress#main", folder))
    thread = threading.Thread(target=server.run, name="waitress")
    thread.start()
    listening = [each for each in list(sockets.values()) if getattr(each, "accepting", False)]
    try:
        yield [each.socket.getsockname() for each in listening]
    finally:
        stopped = threading.Event()

        def stop() -> None:
            server.task_dispatcher.shutdown()
            wasyncore.close_all(sockets)
            stopped.set()

        trigger = next(each for each in sockets.values() if hasattr(each, "pull_trigger") and hasattr(each, "thunks"))
        trigger.pull_trigger(stop)
        assert stopped.wait(WATCHDOG)
        thread.join(WATCHDOG)


@contextlib.contextmanager
def pastepool_running(lines: str, folder: Path, app: Any = application) -> Iterator[list[Any]]:
    """Serve with pastepool, and yield the names of the sockets that listen."""
    settings = read(options_of(lines, "egg:pastepool#main", folder), dialect=WAITRESS)
    run = Running(app, {}, Server(settings, app)).start()
    try:
        yield [listener.socket.getsockname() for listener in run.server.listeners]
    finally:
        run.stop()


@contextlib.contextmanager
def waitress(lines: str, folder: Path) -> Iterator[int]:
    """Serve with waitress, and yield the port."""
    with waitress_running(lines, folder) as names:
        yield names[0][1]


@contextlib.contextmanager
def pastepool(lines: str, folder: Path) -> Iterator[int]:
    """Serve with pastepool, and yield the port."""
    with pastepool_running(lines, folder) as names:
        yield names[0][1]


def answers(server: Callable[..., Any], lines: str, folder: Path, asked: list[dict[str, Any]]) -> list[Response]:
    """Send requests to a server, each on a connection of its own."""
    found = []
    with server(lines, folder) as port:
        for request in asked:
            with Client(port) as client:
                found.append(client.get(*request.get("args", ()), **request.get("options", {})))
    return found


def both(lines: str, folder: Path, *asked: dict[str, Any]) -> tuple[list[Response], list[Response]]:
    """What waitress and what pastepool answer to the same requests, with the same lines in the file."""
    lines = f"listen = 127.0.0.1:0\n{lines}"
    return answers(waitress, lines, folder, list(asked)), answers(pastepool, lines, folder, list(asked))


def told(response: Response) -> dict[str, Any]:
    """The environ that the application saw, without what differs on purpose."""
    seen: dict[str, Any] = json.loads(response.body)
    ours = {key for key in seen["environ"] if key.startswith("pastepool.")}
    environ = {key: value for key, value in seen["environ"].items() if key not in DIFFERENT | ours}
    if environ.get("CONTENT_LENGTH") == "0":
        environ.pop("CONTENT_LENGTH")
    if environ.get("CONTENT_TYPE") == "":
        environ.pop("CONTENT_TYPE")
    return {**environ, "body": seen["body"]}


REQUESTS: list[dict[str, Any]] = [
    {"args": ("/",)},
    {"args": ("/a%20b/%C3%A9?q=%20&r", "X-One: 1", "X-One: 2")},
    {"args": ("/shop",)},
    {"args": ("/shop/a?b=c",)},
    {"args": ("/shopping",)},
    {"args": ("/post", "Content-Type: text/plain"), "options": {"method": "POST", "body": b"content"}},
    {"args": ("/old",), "options": {"version": "1.0"}},
]


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "threads = 1\nbacklog = 64\nconnection_limit = 50\nchannel_timeout = 30",
        "url_scheme = https",
        "url_prefix = /shop",
        "url_prefix = shop/\nurl_scheme = https",
        "inbuf_overflow = 4\noutbuf_high_watermark = 10\noutbuf_overflow = 20",
        "recv_bytes = 100\ncleanup_interval = 10\nasyncore_loop_timeout = 1\nlog_socket_errors = false",
    ],
)
def test_application_is_told_the_same(lines: str, tmp_path: Path) -> None:
    """For each file, the environ of each request is the same, but for keys that differ on purpose."""
    there, here = both(lines, tmp_path, *REQUESTS)
    assert [response.status for response in there] == [200] * len(REQUESTS)
    assert [told(response) for response in here] == [told(response) for response in there]


@pytest.mark.parametrize("value", ["Shop 1", ""])
def test_ident_is_the_server_field(value: str, tmp_path: Path) -> None:
    """A name is sent as it is; a blank one is no field at all."""
    (there,), (here,) = both(f"ident = {value}", tmp_path, REQUESTS[0])
    assert here.fields.get("server") == there.fields.get("server") == (value or None)


def test_server_name_is_told(tmp_path: Path) -> None:
    """``server_name`` is SERVER_NAME."""
    for (response,) in both("server_name = shop.example", tmp_path, REQUESTS[0]):
        assert json.loads(response.body)["environ"]["SERVER_NAME"] == "shop.example"


@pytest.mark.parametrize(("exposed", "seen"), [("true", True), ("false", False)])
def test_traceback_is_shown_only_where_asked_for(exposed: str, seen: bool, tmp_path: Path) -> None:
    """The answer to a failure has the traceback with ``expose_tracebacks``, and not without."""
    for (response,) in both(f"expose_tracebacks = {exposed}", tmp_path, {"args": ("/fails",)}):
        assert response.status == 500
        assert (b"a failure that the client may see" in response.body) is seen
        assert (b"Traceback" in response.body) is seen


@pytest.mark.parametrize(("size", "status"), [(9, 200), (10, 413), (11, 413)])
def test_body_of_just_the_limit_is_refused(size: int, status: int, tmp_path: Path) -> None:
    """``max_request_body_size = n`` refuses n itself."""
    asked = {"args": ("/",), "options": {"method": "POST", "body": b"x" * size}}
    (there,), (here,) = both("max_request_body_size = 10", tmp_path, asked)
    assert here.status == there.status == status


def test_header_above_the_limit_is_refused(tmp_path: Path) -> None:
    """``max_request_header_size`` is a limit on all of the header: 431."""
    lengths = {9000: 200, 11000: 431}
    there, here = both(
        "max_request_header_size = 10000", tmp_path, *({"args": ("/", "X-Long: " + "x" * length)} for length in lengths)
    )
    for answered in (there, here):
        assert [response.status for response in answered] == list(lengths.values())


def test_several_addresses_are_listened_on(tmp_path: Path) -> None:
    """Each address of ``listen`` answers, of both IP families."""
    lines = "listen = 127.0.0.1:0 127.0.0.2:0 [::1]:0"
    settings = read(options_of(lines, "egg:pastepool#main", tmp_path), dialect=WAITRESS)
    run = Running(application, {}, Server(settings, application)).start()
    try:
        endpoints = [listener.endpoint for listener in run.server.listeners]
        assert [endpoint.host for endpoint in endpoints] == ["127.0.0.1", "127.0.0.2", "::1"]
        for endpoint in endpoints:
            connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=WATCHDOG)
            with contextlib.closing(connection):
                connection.request("GET", "/")
                assert connection.getresponse().status == 200
    finally:
        run.stop()


HEAD = b" HTTP/1.1\r\nHost: a\r\n"
CONTENT = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
DIFFERENCES: list[tuple[str, bytes, list[int], list[int]]] = [
    ("no `Host` in HTTP/1.1", b"GET / HTTP/1.1\r\n\r\n", [200], [400]),
    ("two of them", b"GET /" + HEAD + b"Host: b\r\n\r\n", [200], [400]),
    ("or one that is no host", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", [200], [400]),
    (
        "`Content-Length` beside `Transfer-Encoding`",
        b"POST /" + HEAD + b"Content-Length: 3\r\n" + CONTENT,
        [200],
        [400],
    ),
    ("`Transfer-Encoding` in HTTP/1.0", b"POST / HTTP/1.0\r\n" + CONTENT, [200], [400]),
    ("a header field that goes on in the next line", b"GET /" + HEAD + b"A: b\r\n c\r\n\r\n", [200], [400]),
    ("lines of the header that end in LF alone", b"GET / HTTP/1.1\nHost: a\n\n", [], [400]),
    ("a version other than 1.1 and 1.0", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", [200], [505]),
    ("a target that is no path and no URL of http", b"GET a" + HEAD + b"\r\n", [200], [400]),
    ("or has a `#`", b"GET /a#b" + HEAD + b"\r\n", [200], [400]),
    ("`CONNECT`", b"CONNECT a:80" + HEAD + b"\r\n", [200], [501]),
    ("more than 100 header fields", b"GET /" + HEAD + b"A: b\r\n" * 101 + b"\r\n", [200], [431]),
    ("a target above 8 KiB", b"GET /" + b"a" * 8192 + HEAD + b"\r\n", [200], [414]),
    ("an `Expect` other than `100-continue`", b"GET /" + HEAD + b"Expect: a\r\n\r\n", [200], [417]),
    ("longer or shorter than the application's", b"GET /too/long" + HEAD + b"\r\n", [200], [500]),
]
"""Words of the manual's table, a request, and the statuses that waitress and pastepool answer."""


def statuses(server: Callable[..., Any], folder: Path) -> list[list[int]]:
    """What a server answers to each of ``DIFFERENCES``, until it ends the connection."""
    found = []
    with server("listen = 127.0.0.1:0", folder) as port:
        for _, request, _, _ in DIFFERENCES:
            with contextlib.closing(socket.create_connection(("127.0.0.1", port), WATCHDOG)) as sock:
                sock.sendall(request)
                sock.shutdown(socket.SHUT_WR)
                with sock.makefile("rb") as stream:
                    answered = stream.read()
            found.append([int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", answered)])
    return found


def test_what_is_answered_in_another_way_stands_in_the_manual(tmp_path: Path) -> None:
    """Each row of the manual's table about requests is true of both servers."""
    page = (ROOT / "docs" / "how-to" / "replace-waitress.md").read_text(encoding="utf-8")
    assert [words for words, *_ in DIFFERENCES if words not in page] == []
    assert statuses(waitress, tmp_path) == [there for _, _, there, _ in DIFFERENCES]
    assert statuses(pastepool, tmp_path) == [here for _, _, _, here in DIFFERENCES]


@pytest.mark.parametrize(
    ("words", "lines", "fields", "key", "there", "here"),
    [
        ("`url_prefix = /`", "url_prefix = /", ("/",), "SCRIPT_NAME", "/", ""),
        ("a URL as target", "", ("http://shop.example",), "HTTP_HOST", "example.org", "shop.example"),
        ("a header field `Proxy`", "", ("/", "Proxy: a"), "HTTP_PROXY", "a", None),
        ("several `Cookie` lines", "", ("/", "Cookie: a=1", "Cookie: b=2"), "HTTP_COOKIE", "a=1, b=2", "a=1; b=2"),
        (
            "the form in which a socket of IPv6 has an IPv4 address",
            "trusted_proxy = 127.0.0.1\ntrusted_proxy_headers = x-forwarded-for",
            ("/", "X-Forwarded-For: ::ffff:192.0.2.1"),
            "REMOTE_ADDR",
            "::ffff",
            "192.0.2.1",
        ),
        (
            "the form in which a socket of IPv6 has an IPv4 address",
            "trusted_proxy = 127.0.0.1\ntrusted_proxy_headers = forwarded",
            ("/", 'Forwarded: for="[::ffff:192.0.2.1]:4711"'),
            "REMOTE_ADDR",
            "::ffff:192.0.2.1",
            "192.0.2.1",
        ),
        ("a path that begins with `//`", "", ("//a",), "PATH_INFO", "/a", "//a"),
    ],
)
def test_what_is_told_in_another_way_stands_in_the_manual(
    words: str, lines: str, fields: tuple[str, ...], key: str, there: str, here: str | None, tmp_path: Path
) -> None:
    """Each row of the manual's table about the environ is true of both servers."""
    assert words in (ROOT / "docs" / "how-to" / "replace-waitress.md").read_text(encoding="utf-8")
    (theirs,), (ours,) = both(lines, tmp_path, {"args": fields})
    assert (told(theirs).get(key), told(ours).get(key)) == (there, here)


FORWARDED = [
    ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example"),
    ("X-Forwarded-For: spoofed", "X-Forwarded-For: 192.0.2.1:4711", "X-Forwarded-Port: 8443"),
    ('Forwarded: for="[2001:db8::1]";proto=https;host=shop.example',),
    ("X-Forwarded-Proto: https,http",),
    ("X-Forwarded-For: [::1",),
    ("X-Forwarded-For: 2001:db8::1, [2001:db8::2]",),
]


@pytest.mark.filterwarnings("ignore:No proxy headers were marked as trusted:DeprecationWarning")
@pytest.mark.parametrize(
    "trust",
    [
        "",
        "clear_untrusted_proxy_headers = false",
        "trusted_proxy = 10.0.0.1",
        "trusted_proxy = 127.0.0.1",
        "trusted_proxy = *\ntrusted_proxy_headers = x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port",
        "trusted_proxy = 127.0.0.1\ntrusted_proxy_headers = forwarded\ntrusted_proxy_count = 2",
        "trusted_proxy = 127.0.0.1\ntrusted_proxy_headers = x-forwarded-for\nlog_untrusted_proxy_headers = true",
    ],
)
def test_proxy_is_believed_the_same(trust: str, tmp_path: Path) -> None:
    """A trusted proxy is believed, other fields are removed and nonsense is answered 400, all as in waitress."""
    there, here = both(trust, tmp_path, *({"args": ("/", *fields)} for fields in FORWARDED))
    assert [response.status for response in here] == [response.status for response in there]
    for ours, theirs in zip(here, there, strict=True):
        if ours.status == 200:
            assert told(ours) == told(theirs)

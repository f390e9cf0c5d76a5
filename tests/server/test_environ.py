"""What an application finds in its environ under the real server, and that it is WSGI to the letter."""

from __future__ import annotations

import io
import socket
import sys
import threading
import wsgiref.validate
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

import pastepool
from pastepool.runtime.watching.paste_pool import PastePool
from tests.server.conftest import Serve
from tests.server.serving import Environ, path_echo
from tests.waiting import WATCHDOG, until


@pytest.fixture
def seen() -> dict[str, Any]:
    """The environ of the last call."""
    return {}


@pytest.fixture
def spy(seen: dict[str, Any]) -> Callable[..., Any]:
    """An application that keeps its environ."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        seen.clear()
        seen.update(environ)
        seen["read"] = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"ok"]

    return app


@pytest.mark.parametrize("method", ["FOO", "VERSION-CONTROL", "get", "PAUSE", "GETS", "!#$%&'*+-.^_`|~"])
def test_any_token_is_a_method(method: str, serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]) -> None:
    """Known to the parser or not, the application decides about it; the connection goes on."""
    run = serve(spy)
    with run.client() as client:
        for content in (b"", b"content"):
            head = f"{method} /x?y HTTP/1.1\r\nHost: h\r\nContent-Length: {len(content)}\r\n\r\n"
            client.send(head.encode() + content)
            assert client.response().status == 200
            assert (seen["REQUEST_METHOD"], seen["PATH_INFO"], seen["QUERY_STRING"]) == (method, "/x", "y")
            assert seen["read"] == content


def test_keys_of_cgi_and_wsgi(serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]) -> None:
    """Every key PEP 3333 names, as native strings."""
    run = serve(spy)
    with run.client() as client:
        client.get("/p%C3%A4th/a%2Fb?q=%20x&y", "X-Custom: 1", "X-Custom: 2", "Cookie: a=1", "Cookie: b=2")
        expected = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/p\xc3\xa4th/a/b",
            "QUERY_STRING": "q=%20x&y",
            "REQUEST_URI": "/p%C3%A4th/a%2Fb?q=%20x&y",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(run.port),
            "SERVER_SOFTWARE": f"pastepool/{pastepool.__version__}",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": str(client.port),
            "CONTENT_TYPE": "",
            "CONTENT_LENGTH": "0",
            "HTTP_HOST": "example.org",
            "HTTP_X_CUSTOM": "1, 2",
            "HTTP_COOKIE": "a=1; b=2",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }
        assert {key: seen[key] for key in expected} == expected
        assert {type(value) for key, value in seen.items() if key.isupper()} == {str}


def test_content_and_its_keys(serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]) -> None:
    """Content-Type and Content-Length stand without HTTP_, as CGI has them."""
    serve(spy).get("/", "Content-Type: text/x; charset=utf-8", method="POST", body=b"12345", version="1.0")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"], seen["read"]) == ("text/x; charset=utf-8", "5", b"12345")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_HOST"} & set(seen)
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_what_could_be_spoofed_is_not_there(serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]) -> None:
    """Names with an underscore and ``Proxy`` are dropped; no client can set a key that is not HTTP_ something."""
    lines = ["X_Forwarded_For: evil", "Proxy: http://evil", "Remote-Addr: 6.6.6.6", "X-Real: yes"]
    serve(spy).get("/", *lines)
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_PROXY"} & set(seen)
    assert (seen["REMOTE_ADDR"], seen["HTTP_REMOTE_ADDR"], seen["HTTP_X_REAL"]) == ("127.0.0.1", "6.6.6.6", "yes")


def test_keys_that_third_parties_read(serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]) -> None:
    """Paste's pool under Paste's name, showing the very thread that runs the request; our own callables beside it."""
    found: dict[str, Any] = {}

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        pool = environ["paste.httpserver.thread_pool"]
        ident = threading.get_ident()
        found["pool"] = pool
        found["tracked"] = pool.worker_tracker[ident][1] is environ
        found["thread_id"] = threading.current_thread().thread_id == ident  # type: ignore[attr-defined]
        found["states"] = {state: len(threads) for state, threads in pool.track_threads().items()}
        return spy(environ, start_response)

    serve(app, threadpool_workers=3).get("/")
    assert isinstance(found["pool"], PastePool)
    assert found["tracked"] and found["thread_id"]
    assert found["states"] == {"idle": 2, "busy": 1, "hung": 0, "dying": 0, "zombie": 0}
    assert seen["pastepool.client_gone"]() is True or seen["pastepool.client_gone"]() is False
    assert callable(seen["pastepool.kill_after"]) and callable(seen["pastepool.on_cancel"])


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "GET / HTTP/1.0"])
def test_ipv4_client_of_an_ipv6_socket_is_shown_as_ipv4(
    line: str, serve: Serve, spy: Callable[..., Any], seen: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One address in the environ, in the access log and in the limit per address: not ``::ffff:127.0.0.1``."""
    run = serve(spy, host="::", access_log="true", connection_limit_per_address=2)
    with run.client() as first:
        first.send(f"{line}\r\nHost: a\r\n\r\n".encode())
        assert first.response().status == 200
        assert (seen["REMOTE_ADDR"], seen["SERVER_NAME"]) == ("127.0.0.1", "[::]")
    until(lambda: any(text.startswith("127.0.0.1 - - ") for text in caplog.messages), "the access line is written")
    assert "::ffff:" not in caplog.text


def test_server_name_of_an_ipv6_address_has_brackets(
    serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]
) -> None:
    """RFC 3875 4.1.14, so that a URL made of SERVER_NAME and SERVER_PORT is right; REMOTE_ADDR has none (4.1.8)."""
    run = serve(spy, host="::1")
    with socket.create_connection(("::1", run.port), WATCHDOG) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert (seen["SERVER_NAME"], seen["REMOTE_ADDR"]) == ("[::1]", "::1")


def test_tasks_of_others_run_in_the_pool(serve: Serve) -> None:
    """``add_task`` runs a callable on a worker, and is refused when the pool is full (contract F1, F4)."""
    run = serve(path_echo)
    done = threading.Event()
    names: list[str] = []

    def task() -> None:
        names.append(threading.current_thread().name)
        done.set()

    run.server.parts.paste_pool.add_task(task)
    assert done.wait(WATCHDOG)
    assert names[0].startswith("pastepool worker ")


def test_each_request_has_an_environ_of_its_own(serve: Serve) -> None:
    """What one request puts into its environ the next one does not find, on the same connection."""

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        found = environ.get("mine", "nothing")
        environ["mine"] = environ["SCRIPT_NAME"] = "something"
        return [found.encode(), environ["HTTP_HOST"].encode()]

    with serve(app).client() as client:
        assert [client.get("/").body for _ in range(3)] == [b"nothingexample.org"] * 3


def test_errors_go_to_standard_error(serve: Serve, spy: Callable[..., Any], seen: dict[str, Any]) -> None:
    """``wsgi.errors`` is the process's own stream, so that what is written there lands where the log does."""
    serve(spy).get("/")
    assert seen["wsgi.errors"] is sys.stderr


class Closing:
    """An iterable that says when it was closed."""

    def __init__(self, pieces: Iterable[bytes], closed: list[bool]) -> None:
        self._pieces = iter(pieces)
        self._closed = closed

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        self._closed.append(True)


def answers(closed: list[bool]) -> dict[str, Callable[[Environ, Callable[..., Any]], Any]]:
    """Ways to answer that PEP 3333 allows, by path."""

    def whole(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
        return [b"whole"]

    def streamed(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Closing([b"str", b"", b"eamed"], closed)

    def generated(environ: Environ, start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"gen"
        yield b"erated"

    def written(environ: Environ, start_response: Callable[..., Any]) -> Any:
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"writ")
        write(b"ten")
        return []

    def file(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"), 2)

    def echo(environ: Environ, start_response: Callable[..., Any]) -> Any:
        content = environ["wsgi.input"]
        pieces = [content.read(2), content.readline(), *content.readlines(), content.read(10)]
        start_response("200 OK", [("Content-Type", "text/plain")])
        return pieces

    def second_thought(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            raise ValueError("changed my mind")
        except ValueError:
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
        return [b"second thought"]

    def nothing(environ: Environ, start_response: Callable[..., Any]) -> Any:
        start_response("304 Not Modified", [("ETag", '"x"')])
        return []

    return {
        f"/{app.__name__}": app for app in (whole, streamed, generated, written, file, echo, second_thought, nothing)
    }


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_validator_finds_nothing(serve: Serve, version: str) -> None:
    """``wsgiref.validate`` between server and application has no complaint, whatever the way to answer."""
    closed: list[bool] = []
    apps = answers(closed)

    def app(environ: Environ, start_response: Callable[..., Any]) -> Any:
        return apps[environ["PATH_INFO"]](environ, start_response)

    run = serve(wsgiref.validate.validator(app))
    expected = {"/echo": b"one\ntwo\nthree", "/second_thought": b"second thought", "/nothing": b""}
    for path in apps:
        body = b"one\ntwo\nthree" if path == "/echo" else b""
        for method in ("POST",) if body else ("GET", "HEAD"):
            response = run.get(path, method=method, body=body, version=version)
            wanted = expected.get(path, path[1:].encode())
            assert response.body == (b"" if method == "HEAD" else wanted), (path, method)
    assert closed == [True, True]

"""Requests as environs, to the letter of PEP 3333."""

from __future__ import annotations

import io
import sys
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pastepool.wsgi.environ import connection_prototype, listener_prototype, unescaped
from pastepool.wsgi.file_wrapper import FileWrapper
from tests.wsgi.recording import GET, OLD, environ_of


def environ(line: str, *fields: bytes, content: bytes = b"") -> dict[str, Any]:
    """The environ of one request."""
    lines = [line.encode("latin-1"), b"Host: a", *fields]
    return environ_of(b"\r\n".join(lines) + b"\r\n\r\n" + content)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b", "/a/b", ""),
        ("/a?b=c", "/a", "b=c"),
        ("/a?", "/a", ""),
        ("/a?b?c", "/a", "b?c"),
        ("/?%20%C3%A9+", "/", "%20%C3%A9+"),
        ("/%C3%A9", "/\xc3\xa9", ""),
        ("/%E9", "/\xe9", ""),
        ("/%e2%82%ac", "/\xe2\x82\xac", ""),
        ("/a%2Fb", "/a/b", ""),
        ("/a%3Fb?c", "/a?b", "c"),
        ("/%25%32%35", "/%25", ""),
        ("/%", "/%", ""),
        ("/%zz%4", "/%zz%4", ""),
        ("/" + "%41" * 20, "/" + "A" * 20, ""),
        ("/" + "%" * 20, "/" + "%" * 20, ""),
        ("/" + "%" * 21 + "41", "/" + "%" * 20 + "A", ""),
        ("/" + "%4g%e9\\" * 20, "/" + "%4g\xe9\\" * 20, ""),
        ("/" + "%5c%\\x41\\u0041" * 20, "/" + "\\%\\x41\\u0041" * 20, ""),
        ("/%00", "/\x00", ""),
        ("/a+b", "/a+b", ""),
        ("//a//b/", "//a//b/", ""),
        ("/a/../b/./c", "/a/../b/./c", ""),
        ("/%2e%2e/", "/../", ""),
        ("/;p=1", "/;p=1", ""),
        ("http://b.example/c%20d?e", "/c d", "e"),
        ("http://b.example", "/", ""),
        ("http://b.example?e", "/", "e"),
    ],
)
def test_path_is_decoded_once_to_latin_1_and_the_query_not_at_all(target: str, path: str, query: str) -> None:
    """PATH_INFO is the decoded path, byte for byte as latin-1; nothing in it is normalised; QUERY_STRING stays raw."""
    got = environ(f"GET {target} HTTP/1.1")
    assert (got["PATH_INFO"], got["QUERY_STRING"]) == (path, query)
    assert got["REQUEST_URI"] == target
    assert got["SCRIPT_NAME"] == ""


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    st.text("%%%%4125aAfFgz/ _=\\x\x00\r\n!\xe9", min_size=0, max_size=60),
    st.sampled_from(["", "%41" * 401, "%" * 401, "%3D%5C%00%" * 101, "%41=" * 401, "%41=\\\\" * 401]),
)
def test_many_escapes_are_undone_as_few_are(path: str, more: str) -> None:
    """Whole, broken and nested escapes, backslashes and all: what takes one step for all gives what single steps give."""
    for raw in ((path + more).encode("latin-1"), (more + path).encode("latin-1")):
        assert unescaped(raw) == unquote_to_bytes(raw).decode("latin-1")


@pytest.mark.parametrize("line_break", [b"\r", b"\n", b"\r\n", b"\n\r", b" \n"])
def test_line_break_behind_a_percent_sign_is_kept(line_break: bytes) -> None:
    """The decoder of quoted-printable would drop both. No request has one in its target, but callers may."""
    for raw in (b"a%" + line_break + b"b%41", b"%41%" + line_break, b"%4" + line_break + b"1"):
        assert unescaped(raw) == unquote_to_bytes(raw).decode("latin-1")


@pytest.mark.parametrize("escape", [b"%41", b"%", b"%z", b"%4z", b"%41%", b"%5c", b"%41=", b"%41=\\"])
def test_thousands_of_escapes_take_no_step_each(escape: bytes) -> None:
    """Whole or broken, they cost no step of ours each: what is counted are calls, which no busy machine changes."""
    calls: list[str] = []
    ours = sys.modules[unescaped.__module__].__file__  # not what the collector of garbage calls meanwhile
    path = b"/" + escape * (8000 // len(escape))
    sys.setprofile(lambda frame, event, _: calls.append(event) if frame.f_code.co_filename == ours else None)
    try:
        unescaped(path)
    finally:
        sys.setprofile(None)
    assert 3 < len(calls) < 60


def test_options_asterisk_is_its_path() -> None:
    """The asterisk form is the path."""
    assert environ("OPTIONS * HTTP/1.1")["PATH_INFO"] == "*"


def test_host_of_an_absolute_target_replaces_the_field() -> None:
    """RFC 9112 3.2.2: the Host field is ignored where the target names one."""
    assert environ("GET http://b.example:81/ HTTP/1.1")["HTTP_HOST"] == "b.example:81"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PROPFIND"])
def test_method_is_passed_on(method: str) -> None:
    """REQUEST_METHOD is what the client sent."""
    assert environ(f"{method} / HTTP/1.1")["REQUEST_METHOD"] == method


@pytest.mark.parametrize(("data", "protocol"), [(GET, "HTTP/1.1"), (OLD, "HTTP/1.0")])
def test_protocol_is_the_request_s(data: bytes, protocol: str) -> None:
    """SERVER_PROTOCOL is the version of the request (RFC 3875 4.1.16)."""
    assert environ_of(data)["SERVER_PROTOCOL"] == protocol


def test_fields_become_keys() -> None:
    """Fields are HTTP_ keys, but for CGI's two without; repeated ones are joined; names with _ are not there."""
    got = environ(
        "GET / HTTP/1.1",
        b"Content-Type: text/plain",
        b"X-A: 1",
        b"x-a: 2",
        b"Cookie: a",
        b"Cookie: b",
        b"X_B: 3",
        b"Proxy: x",
    )
    assert got["CONTENT_TYPE"] == "text/plain"
    assert got["HTTP_X_A"] == "1, 2"
    assert got["HTTP_COOKIE"] == "a; b"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_X_B", "HTTP_PROXY"} & set(got)


def test_bytes_of_a_field_are_latin_1() -> None:
    """Every byte of a value is one character."""
    assert environ("GET / HTTP/1.1", b"X-A: \xc3\xa9\xff")["HTTP_X_A"] == "\xc3\xa9\xff"


def test_everything_of_the_request_is_a_native_string() -> None:
    """PEP 3333: type str itself, with no character that is not a byte."""
    got = environ("POST /%C3%A9?%C3%A9 HTTP/1.1", b"X-A: \xe9", b"Content-Length: 3", content=b"abc")
    for key, value in got.items():
        assert type(key) is str
        if key.isupper():
            assert type(value) is str, key
            value.encode("latin-1")


@pytest.mark.parametrize(
    ("fields", "content", "length"),
    [
        ((), b"", "0"),
        ((b"Content-Length: 0",), b"", "0"),
        ((b"Content-Length: 003",), b"abc", "3"),
        ((b"Content-Length: 3  ",), b"abc", "3"),
        ((b"Transfer-Encoding: chunked",), b"3\r\nabc\r\n1;x\r\nd\r\n0\r\nX: y\r\n\r\n", "4"),
        ((b"Transfer-Encoding: chunked",), b"0\r\n\r\n", "0"),
    ],
)
def test_content_length_is_that_of_the_content(fields: tuple[bytes, ...], content: bytes, length: str) -> None:
    """CONTENT_LENGTH is always there, in plain digits, and what wsgi.input holds, also for chunks."""
    got = environ("POST / HTTP/1.1", *fields, content=content)
    assert got["CONTENT_LENGTH"] == length
    assert len(got["wsgi.input"].read()) == int(length)
    assert got["CONTENT_TYPE"] == ""
    assert "HTTP_TRANSFER_ENCODING" not in got


def test_keys_of_the_server_are_there() -> None:
    """What PEP 3333 and CGI ask for is in every environ, with what the listener and the connection know."""
    got = environ_of(GET)
    assert got["wsgi.version"] == (1, 0)
    assert got["wsgi.url_scheme"] == "http"
    assert got["wsgi.errors"].writable()
    assert (got["wsgi.multithread"], got["wsgi.multiprocess"], got["wsgi.run_once"]) == (True, False, False)
    assert got["wsgi.input_terminated"] is True
    assert got["wsgi.file_wrapper"] is FileWrapper
    assert (got["SERVER_NAME"], got["SERVER_PORT"], got["SERVER_SOFTWARE"]) == ("localhost", "8080", "S/1")
    assert (got["REMOTE_ADDR"], got["REMOTE_PORT"], got["GATEWAY_INTERFACE"]) == ("10.0.0.1", "5000", "CGI/1.1")
    assert got["extra.key"] == "value"


def test_environ_is_a_dict_of_its_own() -> None:
    """An application may change its environ in any way it likes (PEP 3333) and nobody else notices."""
    listener = listener_prototype(
        scheme="http", server_name="a", server_port=1, software="", errors=sys.stderr, extra={}
    )
    before = listener.copy()
    connection = connection_prototype(listener, "::1", 2)
    assert connection["REMOTE_ADDR"] == "::1"
    assert listener == before
    first = environ_of(GET)
    assert type(first) is dict
    first.clear()
    assert environ_of(GET)["PATH_INFO"] == "/"


def test_input_without_content_is_empty() -> None:
    """A request without content has an input that is at its end, one of its own."""
    first, second = environ_of(GET)["wsgi.input"], environ_of(GET)["wsgi.input"]
    assert isinstance(first, io.BytesIO)
    assert first is not second
    assert first.read() == b""


def test_a_client_on_a_unix_socket_has_credentials_and_no_address() -> None:
    """Both keys of the address are text (PEP 3333), and empty."""
    connection = connection_prototype({}, "", 0, (1, 2, 3))
    assert connection == {"REMOTE_ADDR": "", "REMOTE_PORT": "", "pastepool.peer_credentials": (1, 2, 3)}

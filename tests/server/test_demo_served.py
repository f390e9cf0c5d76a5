"""The demonstration application behind wsgiref's validator on the real server: neither finds fault with the other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from wsgiref.validate import validator

import pytest

from pastepool.demo import make_app
from tests.server.serving import Running

Serve = Callable[..., Running]
MEBIBYTE = 1024 * 1024


@pytest.fixture
def server(serve: Serve) -> Running:
    """The demonstration, validated; no route takes longer than a hundredth of a second."""
    return serve(validator(make_app({}, hang_limit="0.01")))


def test_every_route_is_valid(server: Running, capfd: pytest.CaptureFixture[str]) -> None:
    """Each link of the first page is answered whole, by GET and by HEAD, on one connection."""
    with server.client() as client:
        links = re.findall(r'href="(/[^"]+)"', client.get("/").body.decode())
        links = [link.replace("&amp;", "&") for link in links if not re.search(r"crashing|mebibytes=(64|1024)", link)]
        assert len(links) >= 15
        for link in links:
            answer = client.get(link)
            assert (answer.status, bool(answer.body)) == (200, True), link
            assert client.get(link, method="HEAD").status == 200, link
    assert "AssertionError" not in capfd.readouterr().err


def test_upload_arrives_whole(server: Running) -> None:
    """A file larger than what is kept in memory is measured by the application as it was sent."""
    content = bytes(range(256)) * 4096
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content + b"\r\n--b--\r\n"
    answer = server.get("/upload", "Content-Type: multipart/form-data; boundary=b", method="POST", body=form)
    assert hashlib.sha256(content).hexdigest() in answer.body.decode()


def test_big_file_goes_by_the_file_wrapper(serve: Serve) -> None:
    """The big file, unvalidated so that the server sees its own wrapper, arrives whole with its length."""
    answer = serve(make_app({})).get("/big-file?mebibytes=8")
    assert (answer.status, answer.chunked) == (200, False)
    assert answer.body == bytes(8 * MEBIBYTE)


def test_crash_before_the_first_byte_is_500(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    """An exception before the first byte is answered 500, without its text, and logged with its traceback."""
    answer = server.get("/crashing?when=before")
    assert answer.status == 500
    assert b"on purpose" not in answer.body
    assert "DemonstrationError" in caplog.text


def test_crash_after_the_first_byte_is_a_cut(server: Running) -> None:
    """An exception in the middle of a response cuts the connection where a client can tell."""
    with server.client() as client, pytest.raises((EOFError, ConnectionResetError)):
        client.get("/crashing?when=after")


def test_exit_of_the_application_is_500(server: Running) -> None:
    """sys.exit() in the application ends its request and nothing else."""
    assert server.get("/crashing?when=exit").status == 500
    assert server.get("/fast").status == 200

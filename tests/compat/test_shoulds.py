"""The table of every SHOULD: each row names a test that exists, or gives a reason. And the tests of some rows."""

from __future__ import annotations

import ast
import gc
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pastepool.testing import converse
from tests.compat.shoulds import TABLE, Should
from tests.meta.repository import ROOT
from tests.server.serving import Environ, running

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
NAMED = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)(?:\[([\w.-]+)\])?")
SOURCE = re.compile(r"RFC 91(10|12) \d+(\.\d+)*(, \d+(\.\d+)*)*|PEP 3333 [\w() -]+")


def functions(path: Path) -> set[str]:
    """The names of the functions in a file of tests."""
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.source}: {row.says}")
def test_row_has_a_test_that_exists_or_a_reason(row: Should) -> None:
    """One of the two; the test can be found, and so can the case of the corpus that it names."""
    assert SOURCE.fullmatch(row.source)
    assert bool(row.test) != bool(row.not_because)
    if row.not_because:
        assert row.not_because.endswith(".") and len(row.not_because) > 10
        return
    named = NAMED.fullmatch(row.test)
    assert named is not None, row.test
    file, function, case = named.groups()
    assert function in functions(ROOT / file)
    if case:
        assert list((ROOT / "tests" / "http1" / "corpus").glob(f"*/{case}.expect"))


def test_rows_are_different_and_of_all_documents() -> None:
    """No row is there twice, and no document was forgotten."""
    keys = [(row.source, row.says) for row in TABLE]
    assert len(set(keys)) == len(keys)
    counts = {name: sum(row.source.startswith(name) for row in TABLE) for name in ("RFC 9110", "RFC 9112", "PEP 3333")}
    assert min(counts.values()) >= 16, counts


def environ_seen() -> Environ:
    """The environ of one request, under the real server."""
    seen: Environ = {}

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return []

    with running(app) as run:
        run.get("/")
    return seen


def test_every_key_of_the_environ_is_documented() -> None:
    """The page of the manual has each key that is not a field of the request; our own are named as PEP 3333 says."""
    page = (ROOT / "docs" / "reference" / "environ.md").read_text(encoding="utf-8")
    for key in environ_seen():
        if not key.startswith("HTTP_"):
            assert f"`{key}`" in page, key
            assert key.isupper() or re.fullmatch(r"(wsgi|pastepool|paste)(\.[a-z0-9_]+)+", key), key
    assert "standard error" in page


def test_unknown_keys_are_left_out() -> None:
    """What nobody has found out is not there as an empty text."""
    seen = environ_seen()
    for key in ("REMOTE_USER", "AUTH_TYPE", "REMOTE_HOST", "REMOTE_IDENT", "PATH_TRANSLATED", "HTTPS"):
        assert key not in seen


def test_errors_take_any_text() -> None:
    """Also where standard error can only write ASCII; what it cannot write is written as an escape."""
    program = """if True:
        from pastepool.testing import converse
        def app(environ, start_response):
            environ["wsgi.errors"].write("\\u20ac \\ud800 \\U0001f600\\n")
            start_response("200 OK", [])
            return []
        assert converse(app, b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n").startswith(b"HTTP/1.1 200 ")
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"\\u20ac \\ud800 \\U0001f600\n")


class Shown(Exception):
    """An error that an application shows to its client. Only a class in Python can be referred to weakly."""


def test_no_reference_to_exc_info_is_kept() -> None:
    """The exception goes when the request does, and needs no garbage collector for that."""
    gone: list[weakref.ref[BaseException]] = []

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        try:
            raise Shown
        except Shown as error:
            gone.append(weakref.ref(error))
            start_response("500 Oops", [], sys.exc_info())
        return [b"sorry"]

    gc.disable()
    try:
        assert converse(app, GET).endswith(b"sorry")
        assert gone[0]() is None
    finally:
        gc.enable()


def test_one_call_at_a_time() -> None:
    """With one worker that gets no help, a second request waits until the first has been answered."""
    inside, most = 0, 0
    lock = threading.Lock()
    entered, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def app(environ: Environ, start_response: Callable[..., Any]) -> list[bytes]:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        entered.release()
        go_on.acquire()
        with lock:
            inside -= 1
        start_response("200 OK", [])
        return []

    options = {"threadpool_workers": 1, "threadpool_spawn_if_under": 0, "threadpool_hung_thread_limit": "50ms"}
    with running(app, **options) as run, run.client() as first, run.client() as second:
        for client in (first, second):
            client.ask("/")
        assert entered.acquire(timeout=10.0)
        assert not entered.acquire(timeout=0.2)  # longer than the first one needs to be hung
        go_on.release()
        go_on.release()
        for client in (first, second):
            assert client.response().status == 200
    assert most == 1

"""The accelerator under the sanitizers of the compiler, and with an allocator that fails."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.fast.twins import native
from tests.meta.repository import ROOT
from tests.waiting import PROGRAM_WATCHDOG

SOURCES = ROOT / "pastepool" / "_fast"
MOST_LINES = 500
"""Lines of code. More C than one reads in an hour is too much."""

COMPILER = shutil.which("gcc")
HEADERS = Path(sysconfig.get_path("include")) / "Python.h"

WORK = """
import gc, sys
sys.path[:0] = [{extra!r}, {root!r}]
import pastepool._fast
import _native
pastepool._fast.fast = _native
from pastepool.http1 import engine, response
assert issubclass(engine.Engine, _native.HeadCallbacks)
"""

SANITIZED = (
    WORK
    + """
import errno, random, socket
from pastepool.http1.limits import Limits
from tests.fast.heads import requests, response as random_response
from tests.http1.cases import load, names
from tests.http1.feeding import PROTOTYPE, dribbled, halves, outcome
for kind in ("valid", "invalid"):
    for name in names(kind):
        data = load(kind, name).data
        for pieces in ([data], dribbled(data), *halves(data)):
            outcome(pieces, engine=engine.Engine(Limits(), PROTOTYPE))
for pieces in requests(5, 20_000):
    outcome(pieces, engine=engine.Engine(Limits(header_count=8), PROTOTYPE))
chance = random.Random(6)
for _ in range(20_000):
    try:
        response.render_head(*random_response(chance))
    except response.AppError:
        pass
mine, peer = socket.socketpair()
assert _native.held_receive(mine, 100) is None if mine.setblocking(False) is None else False
assert _native.held_send(peer, b"x" * 9) == 9 and _native.held_receive(mine, 100) == b"x" * 9
peer.close()
assert _native.held_receive(mine, 100) == b""
mine.close()
assert _native.held_receive(mine, 100) is None and _native.held_send(mine, b"x") == 0
for wrong in ((None, b"x"), (mine, "x"), (mine,), ()):
    try:
        _native.held_send(*wrong)
    except (TypeError, AttributeError):
        pass
    else:
        raise SystemExit(f"{{wrong}} was taken")
listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
assert _native.accept_client(listener) == errno.EAGAIN
with socket.create_connection(listener.getsockname()) as client:
    number, host, port = _native.accept_client(listener)
    assert (host, port) == client.getsockname()
    socket.close(number)
listener.close()
assert _native.accept_client(listener) == errno.EBADF
try:
    _native.accept_client(None)
except AttributeError:
    pass
else:
    raise SystemExit("None was taken")
gc.collect()
print("clean")
"""
)

STARVED = (
    WORK
    + """
import _testcapi
from pastepool.http1.limits import Limits
data = b"GET /a?b HTTP/1.1\\r\\nHost: a.example\\r\\nAccept: x\\r\\nX-A: y\\r\\n\\r\\n"
failures = 0
for fails_at in range(1, 120):
    reading = engine.Engine(Limits(), {{"A": "b"}})
    headers = [("Content-Type", "text/plain"), ("Content-Length", "1234567"), ("X-A", "b" * 100)]
    try:
        _testcapi.set_nomemory(fails_at, fails_at + 1)
        try:
            reading.feed(data)
            head = response.render_head("200 OK", headers)
        finally:
            _testcapi.remove_mem_hooks()
        assert head[3] == 1234567 and reading.next_request().path == b"/a"
    except (MemoryError, response.AppError, engine.PeerError, SystemError) as error:
        assert "NULL without" not in str(error), error
        failures += 1
    reading.close()
    again = engine.Engine(Limits(), {{"A": "b"}})
    again.feed(data)
    assert again.next_request().fields["HTTP_X_A"] == "y"
    again.close()
import os, socket
listener = socket.create_server(("127.0.0.1", 0))
open_before = len(os.listdir("/proc/self/fd"))
for fails_at in range(1, 8):
    with socket.create_connection(listener.getsockname()) as client:
        _testcapi.set_nomemory(fails_at, fails_at + 1)
        try:
            number, _, port = _native.accept_client(listener)
        except (MemoryError, AttributeError):
            port = failures = failures + 1
        finally:
            _testcapi.remove_mem_hooks()
        if port == client.getsockname()[1]:
            socket.close(number)
assert len(os.listdir("/proc/self/fd")) == open_before
listener.close()
print("survived", failures)
"""
)


def run(program: str, extra: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the accelerator that lies in a folder."""
    return subprocess.run(
        [sys.executable, "-c", program.format(extra=str(extra), root=str(ROOT))],
        env={**os.environ, **environ, "PASTEPOOL_PURE": ""},
        capture_output=True,
        text=True,
        timeout=PROGRAM_WATCHDOG * 4,
        check=False,
    )


def build(folder: Path, *flags: str) -> None:
    """Compile the accelerator into a folder, with every warning an error."""
    assert COMPILER is not None
    command = [COMPILER, "-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-shared", "-fPIC", *flags]
    command += [
        "-DPy_LIMITED_API=0x030A0000",
        "-D_GNU_SOURCE",
        f"-I{HEADERS.parent}",
        *map(str, sorted(SOURCES.glob("*.c"))),
    ]
    done = subprocess.run(
        [*command, "-o", str(folder / "_native.abi3.so")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@native
@pytest.mark.skipif(COMPILER is None or not HEADERS.exists(), reason="no compiler, or no headers of CPython")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    """The corpus, random heads and responses: no byte outside of its buffer, no undefined behaviour."""
    build(tmp_path, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    libraries = [
        subprocess.run(
            [str(COMPILER), f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    done = run(
        SANITIZED, tmp_path, LD_PRELOAD=" ".join(libraries), ASAN_OPTIONS="detect_leaks=0", PYTHONMALLOC="malloc"
    )
    assert (done.stdout, done.returncode) == ("clean\n", 0), done.stderr[-4000:]


@native
@pytest.mark.skipif(COMPILER is None or not HEADERS.exists(), reason="no compiler, or no headers of CPython")
@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this CPython has no allocator that fails")
def test_each_failed_allocation_is_an_error_and_no_crash(tmp_path: Path) -> None:
    """One allocation fails, the first, the second and so on. What follows works again."""
    build(tmp_path, "-O1")
    done = run(STARVED, tmp_path)
    words = done.stdout.split()
    assert words[:1] == ["survived"] and done.returncode == 0, done.stderr[-4000:]
    assert int(words[1]) > 20


def test_it_is_small() -> None:
    """What is in C is read by few, so there is little of it, in files of one job each."""
    files = [*SOURCES.glob("*.c"), *SOURCES.glob("*.h")]
    lines = [line for file in files for line in file.read_text(encoding="ascii").splitlines()]
    code = [line for line in lines if line.strip() and not line.strip().startswith(("/*", "*"))]
    assert len(code) <= MOST_LINES
    assert all(len(line) <= 120 for line in lines)

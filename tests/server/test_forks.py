"""An application forks: its child is no server, nothing of it reaches a client, and it holds up no stop (contract F6)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.commands import alive
from tests.server.programs import ENDS_SOON, Program, is_free
from tests.server.serving import Client
from tests.waiting import PROGRAM_WATCHDOG, Stopwatch, until

APPLICATION = """
import json, multiprocessing, socket, subprocess, warnings

warnings.simplefilter("ignore")  # from 3.12 on a fork beside threads is warned of
fork = multiprocessing.get_context("fork")


def sleep_for_ever():
    while True:
        time.sleep(60)


def descriptors():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink("/proc/self/fd/" + name))
        except OSError:
            pass  # the descriptor with which the folder was read
    return found


def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def app(environ, start_response):
    body = handle(environ, start_response)
    if body is None:
        start_response("200 OK", [("Content-Type", "text/plain")])
        body = [("%d " % os.getpid() + environ["PATH_INFO"]).encode("latin-1")]
    elif isinstance(body, (str, int)):
        start_response("200 OK", [("Content-Type", "text/plain")])
        body = [str(body).encode("latin-1")]
    return body
"""

FORKS = """
if path == "/fork":
    child = os.fork()
    if not child:
        sys.exit(3)
    return status_of(child)
"""
"""What a request for /fork does: its child ends with status 3."""


@contextlib.contextmanager
def forking(folder: Path, handle: str, serve: str = "server.serve()", **options: Any) -> Iterator[Program]:
    """
    Run a program with a server, and end it and its children with the test.

    ``handle``: the body of a function of environ and start_response. It returns a body, or text for one; None says
    "<pid> <path>".
    """
    body = textwrap.indent(textwrap.dedent(handle).strip("\n"), "    ")
    before = f"{APPLICATION}\n\ndef handle(environ, start_response):\n    path = environ['PATH_INFO']\n{body}\n"
    program = Program(folder, before, serve, **{"shutdown_timeout": 60, "threadpool_workers": 3, **options})
    with program:
        program.address()
        yield program


def text(program: Program, path: str) -> str:
    """The answer to one request on a connection of its own."""
    with program.client() as client:
        return client.get(path).body.decode()


def test_daemon_of_multiprocessing_holds_up_no_stop(tmp_path: Path) -> None:
    """SIGTERM ends server and helper at once, with status 0, and the port can be taken again."""
    handle = """
        if path == "/start":
            helper = fork.Process(target=sleep_for_ever, daemon=True)
            helper.start()
            return helper.pid
        """
    with forking(tmp_path, handle) as program:
        helper = int(text(program, "/start"))
        assert alive(helper)
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(ENDS_SOON) == 0, program.said
        assert not alive(helper)
        port = program.address()
    (tmp_path / "again").mkdir()
    with forking(tmp_path / "again", "pass", port=port) as program:
        assert text(program, "/").endswith(" /")


def test_child_that_lives_on_has_nothing_of_ours(tmp_path: Path) -> None:
    """Neither listener, epoll, waker nor connections, nor our signal handlers; the stop does not wait for it."""
    handle = """
        if path == "/start":
            told, tell = os.pipe()
            child = os.fork()
            if not child:
                handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
                facts = {
                    "pid": os.getpid(),
                    "descriptors": descriptors(),
                    "default": handlers == [signal.SIG_DFL, signal.default_int_handler],
                    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
                }
                os.write(tell, json.dumps(facts).encode())
                os.close(tell)
                sleep_for_ever()
            os.close(tell)
            with open(told) as facts:
                return facts.read()
        """
    admin = {"admin_listen": "127.0.0.1:0"}
    with forking(tmp_path, handle, **admin) as program, program.client() as idle, program.client() as half:
        idle.get("/")
        half.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123")
        facts = json.loads(text(program, "/start"))
        child = facts["pid"]
        assert facts["default"] and not facts["blocked"]
        assert [name for name in facts["descriptors"] if "socket:" in name or "epoll" in name] == []
        half.send(b"456789")
        assert half.response().status == 200
        program.process.send_signal(signal.SIGTERM)
        assert idle.ended()
        assert program.process.wait(PROGRAM_WATCHDOG) == 0, program.said
        assert is_free(program.address()) and alive(child)
        os.kill(child, signal.SIGTERM)
        until(lambda: not alive(child), "SIGTERM ends the child")


def test_child_is_ended_by_terminate(tmp_path: Path) -> None:
    """``Process.terminate()`` works, however soon after the fork it comes."""
    handle = """
        if path == "/terminate":
            codes = []
            for pause in (0, 0, 0, 0, 0, 0, 0, 0, 0.001, 0.01):
                helper = fork.Process(target=sleep_for_ever)
                helper.start()
                time.sleep(pause)
                helper.terminate()
                helper.join(10)
                codes.append(helper.exitcode)
            return json.dumps(codes)
        """
    with forking(tmp_path, handle) as program:
        assert json.loads(text(program, "/terminate")) == [-signal.SIGTERM] * 10
    assert "race" not in program.said


LEAVES = {
    "sys.exit()": 0,
    "sys.exit(0)": 0,
    "sys.exit(7)": 7,
    "sys.exit(256 + 3)": 3,
    "sys.exit(-1)": 255,
    "sys.exit('words')": 1,
    "os._exit(9)": 9,
    "raise ValueError('of the child')": 1,
    "raise KeyboardInterrupt": 130,
    "return ['no bytes']": 1,
    "return [b'from the child']": 0,
    "return [b'from', b' the child']": 0,
    "return iter([b'from the child'])": 0,
    "return open(__file__, 'rb')": 0,
    "return environ['wsgi.file_wrapper'](open(__file__, 'rb'))": 0,
    "return []": 0,
    "write(b'from the child'); return []": 0,
    "write(b''); return []": 0,
    "start_response('204 No Content', [], (None, None, None)); return []": 0,
    "threading.Thread(target=say, args=('thread of the child',), daemon=False).start(); sys.exit(5)": 5,
    "os.fork() or sys.exit(4); os.wait(); sys.exit(6)": 6,
}


@pytest.mark.parametrize(("leaves", "status"), LEAVES.items(), ids=LEAVES)
def test_child_ends_where_it_comes_back_to_us(leaves: str, status: int, tmp_path: Path) -> None:
    """SystemExit ends it with its status, so does anything else; the client gets one answer, the parent's."""
    handle = f"""
        if path == "/fork":
            child = os.fork()
            if not child:
                write = start_response("200 OK", [])
                {leaves}
            return status_of(child)
        """
    with forking(tmp_path, handle, access_log="true") as program, program.client() as client:
        client.ask("/fork")
        response = client.response()
        assert response.body == str(status).encode()
        for _ in range(5):
            assert client.get("/next").body == f"{program.pid} /next".encode()
        assert program.end() == 0
        assert client.ended()
    assert program.said.count('"GET /fork HTTP/1.1" 200') == 1
    assert "please report" not in program.said
    told = re.findall(r"^(\w+) pastepool GET /fork forked, and the child process \d+ ", program.said, re.MULTILINE)
    went_on, raised = status == 0 and "exit" not in leaves, status in (1, 130) and "exit" not in leaves
    assert told == ["WARNING"] * went_on + ["ERROR"] * raised
    assert ("words\n" in program.said) == ("words" in leaves)
    assert ("thread of the child" in program.said) == ("thread of the child" in leaves)


def test_exit_functions_run_in_a_child_that_exits(tmp_path: Path) -> None:
    """As for any Python program that calls ``sys.exit``; what stands in ``finally`` runs as well."""
    handle = """
        if path == "/fork":
            child = os.fork()
            if not child:
                atexit.register(say, "goodbye of %d" % os.getpid())
                try:
                    sys.exit(7)
                finally:
                    say("finally")
            return "%d %d" % (child, status_of(child))
        """
    with forking(tmp_path, handle) as program:
        child, status = text(program, "/fork").split()
        assert status == "7"
        assert program.end() == 0
    assert f"finally\ngoodbye of {child}\n" in program.said


@pytest.mark.parametrize("watermark", ["10m", "100k"])
def test_fork_in_the_middle_of_a_response(tmp_path: Path, watermark: str) -> None:
    """
    The child goes on with the same generator while the parent does: every piece comes once, and the end is clean. The
    pieces are in memory or in a temporary file.
    """
    handle = """
        def pieces():
            yield b"a" * 4_000_000
            yield b"b" * 100
            child = os.fork()
            for _ in range(200):
                yield b"child!" if not child else b"parent"
            if child:
                say("status %d" % status_of(child))
        if path == "/stream":
            start_response("200 OK", [])
            return pieces()
        """
    with contextlib.ExitStack() as stack:
        program = stack.enter_context(forking(tmp_path, handle, output_high_watermark=watermark))
        client = stack.enter_context(Client(program.address(), receive_buffer=4096))
        client.ask("/stream")
        program.await_line("^status 0$")
        assert client.response().body == b"a" * 4_000_000 + b"b" * 100 + b"parent" * 200
        assert client.get("/next").body == f"{program.pid} /next".encode()


def test_child_takes_no_request_of_others(tmp_path: Path) -> None:
    """While children of several requests live, each request on old and new connections is the parent's."""
    handle = """
        if path == "/start":
            child = os.fork()
            if not child:
                sleep_for_ever()
            return child
        """
    with forking(tmp_path, handle) as program, contextlib.ExitStack() as stack:
        old = [stack.enter_context(program.client()) for _ in range(10)]
        for client in old:
            client.get("/")
        children = [int(text(program, "/start")) for _ in range(3)]
        new = [stack.enter_context(program.client()) for _ in range(10)]
        for _ in range(10):
            for client in (*old, *new):
                client.ask("/who")
            answers = [client.response().body for client in (*old, *new)]
            assert set(answers) == {f"{program.pid} /who".encode()}
        assert all(alive(child) for child in children)
        for client in (*old, *new):
            client.close()
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(PROGRAM_WATCHDOG) == 0


def test_cut_response_is_seen_to_be_cut_while_a_child_lives(tmp_path: Path) -> None:
    """A response that only the end of the connection ends is reset, although a child was made meanwhile."""
    handle = """
        def pieces():
            yield b"begun"
            child = os.fork()
            if not child:
                sleep_for_ever()
            raise ValueError("too late for a status")
        if path == "/cut":
            start_response("200 OK", [])
            return pieces()
        """
    with forking(tmp_path, handle) as program, program.client() as client:
        client.ask("/cut", version="1.0")
        with pytest.raises(ConnectionResetError):
            while client.rest():
                pass


def test_upload_on_its_way_is_not_spoilt_by_a_child(tmp_path: Path) -> None:
    """Half of a large body is in a temporary file with bytes in its buffer: a child that ends does not write them too."""
    handle = FORKS + 'if path == "/upload":\n    return environ["wsgi.input"].read().decode()'
    body = b"".join(b"%07d\n" % number for number in range(20_000))
    with forking(tmp_path, handle, body_memory=1000) as program, program.client() as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 33_333):
            client.send(body[start : start + 33_333])
            assert text(program, "/fork") == "3"
        assert client.response().body == body


def test_daemon_made_in_a_request(tmp_path: Path) -> None:
    """The usual recipe: fork, setsid, fork, close all descriptors. The daemon lives on, the server stops at once."""
    handle = """
        if path == "/daemon":
            told, tell = os.pipe()
            child = os.fork()
            if child:
                status = status_of(child)
                return "%d %s" % (status, os.read(told, 100).decode())
            os.setsid()
            if os.fork():
                sys.exit(0)
            os.dup2(tell, 0)
            os.closerange(1, 256)
            os.write(0, str(os.getpid()).encode())
            while os.path.exists(gate):
                time.sleep(0.02)
            sys.exit(0)
        """
    with forking(tmp_path, handle) as program, program.client() as client:
        status, daemon = map(int, client.get("/daemon").body.split())
        assert status == 0 and alive(daemon)
        assert client.get("/next").body == f"{program.pid} /next".encode()
        program.process.send_signal(signal.SIGTERM)
        assert program.ends_within(ENDS_SOON) == 0, program.said
        assert is_free(program.address()) and alive(daemon)
        program.gate.unlink()
        until(lambda: not alive(daemon), "the daemon ends")


def test_thread_of_the_application_forks(tmp_path: Path) -> None:
    """A thread that the application started forks while requests run; the child has its own code only."""
    handle = """
        if path == "/fork":
            told = []
            def work():
                child = os.fork()
                if not child:
                    os._exit(11 if not [n for n in descriptors() if "socket:" in n] else 12)
                told.append(status_of(child))
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return told[0]
        """
    with forking(tmp_path, handle) as program:
        with program.client() as client:
            client.get("/")
            assert text(program, "/fork") == "11"
            assert client.get("/next").status == 200
        assert program.end() == 0


@pytest.mark.parametrize(("leaves", "status"), [("sys.exit(5)", 5), ("return", 0), ("raise ValueError('x')", 1)])
def test_signal_handler_of_the_application_forks(leaves: str, status: int, tmp_path: Path) -> None:
    """It runs on the thread that serves. Its child ends, and the parent serves on."""
    serve = f"""
        def fork_now(number, frame):
            child = os.fork()
            if not child:
                {leaves}
            else:
                say("status %d" % status_of(child))
        signal.signal(signal.SIGUSR2, fork_now)
        server.serve()
        say("served %d" % os.getpid())
        """
    with forking(tmp_path, "pass", serve) as program:
        text(program, "/")
        program.process.send_signal(signal.SIGUSR2)
        program.await_line(f"^status {status}$")
        assert text(program, "/") == f"{program.pid} /"
        assert program.end() == 0
    assert re.findall(r"^served (\d+)$", program.said, re.MULTILINE) == [str(program.pid)]


def test_host_forks_beside_a_server_in_a_thread(tmp_path: Path) -> None:
    """The child of the host goes on with the host's code; a stop there is none of the parent's server."""
    serve = """
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        server.ready.wait()
        child = os.fork()
        if not child:
            server.stop()
            server.serve()
            say("child sees %d sockets" % len([n for n in descriptors() if "socket:" in n or "epoll" in n]))
            sys.exit(5)
        say("status %d" % status_of(child))
        hang()
        """
    with forking(tmp_path, "pass", serve) as program:
        program.await_line("^child sees 0 sockets$")
        program.await_line("^status 5$")
        assert text(program, "/") == f"{program.pid} /"


@pytest.mark.skipif(
    sys.version_info >= (3, 13),
    reason="from 3.13 on CPython may not see a signal in a child that another thread than the main one has forked",
)
def test_child_of_a_request_starts_a_server_of_its_own(tmp_path: Path) -> None:
    """It serves, with its own threads and handlers, stops by SIGTERM and ends; the parent serves on."""
    handle = """
        if path == "/start":
            child = os.fork()
            if not child:
                own = Server(read({"port": 0, "threadpool_workers": 2}, {}), app)
                own.serve()
                say("served %d" % os.getpid())
                sys.exit(0)
            return child
        if path == "/wait":
            return status_of(int(environ["QUERY_STRING"]))
        """
    with forking(tmp_path, handle) as program:
        child = int(text(program, "/start"))
        second = program.port()
        with contextlib.closing(Client(second)) as client:
            assert client.get("/").body == f"{child} /".encode()
            os.kill(child, signal.SIGTERM)
            program.await_line(f"^served {child}$")
        assert text(program, f"/wait?{child}") == "0"
        assert text(program, "/") == f"{program.pid} /"
        assert program.end() == 0


def test_port_is_free_although_another_program_has_the_socket(tmp_path: Path) -> None:
    """A program that was given the descriptor on purpose cannot keep the port from the next server."""
    handle = """
        if path == "/start":
            listener = server.listeners[0].fileno()
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], pass_fds=[listener])
            return child.pid
        """
    with forking(tmp_path, handle) as program:
        holder = int(text(program, "/start"))
        try:
            port = program.address()
            program.process.send_signal(signal.SIGTERM)
            assert program.process.wait(PROGRAM_WATCHDOG) == 0
            assert alive(holder) and is_free(port)
            (tmp_path / "again").mkdir()
            with forking(tmp_path / "again", "pass", port=port) as again:
                assert text(again, "/") == f"{again.pid} /"
        finally:
            os.kill(holder, signal.SIGKILL)


def test_programs_are_started_as_ever(tmp_path: Path) -> None:
    """``subprocess``, with and without a function of Python between fork and exec, and ``multiprocessing`` in a pool."""
    handle = """
        if path == "/start":
            plain = subprocess.run(["echo", "one"], capture_output=True, check=True).stdout
            called = subprocess.run(
                ["echo", "two"], capture_output=True, check=True, preexec_fn=lambda: os.umask(0o77)
            ).stdout
            with fork.Pool(2) as pool:
                three = pool.apply(str, (3,))
            return plain.decode() + called.decode() + three
        """
    with forking(tmp_path, handle) as program, program.client() as client:
        for _ in range(3):
            assert client.get("/start").body == b"one\ntwo\n3"
        assert program.end() == 0


def test_forks_under_load(tmp_path: Path) -> None:
    """Requests that fork among many that do not: each is answered once, by the parent, in order."""
    with forking(tmp_path, FORKS, threadpool_workers=8) as program, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(program.client()) for _ in range(12)]
        for turn in range(15):
            for number, client in enumerate(clients):
                client.ask("/fork" if (number + turn) % 3 == 0 else "/plain")
            for number, client in enumerate(clients):
                expected = b"3" if (number + turn) % 3 == 0 else f"{program.pid} /plain".encode()
                assert client.response().body == expected
        for client in clients:
            assert client.is_silent()
        watch = Stopwatch()
        assert program.end() == 0
        assert watch.net() < ENDS_SOON
    assert "please report" not in program.said


def test_nothing_is_registered_on_import() -> None:
    """A program that imports the package and never serves is left alone when it forks."""
    code = (
        "import os; calls = []; os.register_at_fork = lambda **functions: calls.append(repr(functions))\n"
        "import pastepool.server, pastepool.entrypoints; print([call for call in calls if '_Forks' in call])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"

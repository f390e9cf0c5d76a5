"""Connections on which no request has begun when the server stops: a request that comes on one is still answered."""

from __future__ import annotations

import contextlib
import signal
import socket
from pathlib import Path

import pytest

from tests.server.commands import ROOT
from tests.server.fronts import NGINX, Front
from tests.server.passing import start_with
from tests.server.posting import Posting, keeping
from tests.server.programs import Program, is_free
from tests.server.serving import Paused, Running, path_echo
from tests.waiting import PROGRAM_WATCHDOG, WATCHDOG, Stopwatch, until

LONG = 3 * WATCHDOG
"""An ``idle_grace`` that a test does not live to see."""


def stopping(run: Running) -> None:
    """Tell a server to stop, and wait until it takes no new clients."""
    run.server.stop()
    until(lambda: is_free(run.port), "the listener is closed")


@pytest.mark.parametrize("used", [True, False], ids=["kept alive", "new"])
def test_request_on_an_idle_connection_is_answered_and_closes_it(used: bool) -> None:
    """The client cannot know yet that the server stops; after its response it does."""
    run = Running(path_echo, {"idle_grace": LONG}).start()
    with run.client() as client:
        if used:
            assert not client.get("/before").closes
        else:
            until(lambda: run.connections == 1, "the client is let in")
        stopping(run)
        response = client.get("/after", method="POST", body=b"content")
        assert (response.status, response.body, response.closes) == (200, b"/after", True)
        assert client.ended()
        run.join()


def test_stop_does_not_wait_without_idle_connections() -> None:
    """Neither where there was never a client, nor where the last one closes while the server waits for it."""
    run = Running(path_echo, {"idle_grace": LONG}).start()
    run.stop()
    run = Running(path_echo, {"idle_grace": LONG}).start()
    with run.client() as client:
        client.get("/")
        stopping(run)
        assert client.is_silent()
    run.join()


def test_idle_connections_are_closed_in_time(caplog: pytest.LogCaptureFixture) -> None:
    """The log says how many they are, and for how long they are kept."""
    run = Running(path_echo, {"idle_grace": 0.1}).start()
    with run.client() as one, run.client() as other:
        until(lambda: run.connections == 2, "both clients are let in")
        run.server.stop()
        assert one.ended()
        assert other.ended()
    run.join()
    assert "stopping: no request runs; 2 idle connections are kept for up to 0.1 s" in caplog.text


def test_stop_is_over_in_time_although_a_client_is_silent() -> None:
    """``shutdown_timeout`` bounds ``idle_grace``; a client that asked for nothing is told nothing."""
    run = Running(path_echo, {"idle_grace": LONG, "shutdown_timeout": 1}).start()
    with run.client() as mute:
        until(lambda: run.connections == 1, "the client is let in")
        run.server.stop()
        assert mute.ended()
    run.join()


def test_connection_promised_before_the_stop_is_kept_after_it() -> None:
    """The head of a response said so, and the client has it. Its connection is idle only when that response has ended."""
    stream = Paused()
    run = Running(stream, {"idle_grace": LONG}).start()
    with run.client() as client:
        client.ask("/")
        assert stream.begun.wait(WATCHDOG)
        stopping(run)
        stream.go_on.set()
        assert not client.response().closes
        assert client.get("/next").closes
        assert client.ended()
    run.join()


def test_two_seconds_unless_set(tmp_path: Path) -> None:
    """A program with the option of no test: its connection is not closed earlier, and then the program ends."""
    with Program(tmp_path, idle_grace="") as program, program.client() as client:
        client.get("/")
        watch = Stopwatch()
        program.process.send_signal(signal.SIGTERM)
        assert client.ended()
        assert watch.elapsed() >= 2.0
        assert program.ends_within(PROGRAM_WATCHDOG) == 0


SERVED = """\
import os, sys
sys.path.insert(0, {root!r})
os.environ["LISTEN_PID"] = str(os.getpid())
from pastepool.server import Server
from pastepool.settings import read


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


Server(read({{"listen": "systemd"}}, {{}}), app).serve()
"""


@pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")
def test_proxy_that_keeps_connections_answers_every_post_over_restarts(folder: Path, front: Front) -> None:
    """
    nginx sends a POST on a connection that the server is about to close, and must not send it again: it answered 502.

    The listening socket stays open, as under systemd: clients that come between two servers wait there.
    """
    source = SERVED.format(root=str(ROOT))
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        port = keeping(front, folder, listening.getsockname()[1])
        server = start_with(source, [listening], "shop")
        stack.callback(lambda: server.communicate())
        stack.callback(lambda: server.kill())
        with Posting(port) as posting:
            for _ in range(4):
                posting.go_on()
                server.send_signal(signal.SIGTERM)
                server.communicate(timeout=PROGRAM_WATCHDOG)
                assert server.returncode == 0
                server = start_with(source, [listening], "shop")
            posting.go_on()
        assert set(posting.statuses) == {200}

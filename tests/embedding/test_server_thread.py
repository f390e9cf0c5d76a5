"""``ServerThread``: the server beside the other work of a program, and the examples of its page in the manual."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from pastepool import ServerThread
from pastepool.errors import NoThread, SettingsError, StartError
from pastepool.server import Server
from tests.adapters.clients import Application, Asking, ask
from tests.meta.repository import ROOT
from tests.server.fronts import free_port
from tests.waiting import WATCHDOG, until

PAGE = (ROOT / "docs" / "reference" / "server-thread.md").read_text(encoding="utf-8")
OPTIONS = {"port": 0, "threadpool_workers": 2, "threadpool_spawn_if_under": 2, "idle_grace": 0}


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer at once."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [threading.current_thread().name.encode()]


def port_of(server: ServerThread) -> int:
    """Return the port on which it serves."""
    return int(server.listeners[0].socket.getsockname()[1])


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_example_runs(code: str) -> None:
    """It is a program that ends by itself, without an error and without a thread that is left."""
    exec(compile(code, "docs/reference/server-thread.md", "exec"), {"__name__": "example"})


def test_life_of_a_server() -> None:
    """It serves after ``start``, drains after ``stop``, tells its end once, and cannot be started again."""
    ends: list[BaseException | None] = []
    server = ServerThread(OPTIONS, hello, on_end=ends.append)
    assert server.listeners == () and server.wait(0)
    server.stop()  # nothing to do yet
    server.start()
    assert ask(port_of(server), "/")[0] == 200
    with pytest.raises(RuntimeError, match="started already, and a server serves once"):
        server.start()
    assert not server.wait(0)
    server.stop()
    server.stop()
    assert server.wait(WATCHDOG)
    until(lambda: ends == [None], "its end is told")
    assert server.left_threads == []


def test_file_has_the_application_too(folder: Path) -> None:
    """The sections are named; the application is loaded by ``start``, and what is none is refused in a sentence."""
    ini = folder / "shop.ini"
    ini.write_text(
        "[server:other]\nuse = egg:pastepool#http\nport = 0\nidle_grace = %(grace)s\n"
        "[app:shop]\nuse = egg:pastepool#demo\n"
        "[app:none]\npaste.app_factory = tests.embedding.test_server_thread:nothing\n"
    )
    server = ServerThread(ini, server="other", app="shop", variables={"grace": "0"})
    server.start()
    try:
        assert ask(port_of(server), "/")[0] == 200
    finally:
        server.stop()
        assert server.wait(WATCHDOG)
    wrong = ServerThread(ini, server="other", app="none", variables={"grace": "0"})
    with pytest.raises(SettingsError, match="the application factory returned None"):
        wrong.start()
    ours = ServerThread(ini, hello, server="other", variables={"grace": "0"})
    ours.start()
    assert ask(port_of(ours), "/")[1].startswith(b"pastepool worker")
    ours.stop()
    assert ours.wait(WATCHDOG)


def nothing(given: object) -> None:
    """A factory that has forgotten its ``return``."""


def test_port_that_is_taken_is_told_by_start() -> None:
    """It is no matter of the other thread, and it may be tried again."""
    first = ServerThread(OPTIONS, hello)
    first.start()
    try:
        second = ServerThread({**OPTIONS, "host": "127.0.0.1", "port": port_of(first)}, hello)
        for _ in range(2):
            with pytest.raises(StartError, match="the port is taken by process"):
                second.start()
    finally:
        first.stop()
        assert first.wait(WATCHDOG)


def test_thread_that_cannot_be_had_leaves_no_port_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has no thread left: ``start`` says so, closes the sockets, and may be tried again."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = ServerThread({**OPTIONS, "port": free_port()}, hello)
    with monkeypatch.context() as context:
        context.setattr(threading.Thread, "start", refuse)
        with pytest.raises(StartError, match=r"thread of the server cannot be started: can't start new thread\."):
            server.start()
    assert server.listeners == () and server.wait(0)
    server.start()
    try:
        assert ask(port_of(server), "/")[0] == 200
    finally:
        server.stop()
        assert server.wait(WATCHDOG)


def test_workers_are_calls_in_the_pool_of_a_framework() -> None:
    """A hung one is replaced by another call; each call returns when its worker leaves; all have returned at the end."""
    application = Application()
    running: list[threading.Thread] = []

    def call_in_thread(body: Callable[[], None]) -> None:
        running.append(threading.Thread(target=body, name=f"theirs {len(running)}"))
        running[-1].start()

    limits = {"threadpool_hung_thread_limit": 0.2, "threadpool_kill_thread_limit": 1, "threadpool_max_workers": 6}
    server = ServerThread({**OPTIONS, **limits}, application)
    with pytest.raises(StartError, match="may have 8 threads, and 9 are needed"):
        server.start(call_in_thread, 8)
    server.start(call_in_thread, 9)
    try:
        clients = Asking(port_of(server), [f"/hang/{at}" for at in range(3)])
        application.await_calls(3)
        assert ask(port_of(server), "/") == (200, b"GET / 0")
        assert [status for status, _ in clients.join()] == [504, 504, 504]
        assert ask(port_of(server), "/") == (200, b"GET / 0")
    finally:
        application.release()
        server.stop()
        assert server.wait(WATCHDOG)
    for thread in running:
        thread.join(WATCHDOG)
        assert not thread.is_alive()
    assert len(running) >= 5 and server.left_threads == []


@pytest.mark.parametrize("served", [False, True], ids=["before", "later"])
def test_failure_of_the_server_is_told(monkeypatch: pytest.MonkeyPatch, caplog: Any, served: bool) -> None:
    """``on_end`` gets what ended it. Before requests are taken ``start`` raises it; later the log has it."""

    def serve(self: Server) -> None:
        if served:
            self.ready.set()
        raise NoThread("broken on purpose")

    monkeypatch.setattr(Server, "serve", serve)
    ends: list[BaseException | None] = []
    server = ServerThread(OPTIONS, hello, on_end=ends.append)
    if served:
        server.start()
    else:
        with pytest.raises(NoThread):
            server.start()
    assert server.wait(WATCHDOG)
    until(lambda: ends, "its end is told")
    assert isinstance(ends[0], NoThread)
    assert ("the server has ended because of an error" in caplog.text) is served
    for listener in server.listeners:
        listener.close()

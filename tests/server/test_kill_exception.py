"""``threadpool_kill_exception``: an application that cleans up after a SystemExit, as under Paste, sees one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pastepool.errors import SettingsError, WorkerKilled, WorkerKilledExit
from pastepool.runtime.window import window
from pastepool.settings import read
from tests.server.serving import Environ, path_echo, running
from tests.waiting import WATCHDOG, until

LIMITS: dict[str, Any] = {"threadpool_hung_thread_limit": 0.1, "threadpool_kill_thread_limit": 0.2}


class CleansUp:
    """
    An application that hangs, and cleans up after a SystemExit only. ``seen``: what it saw of each kill.

    ``swallows``: it goes on after that, and hangs in its next call of ``write``.
    """

    def __init__(self, swallows: bool = False) -> None:
        self.seen: list[BaseException] = []
        self._swallows = swallows

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith("/hang"):
            return path_echo(environ, start_response)
        write = start_response("200 OK", [])
        try:
            self._compute()
        except SystemExit as error:
            self.seen.append(error)
            if not self._swallows:
                raise
        try:
            write(b"too late")
        except SystemExit as error:
            self.seen.append(error)
            raise
        return []

    def _compute(self) -> None:
        while True:
            threading.get_ident()


@pytest.fixture(params=["raised by the thread", "marked on the thread"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which a kill gets into a thread."""
    if request.param == "marked on the thread":
        monkeypatch.setattr(window, "found_reach", lambda: None)


@pytest.mark.usefixtures("way")
def test_application_sees_a_system_exit() -> None:
    """``except SystemExit`` sees the kill, which is a WorkerKilled too; the client is told 504, and the server goes on."""
    app = CleansUp()
    with running(app, threadpool_kill_exception="SystemExit", **LIMITS) as run, run.client() as client:
        client.ask("/hang")
        assert client.response().status == 504
        until(lambda: app.seen, "it has cleaned up")
        assert run.get("/next").body == b"/next"
    [error] = app.seen
    assert type(error) is WorkerKilledExit
    assert isinstance(error, WorkerKilled)


@pytest.mark.usefixtures("way")
def test_kill_that_finds_the_window_shut_is_a_system_exit_too() -> None:
    """An application that swallowed one gets the next out of ``write``."""
    app = CleansUp(swallows=True)
    with running(app, threadpool_kill_exception="SystemExit", **LIMITS) as run, run.client() as client:
        client.ask("/hang")
        assert client.response().status == 504
        until(lambda: len(app.seen) == 2, "write has raised")
    assert [type(error) for error in app.seen] == [WorkerKilledExit] * 2


def test_default_is_no_system_exit() -> None:
    """Without the option ``except SystemExit`` sees nothing."""
    app = CleansUp()
    with running(app, **LIMITS) as run, run.client() as client:
        client.ask("/hang")
        assert client.response().status == 504
        until(
            lambda: not any(worker.task for worker in run.server.parts.pool.workers.values()), "it has ended", WATCHDOG
        )
    assert app.seen == []


def test_status_of_a_kill_that_ends_the_interpreter_is_never_0() -> None:
    """Made without arguments, as the interpreter makes it."""
    assert WorkerKilledExit().code == 70


@pytest.mark.parametrize("value", ["KeyboardInterrupt", "os._exit", "Exception"])
def test_only_the_two_names_are_taken(value: str) -> None:
    """Any other exception is refused at the start."""
    with pytest.raises(SettingsError, match="WorkerKilled or SystemExit"):
        read({"threadpool_kill_exception": value})

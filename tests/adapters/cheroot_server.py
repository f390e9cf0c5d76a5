"""A server of cheroot that serves on a thread, with our pool or with its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.waiting import WATCHDOG

wsgi = pytest.importorskip("cheroot.wsgi", reason="cheroot is not installed")

from pastepool.adapters.cheroot import Server


class Quiet:
    """A server that keeps its lines. ``lines``: what it said; ``raised``: what came out of ``serve``."""

    lines: list[str]
    raised: BaseException | None = None

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        self.lines.append(msg)


class OnOurPool(Quiet, Server):
    """cheroot's server on our pool."""


class OnItsOwn(Quiet, wsgi.Server):  # type: ignore[name-defined]
    """cheroot's server as it is."""


@contextmanager
def serving(
    application: Callable[..., Any],
    bind: Any = ("127.0.0.1", 0),
    *,
    own: bool = False,
    ssl_adapter: Any = None,
    prepare: Callable[[Any], object] = lambda server: None,
    **options: Any,
) -> Iterator[Any]:
    """
    Serve until the end of the block. ``own``: with cheroot's own pool. ``prepare``: called before the server starts.

    ``server.address`` is the port, or the path of the unix socket.
    """
    server: Any = (OnItsOwn if own else OnOurPool)(bind, application, **options)
    server.lines = []
    server.ssl_adapter = ssl_adapter
    prepare(server)
    server.prepare()
    server.address = bind if isinstance(bind, str) else server.bind_addr[1]

    def serve() -> None:
        try:
            server.serve()
        except BaseException as error:
            server.raised = error

    server.thread = threading.Thread(target=serve, name="cheroot")
    server.thread.start()
    try:
        yield server
    finally:
        server.stop()
        server.thread.join(WATCHDOG)
        assert not server.thread.is_alive()

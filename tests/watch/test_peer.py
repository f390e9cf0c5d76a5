"""Who asks is told by the connection, whatever a header or a middleware says."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from pastepool.watch.app import WatchApp
from pastepool.watch.options import WatchOptions
from tests.server.serving import Running, plain, running
from tests.watch.watching import mounted

TOKEN = "correct-horse-battery"
STATE = "/ops/threads/api/v1/state"


def claiming(address: str, inner: Any) -> Any:
    """A middleware that believes a header, and puts what it says into REMOTE_ADDR."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = address
        return inner(environ, start_response)  # type: ignore[no-any-return]

    return app


def asked(run: Running, *lines: str) -> Any:
    """The state, or the refusal."""
    response = run.get(STATE, "Host: localhost", *lines, version="1.0")
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("claimed", ["127.0.0.1", "10.0.0.5", "", "nonsense"])
def test_middleware_cannot_change_who_asks(claimed: str) -> None:
    """The address is the socket's; whatever is claimed, the token lets in and nothing else does."""
    page = claiming(claimed, mounted(plain(), WatchApp(WatchOptions(token=TOKEN))))
    with running(page) as run:
        status, state = asked(run, f"X-Pastepool-Token: {TOKEN}")
        assert (status, state["you"]["address"]) == (200, "127.0.0.1")
    with running(claiming(claimed, mounted(plain(), WatchApp(WatchOptions())))) as run:
        assert asked(run)[0] == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_header_cannot_bring_anybody_in(header: str) -> None:
    """From a network that is not let in no header helps, and it takes nobody out of one that is."""
    elsewhere = WatchOptions(token=TOKEN, allow_from=(ipaddress.ip_network("10.0.0.0/8"),))
    with running(mounted(plain(), WatchApp(elsewhere))) as run:
        status, said = asked(run, f"{header}: 10.0.0.5", f"X-Pastepool-Token: {TOKEN}")
        assert status == 403 and said["text"].startswith("127.0.0.1 is not let in.")
    with running(mounted(plain(), WatchApp(WatchOptions(token=TOKEN)))) as run:
        status, state = asked(run, f"{header}: 10.0.0.5", f"X-Pastepool-Token: {TOKEN}")
        assert (status, state["you"]["address"]) == (200, "127.0.0.1")

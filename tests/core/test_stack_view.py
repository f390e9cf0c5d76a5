"""Whose code a call is, how it is named, and what a worker does for its client."""

from __future__ import annotations

import pytest

from pastepool.core.report import Place
from pastepool.core.stack_view import Owner, owner_of, phase_of, short_name, telling_index

SITE = "/venv/lib/python3.11/site-packages"
OURS = f"{SITE}/pastepool"


@pytest.mark.parametrize(
    ("file", "owner", "short"),
    [
        ("/srv/shop/shop/db.py", Owner.OWN, "shop/db.py"),
        ("/elsewhere/tool.py", Owner.OWN, "/elsewhere/tool.py"),
        (f"{SITE}/pyramid/router.py", Owner.LIBRARY, "pyramid/router.py"),
        ("/usr/lib/python3/dist-packages/webob/dec.py", Owner.LIBRARY, "webob/dec.py"),
        ("/usr/lib/python3.12/threading.py", Owner.STDLIB, "threading.py"),
        ("<frozen importlib._bootstrap>", Owner.STDLIB, "<frozen importlib._bootstrap>"),
        (f"{OURS}/runtime/worker.py", Owner.SERVER, "pastepool/runtime/worker.py"),
        ("/src/pastepool/wsgi/call.py", Owner.SERVER, "pastepool/wsgi/call.py"),
        (f"{OURS}/demo/app.py", Owner.LIBRARY, "pastepool/demo/app.py"),
        ("/srv/pastepool_shop/db.py", Owner.OWN, "/srv/pastepool_shop/db.py"),
        ("C:\\Python312\\Lib\\queue.py", Owner.STDLIB, "C:\\Python312\\Lib\\queue.py"),
    ],
)
def test_files_have_an_owner_and_a_short_name(file: str, owner: Owner, short: str) -> None:
    """By where they lie, and without the part that is the same for all."""
    assert owner_of(file) is owner
    assert short_name(file, "/srv/shop/") == short


def stack(*calls: tuple[str, str]) -> list[Place]:
    """Calls, innermost first."""
    return [Place(file, 1, function) for file, function in calls]


WORKER = [(f"{OURS}/runtime/worker.py", "Worker._run"), ("/usr/lib/python3.11/threading.py", "Thread.run")]
RESPOND = [(f"{OURS}/wsgi/call.py", "Call.respond"), *WORKER]


@pytest.mark.parametrize(
    ("calls", "phase"),
    [
        ([("/srv/app.py", "view"), *RESPOND], "running"),
        ([("/usr/lib/python3.11/threading.py", "Event.wait"), ("/srv/app.py", "view"), *RESPOND], "running"),
        (RESPOND, "running"),
        (WORKER, "running"),
        ([(f"{OURS}/runtime/exchange.py", "Exchange.transmit"), *RESPOND], "writing"),
        ([(f"{OURS}/wsgi/call.py", "Call._emit"), *RESPOND], "writing"),
        (
            [
                ("/usr/lib/python3.11/threading.py", "Condition.wait"),
                (f"{OURS}/runtime/output.py", "Output.wait_below"),
                (f"{OURS}/runtime/exchange.py", "Exchange._queue"),
                *RESPOND,
            ],
            "waiting for the client",
        ),
        ([], "running"),
    ],
)
def test_phase_is_told_by_the_innermost_calls(calls: list[tuple[str, str]], phase: str) -> None:
    """Running in the application, writing, or waiting for the client to read."""
    assert phase_of(stack(*calls)) == phase


def test_telling_call_is_the_applications() -> None:
    """The innermost line of the application, wherever the stack ends."""
    frames = stack(
        ("/usr/lib/python3.11/socket.py", "recv"), (f"{SITE}/db/driver.py", "read"), ("/srv/a.py", "view"), *RESPOND
    )
    assert telling_index(frames) == 2
    assert telling_index([]) == 0 and telling_index(frames[:1]) == 0

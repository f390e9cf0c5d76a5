"""How a call is named on the page, and what a worker does for its client."""

from __future__ import annotations

import pytest

from pastepool.core.ownership import own_file
from pastepool.core.telling.report import CodePlace
from pastepool.core.telling.stack_view import phase_of, short_name, telling_index

SITE = "/venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("file", "short"),
    [
        ("/srv/shop/shop/db.py", "shop/db.py"),
        ("/elsewhere/tool.py", "/elsewhere/tool.py"),
        (f"{SITE}/pyramid/router.py", "pyramid/router.py"),
        ("/usr/lib/python3.12/threading.py", "threading.py"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        (own_file("wsgi/call.py"), "pastepool/wsgi/call.py"),
        ("/srv/pastepool_shop/db.py", "/srv/pastepool_shop/db.py"),
        ("C:\\Python312\\Lib\\queue.py", "C:\\Python312\\Lib\\queue.py"),
    ],
)
def test_files_have_a_short_name(file: str, short: str) -> None:
    """Without the part of the path that is the same for all files of one owner."""
    assert short_name(file, "/srv/shop/") == short


def stack(*calls: tuple[str, str]) -> list[CodePlace]:
    """Calls, innermost first."""
    return [CodePlace(file, 1, function) for file, function in calls]


WORKER = [(own_file("runtime/pool/worker.py"), "Worker._run"), ("/usr/lib/python3.11/threading.py", "Thread.run")]
RESPOND = [(own_file("wsgi/call.py"), "Call.run"), *WORKER]


@pytest.mark.parametrize(
    ("calls", "phase"),
    [
        ([("/srv/app.py", "view"), *RESPOND], "running"),
        ([("/usr/lib/python3.11/threading.py", "Event.wait"), ("/srv/app.py", "view"), *RESPOND], "running"),
        (RESPOND, "running"),
        (WORKER, "running"),
        ([(own_file("runtime/http/transmitting.py"), "TransmittingCall.transmit"), *RESPOND], "writing"),
        ([(own_file("wsgi/call.py"), "Call._emit"), *RESPOND], "writing"),
        (
            [
                ("/usr/lib/python3.11/threading.py", "Condition.wait"),
                (own_file("runtime/http/output.py"), "Output.wait_for_room"),
                (own_file("runtime/http/transmitting.py"), "TransmittingCall._queue"),
                *RESPOND,
            ],
            "waiting for the client",
        ),
        ([(own_file("runtime/http/output.py"), "Output.add"), *RESPOND], "writing"),
        ([(own_file("runtime/http/spool.py"), "Spool.append"), *RESPOND], "writing"),
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

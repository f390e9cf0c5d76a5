"""
The ways in which a request hangs. Each ends by itself at ``hang_limit``, so a forgotten tab is no leak.

They differ in what a kill does to them: a loop is left in milliseconds, while a thread inside a C call (a sleep, a
lock, a socket of its own) sees the exception only when that call returns. ``stubborn`` swallows it.
"""

from __future__ import annotations

import queue
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable

from webob import Request, Response

from pastepool.demo.html import page, refusal
from pastepool.demo.numbers import parameter
from pastepool.demo.route import Route


def in_loop(seconds: float) -> None:
    """Compute without an end in sight."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def on_lock(seconds: float) -> None:
    """Wait for a lock that nobody will release, as in a deadlock."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=seconds)


def on_socket(seconds: float) -> None:
    """Wait for a server that took the question and does not answer, as a database does behind a lock."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as asking:
        silent, _ = listener.accept()
        with silent:
            # The kernel's own timeout: with Python's, the thread would wait in poll() and not in recv().
            whole, rest = divmod(max(seconds, 0.000001), 1)
            asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(whole), int(rest * 1e6)))
            try:
                asking.recv(1)
            except BlockingIOError:
                pass


def on_queue(seconds: float) -> None:
    """Wait for a result that no other thread will deliver."""
    try:
        queue.SimpleQueue[None]().get(timeout=seconds)
    except queue.Empty:
        pass


def on_child(seconds: float) -> None:
    """Wait for a program that does not end."""
    subprocess.run(["sleep", str(seconds)], check=False)


def stubborn(seconds: float) -> None:
    """Go on whatever happens: no kill ends this, which is how a zombie comes about."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            in_loop(until - time.monotonic())
        except BaseException:
            continue


KINDS: dict[str, Callable[[float], None]] = {
    "sleep": time.sleep,
    "loop": in_loop,
    "lock": on_lock,
    "socket": on_socket,
    "queue": on_queue,
    "child": on_child,
    "stubborn": stubborn,
}


def hanging(request: Request, hang_limit: float) -> Response:
    """Hang in the way ``?kind=`` names, for ``?seconds=`` or until the limit."""
    kind = request.GET.get("kind", "sleep")
    if kind not in KINDS:
        return refusal(request, 400, f"The value of kind has to be one of {', '.join(KINDS)}, not {kind[:40]!r}.")
    seconds = parameter(request, "seconds", hang_limit, 0, hang_limit)
    KINDS[kind](seconds)
    return page(request, "Back again", f"<p>This request hung for {seconds:g} seconds ({kind}).</p>")


ROUTES = (
    Route(
        "/hanging",
        "Hanging",
        "A request that does not come back: sleeping, computing, or waiting for a lock, a socket, a queue or a child "
        "process; the stubborn one survives being killed.",
        hanging,
        tuple((kind, f"kind={kind}") for kind in KINDS),
    ),
)

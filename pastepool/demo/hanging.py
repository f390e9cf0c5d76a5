"""
The route that hangs, in several ways. Each ends by itself after ``hang_limit`` seconds, so no worker is lost for good.

A kill has a different effect on each. It ends a loop within milliseconds. A thread inside a C call (a sleep, a lock, a
socket) gets the exception only when that call returns. ``stubborn`` swallows the exception.
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
    """Use the processor in an endless loop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def on_lock(seconds: float) -> None:
    """Wait for a lock that no thread will release, as in a deadlock."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire(timeout=seconds)


def on_socket(seconds: float) -> None:
    """Wait for a server that accepts the connection and does not answer, as a database that waits for a lock does."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as asking:
        silent, _ = listener.accept()
        with silent:
            # A timeout of the kernel: with one of Python, the thread would wait in poll() and not in recv().
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
    """Swallow every exception and go on. No kill ends this, so the worker becomes a zombie."""
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
    """Hang in the way that ``?kind=`` names, for ``?seconds=``, or for ``hang_limit`` seconds."""
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

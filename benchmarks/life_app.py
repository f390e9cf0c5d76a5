"""
The application of ``benchmarks.life``: the usual routes, and those that stop a process or tell which one answers.

It takes a second to load, as applications do. So a server that ends a process before the next one is ready shows it.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from benchmarks.app import app as usual
from benchmarks.app import blocking

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOADS_FOR = 1.0
HELD_FOR = 600

time.sleep(LOADS_FOR)


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """``/pid`` answers the process id, ``/second`` takes one, ``/stuck`` keeps the lock of the interpreter."""
    path = environ["PATH_INFO"]
    if path == "/pid":
        text = b"%d" % os.getpid()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
        return [text]
    if path == "/second":
        return blocking(1.0)(environ, start_response)
    if path == "/stuck":
        ctypes.PyDLL(None).sleep(HELD_FOR)  # PyDLL does not release the lock
    return usual(environ, start_response)


def make_app(global_conf: dict[str, str], **local_conf: str) -> WSGIApplication:
    """Return the application, for Paste Deploy."""
    return app

"""Requests to a server of SCGI, as a front-end sends them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from types import MappingProxyType

from tests.waiting import WATCHDOG


def send(port: int, path: str, more: Mapping[str, str] = MappingProxyType({})) -> socket.socket:
    """Send one request. ``more``: further fields. Returns its connection."""
    fields = {
        "CONTENT_LENGTH": "0",
        "SCGI": "1",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": path,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        **more,
    }
    head = "".join(f"{name}\0{value}\0" for name, value in fields.items()).encode()
    sock = socket.create_connection(("127.0.0.1", port), WATCHDOG)
    sock.sendall(b"%d:%s," % (len(head), head))
    return sock


def ask(port: int, path: str = "/", more: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Send one request, and return the content of its response; empty if none came."""
    try:
        with send(port, path, more) as sock:
            answer = b"".join(iter(lambda: sock.recv(65536), b""))
    except OSError:
        return b""
    return answer.partition(b"\r\n\r\n")[2]

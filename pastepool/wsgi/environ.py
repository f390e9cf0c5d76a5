"""
Build the environ of PEP 3333 for a request.

Keys that are the same for all requests of a listener or of a connection are put once into a prototype. The engine
copies the prototype for each request (one C call), so a request costs only its own keys.
"""

from __future__ import annotations

import io
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from pastepool.core.wording import bracketed
from pastepool.http1.engine import Request
from pastepool.wsgi.file_wrapper import FileWrapper


def listener_prototype(
    *, scheme: str, server_name: str, server_port: int, software: str, errors: Any, extra: dict[str, Any]
) -> dict[str, Any]:
    """
    Return the keys that all environs of one listener share.

    ``scheme``: what its clients speak, ``http`` or ``https``. ``server_name``: an IPv6 address gets brackets in
    ``SERVER_NAME`` (RFC 3875 4.1.14). ``errors``: the stream for ``wsgi.errors``. ``extra``: keys
    that third parties look for (``paste.httpserver.thread_pool``).
    """
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input": None,
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_SOFTWARE": software,
        "SERVER_NAME": bracketed(server_name),
        "SERVER_PORT": str(server_port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        **extra,
    }


def connection_prototype(
    listener: dict[str, Any], host: str, port: int, credentials: tuple[int, int, int] | None = None
) -> dict[str, Any]:
    """
    Return the keys that all environs of one connection share: the listener's keys and the client's address.

    A client on a unix socket has no address: ``host`` is empty, and so are both keys, because PEP 3333 wants text.
    ``credentials``: its process, user and group.
    """
    prototype = listener.copy()
    prototype["REMOTE_ADDR"] = host
    prototype["REMOTE_PORT"] = str(port) if host else ""
    if credentials is not None:
        prototype["pastepool.peer_credentials"] = credentials
    return prototype


_FEW_ESCAPES = 16
"""Up to this many escapes ``urllib.parse`` is faster than the codec."""

_PERCENT = ord("%")
_PERCENTS = bytes(_PERCENT if byte == _PERCENT else 0 for byte in range(256))
_DIGITS = bytes(_PERCENT if byte in b"0123456789abcdefABCDEF" else 0 for byte in range(256))
"""Tables for ``bytes.translate``: a ``%``, or a hexadecimal digit, becomes ``%``, and every other byte becomes 0."""


def unescaped(path: bytes) -> str:
    """
    Undo the percent-encoding of a path. A ``%`` without two hexadecimal digits stays (as in ``urllib.parse``).

    Returns: the bytes as latin-1 text (PEP 3333, "Unicode Issues").

    ``urllib.parse`` takes a step for each escape, and a target may have 8,000 of them, whole or broken. A codec takes one
    step for all: ``%41`` becomes ``\\x41``, which it knows, and each backslash that was there before is doubled. The
    escapes are found in one step too, with the path as one large number: shifted by one and two bytes, the digits lie
    where the ``%`` before them lies. There the exclusive or makes a 0 of it; the path has no other.
    """
    if path.count(b"%") <= _FEW_ESCAPES:
        return unquote_to_bytes(path).decode("latin-1")
    text = path.replace(b"\\", rb"\\").replace(b"\0", rb"\x00")
    digits = int.from_bytes(text.translate(_DIGITS), "big")
    escapes = int.from_bytes(text.translate(_PERCENTS), "big") & digits << 8 & digits << 16
    marked = (int.from_bytes(text, "big") ^ escapes).to_bytes(len(text), "big")
    return marked.replace(b"\0", rb"\x").decode("unicode_escape")


_HANDED_OVER: dict[str, Any] = {}


def complete_environ(request: Request, content: BinaryIO | None, content_length: int) -> dict[str, Any]:
    """
    Turn the fields of a request into the environ with which the application is called.

    ``content``: a file at its beginning that ends where the content ends; None if there is no content. Text is latin-1
    (PEP 3333, "Unicode Issues"). ``CONTENT_LENGTH`` and ``CONTENT_TYPE`` are always present, as with Paste. For chunked
    content the length is that of the decoded content, so the application need not know that it was chunked.
    """
    environ = request.fields
    # The environ will hold methods of the object that holds the request. That object drops the environ at the end, so
    # that no cycle of references remains; a second reference from the request would keep the cycle.
    request.fields = _HANDED_OVER
    target = request.target.decode("latin-1")
    environ["REQUEST_URI"] = target
    path = request.path
    if path.find(b"%") >= 0:
        environ["PATH_INFO"] = unescaped(path)
    elif path is request.target:
        environ["PATH_INFO"] = target
    else:
        environ["PATH_INFO"] = path.decode("latin-1")
    if request.query:
        environ["QUERY_STRING"] = request.query.decode("latin-1")
    environ["REQUEST_METHOD"] = request.method
    if request.version != "1.1":
        environ["SERVER_PROTOCOL"] = "HTTP/1.0"
    if content is None:
        environ["wsgi.input"] = io.BytesIO()
        environ["CONTENT_LENGTH"] = "0"
    else:
        environ["wsgi.input"] = content
        environ["CONTENT_LENGTH"] = str(content_length)
    if "CONTENT_TYPE" not in environ:
        environ["CONTENT_TYPE"] = ""
    return environ

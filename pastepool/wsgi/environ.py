"""
Build the environ of PEP 3333 for a request.

Keys that are the same for all requests of a listener or of a connection are put once into a prototype. The engine
copies the prototype for each request (one C call), so a request costs only its own keys.
"""

from __future__ import annotations

from binascii import a2b_qp
from io import BytesIO  # ``io`` has a __getattr__, so to look it up there takes longer
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from pastepool.core.wording import bracketed
from pastepool.http1.request import Request
from pastepool.wsgi.file_wrapper import FileWrapper


def listener_prototype(
    *,
    scheme: str,
    server_name: str,
    server_port: int,
    software: str,
    errors: Any,
    extra: dict[str, Any],
    multiprocess: bool = False,
) -> dict[str, Any]:
    """
    Return the keys that all environs of one listener share.

    ``scheme``: what its clients speak, ``http`` or ``https``. ``server_name``: an IPv6 address gets brackets in
    ``SERVER_NAME`` (RFC 3875 4.1.14). ``errors``: the stream for ``wsgi.errors``. ``extra``: keys
    that third parties look for (``paste.httpserver.thread_pool``). ``multiprocess``: other processes may call the same
    application at the same time.
    """
    return {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": errors,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
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


_FEW_ESCAPES = 400
"""Up to this many escapes ``urllib.parse`` is faster than the way for all others."""

_PERCENT = ord("%")
_EQUALS = ord("=")
_AS_QUOTED_PRINTABLE = bytes(_EQUALS if byte == _PERCENT else byte for byte in range(256))
"""A table for ``bytes.translate``: an escape becomes one of quoted-printable, ``=41`` for ``%41``."""

_DIGITS = b"0123456789abcdefABCDEF"

_Tables = tuple[bytes, bytes]


def _tables(mark: int) -> _Tables:
    """Return two tables: a ``%`` becomes its difference to the mark, or a digit does, and every other byte becomes 0."""
    difference = _PERCENT ^ mark
    return (
        bytes(difference if byte == _PERCENT else 0 for byte in range(256)),
        bytes(difference if byte in _DIGITS else 0 for byte in range(256)),
    )


_TO_EQUALS = _tables(_EQUALS)
_TO_ZERO = _tables(0)


def unescaped(path: bytes) -> str:
    """
    Undo the percent-encoding of a path. A ``%`` without two hexadecimal digits stays (as in ``urllib.parse``).

    Returns: the bytes as latin-1 text (PEP 3333, "Unicode Issues").

    ``urllib.parse`` takes a step for each escape, and a target may have 8,000 of them, whole or broken. The decoder of
    quoted-printable takes one step for all. It knows the same escapes, but with ``=``. If all are whole, each makes the
    text two bytes shorter; nothing else that it does to a ``=`` shortens the text as much, but for a line break behind it.
    """
    escapes = path.count(b"%")
    if not escapes:
        return path.decode("latin-1")
    if b"=" not in path and b"\n" not in path and b"\r" not in path:
        found = a2b_qp(path.translate(_AS_QUOTED_PRINTABLE))
        if len(path) - len(found) == 2 * escapes:
            return found.decode("latin-1")
    if escapes <= _FEW_ESCAPES:
        return unquote_to_bytes(path).decode("latin-1")
    return _unescaped_whole_ones(path)


def _unescaped_whole_ones(path: bytes) -> str:
    """
    Undo the percent-encoding of a path with many escapes, of which some are broken, or with a ``=``.

    A ``=`` that was there before has to be escaped. Where backslashes are fewer, the escapes become those of Python
    (``\\x41``), and these are doubled.
    """
    if path.count(b"=") <= path.count(b"\\"):
        return a2b_qp(_with_whole_ones_marked(path.replace(b"=", b"=3D"), _TO_EQUALS)).decode("latin-1")
    text = path.replace(b"\\", rb"\\").replace(b"\0", rb"\x00")
    return _with_whole_ones_marked(text, _TO_ZERO).replace(b"\0", rb"\x").decode("unicode_escape")


def _with_whole_ones_marked(text: bytes, tables: _Tables) -> bytes:
    """
    Return the text with the mark of the tables for the ``%`` of each whole escape. It must have no such mark before.

    They are found in one step, with the text as one large number: shifted by one and two bytes, the digits lie where the
    ``%`` before them lies. There the exclusive or makes the mark of it.
    """
    percents, digits = (int.from_bytes(text.translate(table), "big") for table in tables)
    whole = percents & digits << 8 & digits << 16
    return (int.from_bytes(text, "big") ^ whole).to_bytes(len(text), "big")


def complete_environ(request: Request, content: BinaryIO | None, content_length: int) -> dict[str, Any]:
    """
    Turn the fields of a request into the environ with which the application is called, and return them.

    ``content``: a file at its beginning that ends where the content ends; None if there is no content. Text is latin-1
    (PEP 3333, "Unicode Issues"). ``CONTENT_LENGTH`` and ``CONTENT_TYPE`` are always present, as with Paste. For chunked
    content the length is that of the decoded content, so the application need not know that it was chunked.
    """
    environ = request.fields
    target = request.target.decode("latin-1")
    environ["REQUEST_URI"] = target
    path = request.path
    if _PERCENT in path:
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
        environ["wsgi.input"] = BytesIO()
        environ["CONTENT_LENGTH"] = "0"
    else:
        environ["wsgi.input"] = content
        environ["CONTENT_LENGTH"] = str(content_length)
    if "CONTENT_TYPE" not in environ:
        environ["CONTENT_TYPE"] = ""
    return environ

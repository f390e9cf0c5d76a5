"""
Refuse heads that the parser takes and we do not, and turn the parser's refusals into sentences.

The engine looks itself for what nearly every head has; it asks here for the rest. Each check raises ``PeerError`` with
the status to answer: it is the client's fault.
"""

from __future__ import annotations

import re
from typing import Any

from httptools import HttpParserError

from pastepool.errors import PeerError
from pastepool.http1.limits import Limits
from pastepool.http1.request import Request
from pastepool.http1.target import is_host, split_target

_MOST_DIGITS = 20
"""How long a Content-Length may be. The parser knows no larger number, but takes any count of zeros before it."""

_VERSION_REFUSALS = ("Invalid HTTP version", "Pause on PRI/Upgrade")
"""The error texts of llhttp for a version that it does not know, and for the HTTP/2 preface."""

SPOKEN = "HTTP/1.1 and HTTP/1.0 are"
"""RFC 9110 15.6.6 asks a 505 to say what is spoken."""


def check_host(request: Request, fields: dict[str, Any]) -> str:
    """Check the version and the Host field (RFC 9112 3.2). Returns: the host; empty if HTTP/1.0 names none."""
    version = request.version
    if version != "1.1":
        _check_old_version(request, fields)
    host: str | None = fields.get("HTTP_HOST")
    if host is None:
        if version == "1.1":
            raise PeerError(400, "The request has no Host field.")
        return ""
    if not is_host(host):
        raise PeerError(400, "The Host field is not a host name with an optional port.")
    return host


def _check_old_version(request: Request, fields: dict[str, Any]) -> None:
    version = request.version
    if version != "1.0":
        raise PeerError(505, f"HTTP/{version} is not spoken here; {SPOKEN}.")
    if request.keep_alive and "close" in re.split(r"[,\s]+", fields.get("HTTP_CONNECTION", "").lower()):
        request.keep_alive = False  # RFC 9112 9.3: if both are named, close wins; for the parser keep-alive wins


def check_target(request: Request, fields: dict[str, Any]) -> None:
    """Take apart a target that is no path, or has a fragment (RFC 9112 3.2)."""
    request.path, request.query, authority = split_target(request.method, request.target)
    if authority is not None:
        fields["HTTP_HOST"] = authority  # RFC 9112 3.2.2: the host in the target replaces that of the field


def check_content(request: Request, fields: dict[str, Any], limits: Limits) -> int | None:
    """
    Decide how content is framed (RFC 9112 6.3), and refuse framing that can be understood in two ways.

    Returns: how many bytes of content follow the head; None if they are in chunks.
    """
    coding = fields.pop("HTTP_TRANSFER_ENCODING", None)
    if coding is not None:
        _check_coding(request, coding)
    digits = fields.get("CONTENT_LENGTH")
    length = 0
    if digits is not None:
        if len(digits) > _MOST_DIGITS:
            raise PeerError(400, f"The Content-Length has more than {_MOST_DIGITS} digits.")
        length = int(digits)
        if limits.body_bytes and length > limits.body_bytes:
            raise PeerError(413, f"The request's content is larger than {limits.body_bytes} bytes.")
    request.announces_content = coding is not None or length > 0
    expectation = fields.get("HTTP_EXPECT")
    if expectation is not None and request.version == "1.1":
        if expectation.lower() != "100-continue":
            raise PeerError(417, "The only expectation met here is 100-continue.")
        request.expects_continue = request.announces_content
    return length if coding is None else None


def _check_coding(request: Request, coding: str) -> None:
    if request.version != "1.1":
        raise PeerError(400, "Transfer-Encoding does not exist in HTTP/1.0.")
    if coding.lower() != "chunked":
        raise PeerError(501, "The only transfer coding understood is chunked.")


def tls_refusal() -> PeerError:
    """Return the error for a client that speaks TLS to a listener without it."""
    return PeerError(400, "This port speaks plain HTTP and was sent TLS: use http://, not https://.")


def refusal_of_parser(error: HttpParserError, in_content: bool) -> PeerError:
    """Turn an error of the parser into one with a status and a sentence of ours."""
    text = str(error)
    if text in _VERSION_REFUSALS:
        return PeerError(505, f"The request names an HTTP version that is not spoken here; {SPOKEN}.")
    return PeerError(400, f"The request is not valid HTTP ({'content' if in_content else 'head'}: {text.rstrip('.')}).")

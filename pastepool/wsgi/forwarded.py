"""
Tell an application what a trusted proxy says of the client, and remove what an untrusted one says (waitress's rules).

A proxy adds fields that name the client's address and the host and scheme that the client asked for. Any client can send
the same fields. So they count only if the connection comes from the trusted proxy, and only those that the operator
named. Pure. Source: RFC 7239, and waitress 3, whose meaning ``egg:pastepool#main`` keeps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pastepool.core.addresses import client_address
from pastepool.core.ownership import calls_application
from pastepool.core.proxy_trust import (
    ANYBODY,
    FOR,
    FORWARDED,
    HOST,
    KEYS,
    KNOWN,
    PORT,
    PROTO,
    UNIX_PEER,
    USUAL_PORTS,
    ProxyTrust,
)
from pastepool.core.wording import printable
from pastepool.errors import PeerError
from pastepool.wsgi.serving import Application

Environ = dict[str, Any]

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")
_BRACKETED_WITH_PORT = re.compile(r"\[[^\]]*\]:[0-9]*")


@dataclass
class _Claims:
    """What the proxy says of one request; empty where it says nothing."""

    client: str = ""
    host: str = ""
    proto: str = ""
    port: str = ""


def behind_proxy(application: Application, trust: ProxyTrust, tell: Callable[[str], None]) -> Application:
    """
    Return an application that changes the environ as ``trust`` says and calls this one; this one itself if nothing is to
    be changed.

    A trusted proxy that sends a field which cannot be understood is answered 400, as with waitress. ``tell``: writes a
    warning to the log; must not fail. The address of the connection stays in ``pastepool.peer`` where another one takes
    its place. ``pastepool.forwarded`` is True where fields were removed.
    """
    if not trust.proxy and not trust.clear:
        return application

    @calls_application
    def told(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        peer = client_address(environ["REMOTE_ADDR"]) or UNIX_PEER
        believed: frozenset[str] = frozenset()
        if trust.proxy in (ANYBODY, peer):
            try:
                _put_in(environ, _claims(environ, trust))
            except PeerError as error:
                tell(f"{error.reason} The request from {peer} is answered 400.")
                text = error.reason.encode("latin-1", "replace") + b"\n"
                start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
                return [text]
            believed = trust.headers
        if trust.clear:
            _clear(environ, believed, tell if trust.log_cleared else None)
        parts: Iterable[bytes] = application(environ, start_response)
        return parts

    return told


def _clear(environ: Environ, believed: frozenset[str], tell: Callable[[str], None] | None) -> None:
    removed = [name for name in KNOWN if name not in believed and environ.pop(KEYS[name], None) is not None]
    if removed:
        environ["pastepool.forwarded"] = True
        if tell is not None:
            tell(
                f"Removed untrusted fields: {', '.join(removed)}. A proxy should remove them before it passes on a request."
            )


def _claims(environ: Environ, trust: ProxyTrust) -> _Claims:
    """Read the fields that are believed, and cut their lists to the entries that are. Raises: PeerError 400."""
    claims = _Claims()
    for name in (FOR, HOST, PROTO, PORT):
        text = environ.get(KEYS[name], "") if name in trust.headers else ""
        if text:
            try:
                _READERS[name](claims, environ, text, trust.count)
            except ValueError as error:
                raise _malformed(name, str(error), text) from None
    text = environ.get(KEYS[FORWARDED], "") if FORWARDED in trust.headers else ""
    if text:
        try:
            claims = _read_forwarded(environ, text, trust.count)
        except ValueError as error:
            raise _malformed(FORWARDED, str(error), text) from None
    claims.proto = claims.proto.lower()
    if claims.proto and claims.proto not in USUAL_PORTS:
        raise _malformed(FORWARDED if text else PROTO, "the scheme is neither http nor https", claims.proto)
    return claims


def _malformed(name: str, why: str, text: str) -> PeerError:
    return PeerError(400, f"The header {name!r} of the proxy is malformed: {why}: {printable(text, 100)!r}.")


def _last(environ: Environ, name: str, text: str, count: int) -> list[str]:
    """Cut a list to its last entries, also for the application, and return them."""
    entries = text.split(",")[-count:]
    environ[KEYS[name]] = ",".join(entries).strip()
    return entries


def _first_of_last(environ: Environ, name: str, text: str, count: int) -> str:
    """Return the leftmost believed entry. Raises: ValueError: any entry is malformed, also one that is not believed."""
    entries = [_unquoted(entry.strip()) for entry in text.split(",")]
    _last(environ, name, text, count)
    return entries[-count:][0]


def _read_for(claims: _Claims, environ: Environ, text: str, count: int) -> None:
    client = client_address(_first_of_last(environ, FOR, text, count))
    if "." not in client and ":" in client and not client.endswith("]") and not _BRACKETED_WITH_PORT.fullmatch(client):
        client = f"[{client}]"  # an IPv6 address without brackets has no port behind it
    claims.client = client


def _read_host(claims: _Claims, environ: Environ, text: str, count: int) -> None:
    claims.host = _first_of_last(environ, HOST, text, count)


def _read_proto(claims: _Claims, environ: Environ, text: str, count: int) -> None:
    claims.proto = _single(text)


def _read_port(claims: _Claims, environ: Environ, text: str, count: int) -> None:
    claims.port = _single(text)
    if claims.port and not _PORT.fullmatch(claims.port):
        raise ValueError("it is not a port")


_READERS = {FOR: _read_for, HOST: _read_host, PROTO: _read_proto, PORT: _read_port}


def _single(text: str) -> str:
    value = _unquoted(text)
    if "," in value:
        raise ValueError("it has several values")
    return value


def _read_forwarded(environ: Environ, text: str, count: int) -> _Claims:
    """Read the field of RFC 7239. Each fact comes from the leftmost believed entry that has it. Raises: ValueError."""
    claims = _Claims()
    elements = [_element(entry.strip()) for entry in text.split(",")]
    _last(environ, FORWARDED, text, count)
    for element in reversed(elements[-count:]):
        claims.client = element.get("for") or claims.client
        claims.host = element.get("host") or claims.host
        claims.proto = element.get("proto") or claims.proto
    return claims


_PARAMETERS = ("by", "for", "host", "proto")
"""The parameters of RFC 7239. Others are ignored, whatever they hold."""


def _element(text: str) -> dict[str, str]:
    """Read the pairs of one entry. Names and values are in lower case, as waitress has them. Raises: ValueError."""
    pairs: dict[str, str] = {}
    for pair in filter(None, text.lower().split(";")):
        name, equals, value = pair.partition("=")
        if not equals:
            raise ValueError("a pair has no '='")
        if name != name.strip() or value != value.strip():
            raise ValueError("there is a blank beside '='")
        if name in _PARAMETERS:
            pairs[name] = _unquoted(value)
    return pairs


def _unquoted(text: str) -> str:
    """Remove the quotation marks of a quoted string (RFC 9110 5.6.4). Raises: ValueError: only one mark, or a bad one."""
    if not text.startswith('"') and not text.endswith('"'):
        return text
    found = _QUOTED.fullmatch(text)
    if found is None:
        raise ValueError("its quotation marks do not match")
    return _ESCAPED.sub(r"\1", found[1])


def _put_in(environ: Environ, claims: _Claims) -> None:
    """Put what the proxy says into the environ. Raises: PeerError 400: the client has no address."""
    if claims.proto:
        environ["wsgi.url_scheme"] = claims.proto
    port = claims.port or USUAL_PORTS.get(claims.proto, "")
    if claims.host:
        port = _put_host(environ, claims.host, port)
    if port:
        environ["SERVER_PORT"] = port
    if claims.client:
        _put_client(environ, claims.client)


def _put_host(environ: Environ, host: str, port: str) -> str:
    """Put in the host that the client asked for. Returns the port: that of the host counts before the other one."""
    if ":" in host and not host.endswith("]"):
        environ["SERVER_NAME"], port = (part.strip() for part in host.rsplit(":", 1))
        environ["HTTP_HOST"] = host
        return port
    environ["SERVER_NAME"] = host
    usual = port in ("", USUAL_PORTS.get(environ["wsgi.url_scheme"]))
    environ["HTTP_HOST"] = host if usual else f"{host}:{port}"
    return port


def _put_client(environ: Environ, client: str) -> None:
    """Put in the client's address. The address of the connection is kept beside it."""
    address, port = client, ""
    if ":" in client and not client.endswith("]"):
        address, port = (part.strip() for part in client.rsplit(":", 1))
    address = address.strip()
    if address.startswith("[") and address.endswith("]"):
        address = client_address(address[1:-1])
    if not address:
        raise _malformed("forwarded for", "the client has no address", client)
    environ.setdefault("pastepool.peer", environ["REMOTE_ADDR"])
    environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = address
    if port:
        environ["REMOTE_PORT"] = port

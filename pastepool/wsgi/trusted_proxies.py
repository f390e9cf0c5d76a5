"""
Tell an application what the trusted proxies say of the client (``trusted_proxies``). Pure.

Each proxy adds an entry at the end of a list: the address from which the request came to it. So the walk begins at the
end, with the connection's own other end, and goes on as long as the address is that of a trusted proxy. The first other
address is the client. What stands before it was written by the client itself, and is removed. Sources: RFC 7239;
``X-Forwarded-For`` has no standard, and is read in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from pastepool.core.addresses import same_address
from pastepool.core.ownership import calls_application
from pastepool.core.proxy_trust import FOR, FORWARDED, HOST, KEYS, PORT, PREFIX, PROTO, USUAL_PORTS, TrustedProxies
from pastepool.http1.target import is_host
from pastepool.wsgi.serving import Application

_MOST_HOPS = 16
"""How many proxies stand one behind the other at most. A client may send any number of entries, and each costs time."""

_X_FORWARDED = "HTTP_X_FORWARDED_"
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NODE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")
_PREFIX = re.compile(r"(?:/[^/\x00-\x20?#\\\x7f]+)+")
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")


class _Hop(NamedTuple):
    """What one proxy says: from where the request came to it, and what it asked for. Empty where it says nothing."""

    node: str
    proto: str = ""
    host: str = ""


def behind_trusted_proxies(application: Application, trusted: TrustedProxies) -> Application:
    """
    Return an application that changes the environ as the trusted proxies say and calls this one; this one itself if no
    proxy is trusted.

    From another peer every field of proxies is removed; from a trusted one those of the other family, and what does not
    fit. The address of the connection stays in ``pastepool.peer`` where the client's address takes its place.
    ``pastepool.forwarded`` is True where a field was removed.
    """
    if not trusted:
        return application
    believed = _Believed(trusted)

    @calls_application
    def told(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if trusted.is_peer(environ["REMOTE_ADDR"]):
            believed.believe(environ)
        else:
            _remove_all(environ)
        parts: Iterable[bytes] = application(environ, start_response)
        return parts

    return told


_SAID = (
    *("REMOTE_ADDR", "pastepool.peer", "wsgi.url_scheme"),
    *(KEYS[name] for name in (FOR, PROTO, HOST, PORT, FORWARDED)),
)
"""All keys that ``_believe`` reads, apart from ``Forwarded`` where it counts, and from a prefix and the path below it."""

_WRITTEN = ("SERVER_NAME", "SERVER_PORT", "HTTP_HOST", "REMOTE_PORT", "pastepool.forwarded")
"""All keys that it writes and does not read."""

_Changes = tuple[dict[str, Any], list[str]]
"""What to put into an environ, and the keys to remove from it."""

_REMEMBERED = 1024
_LONGEST_SAID = 512
"""How much of what proxies said is remembered, and how many characters of each. A client can write a part of it."""


class _Believed:
    """
    Believe a trusted peer, and remember what that changed: a proxy says the same of all requests of one client.

    Reading the fields takes as long as the rest of a short request, so each combination of them is read once. Runs on: any
    worker. No lock is needed, because each operation on the dict is atomic; two workers may read the same fields at once.
    """

    def __init__(self, trusted: TrustedProxies) -> None:
        self._trusted = trusted
        self._remembers = FORWARDED not in trusted.fields
        self._changes: dict[tuple[str | None, ...], _Changes] = {}

    def believe(self, environ: dict[str, Any]) -> None:
        """Put in what the peer says."""
        if not self._remembers or KEYS[PREFIX] in environ:
            _believe(environ, self._trusted)
            return
        said = tuple(map(environ.get, _SAID))
        changes = self._changes.get(said)
        if changes is None:
            changes = self._changes_of(environ)
            if sum(len(text) for text in said if text) <= _LONGEST_SAID:
                if len(self._changes) >= _REMEMBERED:
                    self._changes.clear()
                self._changes[said] = changes
        put, removed = changes
        environ.update(put)
        for key in removed:
            del environ[key]

    def _changes_of(self, environ: dict[str, Any]) -> _Changes:
        """
        Return the changes that these fields cause in any environ.

        The fields are read in a trial environ. The keys that are only written are None there, so a value is found as a
        change even if this environ has the same value already.
        """
        trial = {key: environ[key] for key in _SAID if key in environ} | dict.fromkeys(_WRITTEN)
        before = trial.copy()
        _believe(trial, self._trusted)
        put = {key: value for key, value in trial.items() if key not in before or value != before[key]}
        return put, [key for key in before if key not in trial]


def _remove(environ: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        if environ.pop(KEYS[name], None) is not None:
            environ["pastepool.forwarded"] = True


def _remove_all(environ: dict[str, Any]) -> None:
    """Remove every field of proxies, also those that some frameworks know and this module does not."""
    if _X_FORWARDED not in "\n".join(environ) and KEYS[FORWARDED] not in environ:
        return  # nearly always, and five times as fast as to look at each key
    for key in [key for key in environ if key.startswith(_X_FORWARDED) or key == KEYS[FORWARDED]]:
        del environ[key]
        environ["pastepool.forwarded"] = True


def _believe(environ: dict[str, Any], trusted: TrustedProxies) -> None:
    """Put in what a trusted peer says."""
    if FORWARDED in trusted.fields:
        text = environ.pop(KEYS[FORWARDED], "")
        _remove_all(environ)
        if text:
            environ[KEYS[FORWARDED]] = text
        hops = _hops_of_forwarded(text)
        last = _put_client(environ, FORWARDED, hops, trusted)
        proto, host, port, prefix = (last.proto, last.host, "", "") if last else ("", "", "", "")
    else:
        _remove(environ, (FORWARDED,))
        _put_client(environ, FOR, (_Hop(entry) for entry in _from_the_end(environ.get(KEYS[FOR], ""))), trusted)
        proto, host, port, prefix = (_last(environ, name) for name in (PROTO, HOST, PORT, PREFIX))
    _put_scheme(environ, proto.lower())
    _put_host(environ, host, port)
    _put_prefix(environ, prefix, PREFIX in trusted.fields)


def _from_the_end(text: str) -> Iterator[str]:
    """
    Yield the entries of a list, the last one first.

    A comma inside of a quoted string divides it as well. Each part of it then has a quotation mark too many, so it is no
    entry, and the walk ends there. A client cannot write an entry of its own in that way.
    """
    while text:
        text, _, entry = text.rpartition(",")
        yield entry.strip()


def _last(environ: dict[str, Any], name: str) -> str:
    """
    Return what the nearest proxy says: the last entry of a field.

    Those before it are removed: a client may have written them, and some frameworks take the first.
    """
    text: str = environ.get(KEYS[name], "")
    if "," not in text:
        return text.strip()
    last = next(_from_the_end(text))
    environ[KEYS[name]] = last
    environ["pastepool.forwarded"] = True
    return last


def _hops_of_forwarded(text: str) -> Iterator[_Hop]:
    for entry in _from_the_end(text):
        found = [_PAIR.fullmatch(word.strip()) for word in entry.split(";")]
        pairs = {pair[1].lower(): pair[2] or _ESCAPED.sub(r"\1", pair[3] or "") for pair in found if pair}
        if None in found:
            yield _Hop("")
        else:
            yield _Hop(pairs.get("for", ""), pairs.get("proto", ""), pairs.get("host", ""))


def _put_client(environ: dict[str, Any], name: str, hops: Iterator[_Hop], trusted: TrustedProxies) -> _Hop | None:
    """
    Walk to the client and put in its address. Entries that the walk did not come to are removed from the field.

    Returns: the entry of the nearest proxy; None if it is not understood.
    """
    client = ""
    nearest: _Hop | None = None
    believed = 0
    for hop in hops:
        address = _address(hop.node)
        if not address and not (believed == 0 and hop.node == "" and (hop.proto or hop.host)):
            break
        nearest = nearest or hop
        believed += 1
        client = address
        if not address or believed == _MOST_HOPS or not trusted.is_proxy(address):
            break
    _cut(environ, name, believed)
    if client:
        environ.setdefault("pastepool.peer", environ["REMOTE_ADDR"])
        environ["REMOTE_ADDR"] = client
        environ["REMOTE_PORT"] = ""
    return nearest


def _cut(environ: dict[str, Any], name: str, believed: int) -> None:
    """Leave the last entries of a field: those that are believed."""
    key = KEYS[name]
    if key not in environ:
        return
    entries = environ[key].rsplit(",", believed)[-believed:] if believed else []
    if not entries:
        _remove(environ, (name,))
    elif len(entries) < environ[key].count(",") + 1:
        environ[key] = ",".join(entries).strip()
        environ["pastepool.forwarded"] = True


def _address(node: str) -> str:
    """Return the address of an entry without port and brackets; empty for ``unknown``, ``_hidden`` and garbage."""
    found = _NODE.fullmatch(node)
    return same_address(found[1] or found[2] or found[3]) if found else ""


def _put_scheme(environ: dict[str, Any], proto: str) -> None:
    if proto in USUAL_PORTS:
        environ["wsgi.url_scheme"] = proto
        environ["SERVER_PORT"] = USUAL_PORTS[proto]
    else:
        _remove(environ, (PROTO,))


def _put_host(environ: dict[str, Any], host: str, port: str) -> None:
    """Put in the host and the port that the client asked for, if they are well formed."""
    if not host and not port:
        _remove(environ, (HOST, PORT))
        return
    name, _, own_port = (
        host.rpartition(":") if re.search(r":\d*\Z", host) and not host.endswith("]") else (host, "", "")
    )
    if not name or not is_host(host) or "," in host or (own_port and not _is_port(own_port)):
        _remove(environ, (HOST,))
        name = ""
    port = own_port if name and own_port else port
    if not _is_port(port):
        _remove(environ, (PORT,))
        port = ""
    if port:
        environ["SERVER_PORT"] = port
    if name:
        environ["SERVER_NAME"] = name
        usual = port in ("", USUAL_PORTS.get(environ["wsgi.url_scheme"]))
        environ["HTTP_HOST"] = name if usual else f"{name}:{port}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535


def _put_prefix(environ: dict[str, Any], prefix: str, named: bool) -> None:
    """
    Put in the path below which the proxy shows the application.

    ``named``: the operator has named the field, so it counts for every path. If not, it counts for a path below it.
    """
    if not prefix:
        _remove(environ, (PREFIX,))
        return
    decoded = unquote_to_bytes(prefix.rstrip("/")).decode("latin-1")
    path: str = environ["PATH_INFO"]
    below = path == decoded or path.startswith(decoded + "/")
    if not _PREFIX.fullmatch(decoded) or _DOTS.search(decoded) or not (named or below):
        _remove(environ, (PREFIX,))
        return
    environ["SCRIPT_NAME"] = decoded + environ["SCRIPT_NAME"]
    if below:
        environ["PATH_INFO"] = path[len(decoded) :]

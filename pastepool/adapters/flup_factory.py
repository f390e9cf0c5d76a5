"""
``use = egg:pastepool#fcgi``, ``#scgi`` and ``#ajp``: flup's servers from an INI file, with flup's options and ours.

flup's own entry points end with a NameError on Python 3.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from pastepool.adapters.flup import on_our_pool
from pastepool.errors import SettingsError

PORTS: Mapping[str, int | None] = {"fcgi": None, "scgi": 4000, "ajp": 8009}
"""The port of each protocol if none is given; FastCGI has none."""

_NUMBERS = ("minSpare", "maxSpare", "maxThreads")
_TRUE = {"true": True, "yes": True, "on": True, "y": True, "t": True, "1": True}
_FALSE = {"false": False, "no": False, "off": False, "n": False, "f": False, "0": False}
_COMMON = frozenset({"host", "port", "debug", "shutdown_timeout", *_NUMBERS})
OPTIONS: Mapping[str, frozenset[str]] = {
    "fcgi": _COMMON | {"socket", "umask", "multiplexed"},
    "scgi": _COMMON | {"socket", "umask", "scriptName", "allowedServers"},
    "ajp": _COMMON | {"scriptName", "allowedServers"},
}
"""The options of flup for each protocol; ``socket`` and ``umask`` of SCGI are ours. All others are the pool's."""


def factory(protocol: str, given: Mapping[str, object], local: Mapping[str, object]) -> Callable[[Any], None]:
    """
    Return what serves an application. Every option is read and checked here, before the application is loaded.

    ``given``: [DEFAULT], of which ``debug`` is read, as in flup. ``local``: the section.

    Raises: SettingsError: a mistake in the section. The returned callable raises StartError: the socket cannot be opened.
    """
    theirs = {key: str(value).strip() for key, value in local.items() if key in OPTIONS[protocol]}
    ours = {key: value for key, value in local.items() if key not in OPTIONS[protocol]}
    options = {key: _number(protocol, key, theirs[key]) for key in _NUMBERS if theirs.get(key)}
    options["shutdown_timeout"] = _number(protocol, "shutdown_timeout", theirs.get("shutdown_timeout") or "10")
    address = _address(protocol, theirs)
    keywords: dict[str, Any] = {"bindAddress": address, **options, **ours}
    keywords["debug"] = _truth(protocol, "debug", theirs.get("debug") or str(given.get("debug") or "false"))
    if theirs.get("umask"):
        keywords["umask"] = _number(protocol, "umask", theirs["umask"], 8)
    if "multiplexed" in theirs:
        keywords["multiplexed"] = _truth(protocol, "multiplexed", theirs["multiplexed"] or "false")
    if protocol != "fcgi":
        if "scriptName" in theirs or protocol == "ajp":
            keywords["scriptName"] = theirs.get("scriptName", "")
        keywords["allowedServers"] = theirs.get("allowedServers", "127.0.0.1").split() or None
    server_class = on_our_pool(importlib.import_module(f"flup.server.{protocol}").WSGIServer)
    server_class(None, **keywords)  # the constructor checks the options of the pool

    def serve(application: Any) -> None:
        server_class(application, **keywords).run()

    return serve


def _address(protocol: str, theirs: Mapping[str, str]) -> str | tuple[str, int] | None:
    """Return the path of a socket, or a host and a port; None for the socket that the front-end passes (FastCGI)."""
    host, path, port = theirs.get("host"), theirs.get("socket"), theirs.get("port")
    if path:
        if host or port:
            raise _mistake(protocol, "socket", path, "it excludes host and port, so delete it or them")
        return path
    if protocol == "fcgi" and not host:
        if port:
            raise _mistake(protocol, "port", port, "host is missing beside it")
        return None
    if not port and PORTS[protocol] is None:
        raise _mistake(protocol, "host", str(host), "port is missing beside it")
    return host or "localhost", _number(protocol, "port", port or str(PORTS[protocol]))


def _number(protocol: str, key: str, text: str, base: int = 10) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise _mistake(protocol, key, text, "it must be a whole number") from None


def _truth(protocol: str, key: str, text: str) -> bool:
    found = (_TRUE | _FALSE).get(text.lower())
    if found is None:
        raise _mistake(protocol, key, text, "it must be true or false")
    return found


def _mistake(protocol: str, key: str, value: str, remedy: str) -> SettingsError:
    return SettingsError(
        f"[server:...] use = egg:pastepool#{protocol}: {key} = {value}; {remedy}.", key=key, value=value
    )

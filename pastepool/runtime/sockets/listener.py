"""
Listening sockets: from an endpoint to sockets that accept, or to one sentence that says why not.

Knows addresses and socket options; does not accept and does not know who will. Nothing here keeps state: a ``Listener``
is a value around a socket, which a child process can inherit by its descriptor and ``adopt``.

Runs on: the thread that starts the server, before any worker exists.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pastepool.core.wording import host_and_port
from pastepool.errors import StartError
from pastepool.runtime.sockets.port_holder import describe_holder
from pastepool.settings.endpoint import Endpoint

EVERY = "*"
_EVERY_IPV6 = "::"
_EVERY_IPV4 = "0.0.0.0"
_PORT_TRIES = 16
"""How often a free port is drawn that must be free on several addresses at once; nothing derives it."""

_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
"""What the kernel says of an address this machine does not have, or of a family it does not speak."""


@dataclass(frozen=True)
class Listener:
    """
    A listening TCP socket: non-blocking, close-on-exec (contract F5), TCP_NODELAY, which accepted sockets inherit.

    ``endpoint`` is what the kernel bound: the host is a numeric address, the port is never 0.
    """

    socket: socket.socket
    endpoint: Endpoint

    def fileno(self) -> int:
        """The descriptor, for a poller or for a child process."""
        return self.socket.fileno()

    def close(self) -> None:
        """Stop listening; connections not yet accepted are reset. Idempotent."""
        self.socket.close()


@dataclass(frozen=True)
class _Target:
    """One address to bind, without its port. ``both``: an IPv6 socket that takes IPv4 connections too."""

    family: int
    host: str
    scope: int = 0
    both: bool = False

    def sockaddr(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        return (self.host, port, 0, self.scope) if self.family == socket.AF_INET6 else (self.host, port)


class _BindError(Exception):
    """Why one address could not be bound; turned into the operator's sentence by ``open_listeners``."""

    def __init__(self, target: _Target, port: int, cause: OSError) -> None:
        super().__init__(str(cause))
        self.target = target
        self.port = port
        self.cause = cause


def open_all(endpoints: Sequence[Endpoint], backlog: int) -> tuple[Listener, ...]:
    """Listen on several endpoints, in their order: see ``open_listeners``. When one fails, none is left open."""
    opened: list[Listener] = []
    try:
        for endpoint in endpoints:
            opened += open_listeners(endpoint, backlog)
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return tuple(opened)


def open_listeners(endpoint: Endpoint, backlog: int) -> tuple[Listener, ...]:
    """
    Listen on every address an endpoint means.

    ``::`` and ``*`` listen on one socket for both IP families (``*`` on IPv4 alone where there is no IPv6). A name that
    means several addresses gets a socket for each; one this machine does not have is left out as long as another is
    left. Port 0 draws one number for all of them.

    Args:
        endpoint: its host is a name, an IPv4 or IPv6 address without brackets, ``::`` or ``*``; its port 0 to 65535.
        backlog: connections the kernel holds until they are accepted.

    Raises:
        StartError: the host cannot be resolved, the address is not ours, the port is taken or privileged; or the
            endpoint is a path. The operator must mend it; the sentence says how. No socket is left open.
    """
    if endpoint.path:
        raise StartError(f"cannot listen on {endpoint}: it is a unix socket, which this release cannot listen on.")
    targets = _resolve(endpoint)
    tries = _PORT_TRIES if endpoint.port == 0 and len(targets) > 1 else 1
    while True:
        tries -= 1
        try:
            return _open_targets(targets, endpoint.port, backlog)
        except _BindError as failure:
            if failure.cause.errno != errno.EADDRINUSE or not tries:
                raise StartError(_sentence(failure, endpoint.host)) from failure.cause


def adopt(descriptor: int) -> Listener:
    """
    Take over a listening socket from a parent process by its descriptor.

    Raises:
        StartError: the descriptor is no listening TCP socket. Whoever passed it must be mended.
    """
    try:
        inherited = socket.socket(fileno=descriptor)
    except OSError as error:
        raise StartError(f"cannot take over descriptor {descriptor}: it is not a socket ({error.strerror}).") from error
    internet = inherited.family in (socket.AF_INET, socket.AF_INET6) and inherited.type == socket.SOCK_STREAM
    if not internet or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.detach()
        raise StartError(f"cannot take over descriptor {descriptor}: it is not a TCP socket that listens.")
    inherited.set_inheritable(False)
    return _listener(inherited)


def url(listener: Listener) -> str:
    """Write a URL a person on this machine can click: a socket on every address is reached through the loopback."""
    bound = listener.endpoint
    loopback = {_EVERY_IPV4: "127.0.0.1", _EVERY_IPV6: "::1"}
    return f"{bound.scheme}://{host_and_port(loopback.get(bound.host, bound.host), bound.port)}"


def _resolve(endpoint: Endpoint) -> list[_Target]:
    """List the distinct addresses an endpoint's host means, in the resolver's order."""
    host = endpoint.host
    if host == EVERY:
        return [_Target(socket.AF_INET6, _EVERY_IPV6, both=True)] if _speaks_ipv6() else [_everywhere_ipv4()]
    if host == _EVERY_IPV6:
        return [_Target(socket.AF_INET6, _EVERY_IPV6, both=True)]
    try:
        found = socket.getaddrinfo(host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "it is not a valid host name"
        raise StartError(
            f"cannot listen on {endpoint}: the host {host!r} cannot be resolved ({reason}); set host to an"
            " address of this machine such as 127.0.0.1, or to 0.0.0.0 or :: for all of them."
        ) from error
    return list(
        dict.fromkeys(
            _Target(family, str(where[0]), int(where[3]) if len(where) > 3 else 0) for family, _, _, _, where in found
        )
    )


def _everywhere_ipv4() -> _Target:
    return _Target(socket.AF_INET, _EVERY_IPV4)


def _speaks_ipv6() -> bool:
    """Say whether this machine can bind an IPv6 address at all; a kernel may have it compiled in and switched off."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((_EVERY_IPV6, 0))
    except OSError:
        return False
    return True


def _open_targets(targets: Sequence[_Target], port: int, backlog: int) -> tuple[Listener, ...]:
    """Open one listener for each address, all on one port; none is left open when one fails."""
    opened: list[Listener] = []
    absent: list[_BindError] = []
    try:
        for target in targets:
            try:
                opened.append(_open(target, opened[0].endpoint.port if opened else port, backlog))
            except _BindError as failure:
                if failure.cause.errno not in _ABSENT:
                    raise
                absent.append(failure)
        if not opened:
            raise absent[0]
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return tuple(opened)


def _open(target: _Target, port: int, backlog: int) -> Listener:
    """Bind and listen; both may find the port taken, the second when another socket was bound but not yet listening."""
    opened = None
    try:
        opened = socket.socket(target.family, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if target.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if target.both else 1)
        opened.bind(target.sockaddr(port))
        opened.listen(backlog)
        return _listener(opened)
    except OSError as error:
        if opened is not None:
            opened.close()
        raise _BindError(target, port, error) from error


def _listener(listening: socket.socket) -> Listener:
    listening.setblocking(False)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listening.getsockname()[:2]
    return Listener(listening, Endpoint(host, port))


def _sentence(failure: _BindError, host: str) -> str:
    """Say what is wrong and what to do about it."""
    target, number = failure.target, failure.cause.errno
    where = host_and_port(target.host, failure.port)
    asked = "" if host in (target.host, EVERY) else f" (host {host!r})"
    if number == errno.EADDRINUSE:
        holder = describe_holder(target.host, failure.port)
        taken = f"the port is taken by {holder}" if holder else "the port is taken"
        problem = f"{taken}; stop what listens there, or set another port"
    elif number == errno.EACCES:
        problem = (
            f"ports below {_first_open_port()} need a privilege; set a higher port and put a proxy in front, or give"
            " the process CAP_NET_BIND_SERVICE"
        )
    elif number == errno.EADDRNOTAVAIL:
        problem = "this machine has no such address; set host to one it has, or to 0.0.0.0 or :: for all of them"
    elif number in _ABSENT:
        problem = "this machine does not speak IPv6; set host to an IPv4 address such as 127.0.0.1 or 0.0.0.0"
    else:
        problem = f"the system refuses it ({failure.cause.strerror}); set another host or port"
    return f"cannot listen on {where}{asked}: {problem}."


def _first_open_port() -> int:
    """Tell the lowest port anybody may bind; Linux lets the administrator move it."""
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024

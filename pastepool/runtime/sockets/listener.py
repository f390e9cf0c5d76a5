"""
Open the listening sockets of an endpoint, or raise an error whose sentence says why that is not possible.

This module knows addresses and socket options. It accepts no connections. It keeps no state: a ``Listener`` is a value
around a socket. A child process can inherit the socket by its descriptor and take it over with ``adopt``.

Runs on: the thread that starts the server, before any worker exists.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pastepool.core.addresses import ip_address
from pastepool.core.wording import host_and_port
from pastepool.errors import StartError
from pastepool.runtime.sockets.socket_rights import SocketFile, change, rehearse
from pastepool.runtime.sockets.unix_socket import open_unix
from pastepool.settings.endpoint import Endpoint

EVERY = "*"
_EVERY_IPV6 = "::"
_EVERY_IPV4 = "0.0.0.0"
_PORT_TRIES = 16
"""
How often ``open_listeners`` tries another port if port 0 was asked for and the drawn port is not free on all addresses.
"""

_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
"""The kernel's errors for an address that this machine does not have, or an IP family that it does not speak."""


@dataclass(frozen=True)
class Listener:
    """
    A listening socket of TCP or of unix(7). It is non-blocking, close-on-exec (contract F5), and has TCP_NODELAY, which
    accepted sockets inherit.

    ``endpoint``: what the kernel bound: the host is a numeric address, the port is never 0. ``inherited``: another
    process opened it. ``file``: the file of a unix socket that this process made.
    """

    socket: socket.socket
    endpoint: Endpoint
    inherited: bool = False
    file: SocketFile | None = None

    def like(self, wanted: Endpoint) -> Listener:
        """Return the same listener with the words of ``wanted``, which say what its socket does not."""
        words = {word: getattr(wanted, word) for word in ("proxy", "tls", "mode", "owner", "backlog")}
        return replace(self, endpoint=replace(self.endpoint, **words))

    def rehearse(self, wanted: Endpoint) -> None:
        """Try whether ``retune`` may do what ``wanted`` asks for. Changes nothing. Raises: StartError: it may not."""
        if self.file is not None and self.endpoint.owner != wanted.owner:
            rehearse(wanted)

    def retune(self, wanted: Endpoint, backlog: int) -> None:
        """
        Give a socket in use the queue, the owner and the mode that ``wanted`` asks for. Clients in its queue stay there.

        ``backlog``: the kernel's, if ``wanted`` names none. A socket that another process made keeps its own.

        Raises: OSError: the rights of its file cannot be changed.
        """
        if not self.inherited:
            self.socket.listen(wanted.backlog or backlog)
        before = self.endpoint
        if self.file is not None and (before.mode, before.owner) != (wanted.mode, wanted.owner):
            change(self.file, before, wanted)

    def fileno(self) -> int:
        """Return the descriptor, for a poller or for a child process."""
        return self.socket.fileno()

    def remove_file(self) -> None:
        """Remove the file of a unix socket, so that no new client comes. May be called twice."""
        if self.file is not None:
            self.file.remove()

    def close(self) -> None:
        """Stop listening; connections not yet accepted are reset. Idempotent."""
        self.remove_file()
        self.socket.close()


@dataclass(frozen=True)
class _Target:
    """
    One address to bind, without its port. ``scope``: the scope id of an IPv6 address. ``both``: whether an IPv6 socket
    takes IPv4 connections too.
    """

    family: int
    host: str
    scope: int = 0
    both: bool = False

    def sockaddr(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        return (self.host, port, 0, self.scope) if self.family == socket.AF_INET6 else (self.host, port)


class _BindError(Exception):
    """Says why one address could not be bound. ``open_listeners`` turns it into a sentence for the operator."""

    def __init__(self, target: _Target, port: int, cause: OSError) -> None:
        super().__init__(str(cause))
        self.target = target
        self.port = port
        self.cause = cause


def open_all(
    endpoints: Sequence[Endpoint], backlog: int, passed: Mapping[Endpoint, Sequence[Listener]] | None = None
) -> tuple[Listener, ...]:
    """
    Listen on several endpoints, in their order: see ``open_listeners``. If one fails, no socket stays open.

    ``passed``: the listeners of the endpoints whose sockets are open already.
    """
    opened: list[Listener] = [listener for given in (passed or {}).values() for listener in given]
    try:
        for endpoint in without_overlap([endpoint for endpoint in endpoints if not endpoint.systemd]):
            opened += open_listeners(endpoint, backlog)
    except BaseException:
        for listener in opened:
            listener.close()
        raise
    return tuple(opened)


def without_overlap(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """
    Let ``::`` take IPv6 connections alone where an IPv4 address has the same port.

    The kernel gives a port of all IPv4 addresses to one socket only, so 0.0.0.0:80 and [::]:80 would exclude each other.
    """
    ipv4_ports = {each.port for each in endpoints if "." in each.host and ip_address(each.host) is not None}
    return [
        replace(each, family=6) if each.host == _EVERY_IPV6 and each.port in ipv4_ports else each for each in endpoints
    ]


def open_listeners(endpoint: Endpoint, backlog: int) -> tuple[Listener, ...]:
    """
    Listen on every address that an endpoint means.

    ``::`` and ``*`` open one socket for both IP families; if the machine has no IPv6, ``*`` opens one for IPv4 alone. A
    name that means several addresses gets a socket for each. An address that this machine does not have is left out, if
    another address remains. Port 0 draws one port for all addresses.

    Args:
        endpoint: its host is a name, an IPv4 or IPv6 address without brackets, ``::`` or ``*``; its port 0 to 65535.
            Or it has the path of a unix socket.
        backlog: how many connections the kernel holds until they are accepted.

    Raises:
        StartError: the host cannot be resolved, the address is not ours, the port or path is taken or not allowed. The
            operator must correct it; the sentences say how, and where it stands. No socket stays open.
    """
    try:
        return _opened(endpoint, backlog)
    except StartError as error:
        if not endpoint.origin:
            raise
        raise StartError(f"{error} It stands in {endpoint.origin}.") from error.__cause__


def _opened(endpoint: Endpoint, backlog: int) -> tuple[Listener, ...]:
    backlog = endpoint.backlog or backlog
    if endpoint.path:
        sock, file = open_unix(endpoint, backlog)
        sock.setblocking(False)
        return (Listener(sock, endpoint, file=file),)
    targets = _resolve(endpoint)
    tries = _PORT_TRIES if endpoint.port == 0 and len(targets) > 1 else 1
    while True:
        tries -= 1
        try:
            opened = _open_targets(targets, endpoint.port, backlog)
            return tuple(each.like(endpoint) for each in opened)
        except _BindError as failure:
            if failure.cause.errno != errno.EADDRINUSE or not tries:
                raise StartError(_sentence(failure, endpoint.host)) from failure.cause


def adopt(descriptor: int, name: str = "") -> Listener:
    """
    Take over a listening socket from a parent process by its descriptor. ``name``: words about it for the error.

    Raises:
        StartError: the descriptor is not a listening stream socket. The parent that passed it has a bug.
    """
    try:
        inherited = socket.socket(fileno=descriptor)
    except OSError as error:
        raise StartError(
            f"cannot take over descriptor {descriptor}{name}: it is not a socket ({error.strerror})."
        ) from error
    known = inherited.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    is_stream = known and inherited.type == socket.SOCK_STREAM
    if not is_stream or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        inherited.detach()
        raise StartError(f"cannot take over descriptor {descriptor}{name}: it is not a stream socket that listens.")
    inherited.set_inheritable(False)
    return _listener(inherited, inherited=True)


def remove_files(listeners: Iterable[Listener]) -> None:
    """Remove the files of those that are unix sockets: no new client comes. May be called twice."""
    for listener in listeners:
        listener.remove_file()


def stop_listening(sock: socket.socket, shared: bool) -> None:
    """
    Close a listening socket. May be called twice.

    ``shared``: other processes may serve on it too. If not, the port becomes free even where a child process has a copy
    of the socket.
    """
    if not shared:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # closed already; or the system cannot shut a listening socket down
    sock.close()


def url(listener: Listener) -> str:
    """
    Write the URL of a listener with the address that it is bound to.

    So ``0.0.0.0`` and ``[::]`` show that every machine may connect; most browsers on this machine can open them. A unix
    socket has no URL, and is written as in the file.
    """
    bound = listener.endpoint
    if bound.path:
        return str(bound)
    return f"{bound.scheme}://{host_and_port(bound.host, bound.port)}"


def _resolve(endpoint: Endpoint) -> list[_Target]:
    """
    List the addresses that an endpoint's host means, each once, in the resolver's order.

    Raises: StartError: the host cannot be resolved.
    """
    host, family = endpoint.host, endpoint.family
    every_ipv6 = _Target(socket.AF_INET6, _EVERY_IPV6, both=family != 6)
    if host == EVERY:
        return [_everywhere_ipv4()] if family == 4 or (family == 0 and not _speaks_ipv6()) else [every_ipv6]
    if host == _EVERY_IPV6:
        return [every_ipv6]
    wanted = {4: socket.AF_INET, 6: socket.AF_INET6}.get(family, socket.AF_UNSPEC)
    try:
        found = socket.getaddrinfo(host, endpoint.port, family=wanted, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
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
    """
    Say whether this machine can bind an IPv6 address. It tries, because IPv6 may be compiled in but switched off.
    """
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((_EVERY_IPV6, 0))
    except OSError:
        return False
    return True


def _open_targets(targets: Sequence[_Target], port: int, backlog: int) -> tuple[Listener, ...]:
    """
    Open one listener for each address, all on the same port. If one fails, no socket stays open.

    Raises: _BindError: an address cannot be bound, or the machine has none of the addresses.
    """
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
    """
    Bind one address and listen on it. Both steps can find that the port is taken: ``listen`` finds it if another socket
    was bound to the port but did not listen yet.

    Raises: _BindError.
    """
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


def _listener(listening: socket.socket, inherited: bool = False) -> Listener:
    listening.setblocking(False)
    if listening.family == socket.AF_UNIX:
        path = listening.getsockname()
        abstract = path[1:].decode(errors="replace") if isinstance(path, bytes) else ""
        return Listener(listening, Endpoint(path=f"@{abstract}" if abstract else path or "@"), inherited)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host, port = listening.getsockname()[:2]
    return Listener(listening, Endpoint(host, port), inherited)


def _sentence(failure: _BindError, host: str) -> str:
    """Return a sentence that says why an address cannot be bound, and what to do."""
    target, number = failure.target, failure.cause.errno
    where = host_and_port(target.host, failure.port)
    asked = "" if host in (target.host, EVERY) else f" (host {host!r})"
    if number == errno.EADDRINUSE:
        from pastepool.runtime.sockets.port_holder import describe_holder  # costs 0.5 MB that a parent seldom needs

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
    """Return the lowest port that needs no privilege. Linux lets the administrator change it; elsewhere it is 1024."""
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1024

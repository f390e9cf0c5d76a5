"""
A value that says where a server listens: a host and a port, or the path of a unix socket. Pure; opens nothing.

Before binding, the value says where to listen; its host may be a name or ``*``, its port may be 0. After binding, a
value of the same type says which address the kernel gave.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pastepool.core.addresses import ip_address
from pastepool.core.wording import host_and_port

_LOCAL_NAME = "localhost"
_HTTP_PORT, _HTTPS_PORT = 80, 443

UNIX_MODE = 0o660
"""The mode of the file of a unix socket: its user and its group may connect, so that a proxy can be in the group."""

UNIX_PREFIX = "unix:"
"""It stands before the path of a unix socket, where an address could stand as well."""

LONGEST_UNIX_PATH = 107
"""The most bytes of a path that Linux takes (sun_path of unix(7), without the last zero)."""

_EVERY_ADDRESS = frozenset({"*", "::", "0.0.0.0"})


@dataclass(frozen=True)
class Endpoint:
    """
    One place to listen. ``str`` returns it as ``127.0.0.1:8080``, ``[::1]:8080``, ``unix:/run/shop.sock`` or
    ``unix:@shop``.

    ``host``: without brackets; ``*`` means every address. ``port``: 0 lets the kernel choose. ``path``: the path of a
    unix socket, or its abstract name after ``@``; if it is set, host and port have no meaning. ``family``: 4 or 6 if only
    addresses of this IP family are meant, 0 if there is no such condition. ``mode``, ``owner``: of the file of a unix
    socket; the owner is ``user``, ``user:group`` or ``:group``, empty for that of the process. ``backlog``: how many
    connections the kernel holds here; 0 for the number that holds for all. ``proxy``: every client begins with a header of
    the PROXY protocol. ``tls``: clients speak TLS; behind that header, if there is one. ``systemd``: the name of a socket
    that systemd passes, or ``*`` for all; then nothing else has a meaning but ``proxy`` and ``tls``. ``origin``: where the
    operator wrote it, such as ``line 9 of /srv/shop.ini``; empty if that is not known.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    family: int = 0
    mode: int = UNIX_MODE
    owner: str = ""
    backlog: int = 0
    proxy: bool = False
    systemd: str = ""
    tls: bool = False
    origin: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        if self.systemd:
            return "systemd" if self.systemd == "*" else f"systemd:{self.systemd}"
        return f"{UNIX_PREFIX}{self.path}" if self.path else host_and_port(self.host, self.port)

    @property
    def place(self) -> Endpoint:
        """Return the endpoint without the words that may stand after it: what the kernel binds."""
        return replace(self, mode=UNIX_MODE, owner="", backlog=0, proxy=False, tls=False)

    @property
    def is_abstract(self) -> bool:
        """Return whether the path is an abstract name, which has no file (Linux)."""
        return self.path.startswith("@")

    @property
    def scheme(self) -> str:
        """Return the scheme that clients use here, for URLs and ``wsgi.url_scheme``."""
        return "https" if self.tls else "http"

    @property
    def server_name(self) -> str:
        """Return ``SERVER_NAME`` for requests that come in here. For a unix socket it is ``localhost``."""
        return _LOCAL_NAME if self.path else self.host

    @property
    def server_port(self) -> int:
        """Return ``SERVER_PORT`` for requests that come in here. For a unix socket it is the usual one, 80 or 443."""
        return (_HTTPS_PORT if self.tls else _HTTP_PORT) if self.path else self.port


def overlap(one: Endpoint, other: Endpoint) -> bool:
    """Say whether both can surely not listen at the same time: the same port of an address that both mean."""
    if one.systemd or other.systemd:
        return one.systemd == other.systemd
    if one.path or other.path:
        return one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    if one.host in _EVERY_ADDRESS or other.host in _EVERY_ADDRESS:
        return bool(_families(one) & _families(other))
    return _plain(one.host) == _plain(other.host)


def each_once(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Leave out an endpoint that adds no address to one before it: ``localhost`` after 127.0.0.1, ``0.0.0.0`` after ``*``."""
    kept: list[Endpoint] = []
    for each in endpoints:
        if not any(_means_all_of(before, each) for before in kept):
            kept.append(each)
    return tuple(kept)


def _means_all_of(one: Endpoint, other: Endpoint) -> bool:
    if one.port != other.port or not one.port or not (one.host and other.host):
        return False
    return _plain(one.host) == _plain(other.host) or (one.host == "*" and other.host in _EVERY_ADDRESS)


def _families(endpoint: Endpoint) -> set[int]:
    """Return the IP families that an endpoint means. A name may mean both."""
    if endpoint.family:
        return {endpoint.family}
    address = None if endpoint.host in ("*", "::") else ip_address(endpoint.host)
    return {4, 6} if address is None else {address.version}


def _plain(host: str) -> str:
    """Spell equal addresses equally. ``localhost`` counts as 127.0.0.1, which it nearly always means."""
    name = host.lower().rstrip(".")
    return str(ip_address("127.0.0.1" if name == _LOCAL_NAME else name) or name)


def names_this_machine(host: str) -> bool:
    """
    Say whether a host is a loopback address, or a name that means one on every machine: ``localhost``.

    ``host``: without brackets and port. Names are not looked up.
    """
    name = host.lower().rstrip(".")
    address = ip_address(name)
    return address.is_loopback if address is not None else name == _LOCAL_NAME or name.endswith(f".{_LOCAL_NAME}")

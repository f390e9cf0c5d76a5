"""Accepting: clients in batches, broken ones passed over, and a rest when the process is out of descriptors."""

from __future__ import annotations

import contextlib
import errno
import logging
import math
import os
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pastepool._fast import fast
from pastepool.core.sharing import AT_ONCE
from pastepool.runtime.sockets import acceptor as acceptor_module
from pastepool.runtime.sockets.acceptor import Acceptor
from pastepool.runtime.sockets.readiness import READ, Readiness, open_readiness
from pastepool.testing import FakeClock
from tests.waiting import WATCHDOG


class Listening:
    """A listening socket whose ``accept`` does what the test says, in order; then there is nobody."""

    family = socket.AF_UNIX

    def __init__(self, fd: int, *outcomes: object) -> None:
        self.fd = fd
        self.outcomes = list(outcomes)
        self.closed = False
        self.shut_down = False

    def fileno(self) -> int:
        return self.fd

    def accept(self) -> tuple[Any, Any]:
        if not self.outcomes:
            raise BlockingIOError
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, OSError):
            raise outcome
        return Client(), ("192.0.2.1", outcome)

    def shutdown(self, how: int) -> None:
        self.shut_down = True

    def close(self) -> None:
        self.closed = True


class Client:
    """An accepted socket."""

    blocking = True

    def setblocking(self, blocking: bool) -> None:
        self.blocking = blocking


class Registered:
    """Stands for the kernel's list: strict about what is in it, as epoll is."""

    def __init__(self) -> None:
        self.fds: dict[int, int] = {}

    def register(self, fd: int, mask: int) -> None:
        if fd in self.fds:
            raise FileExistsError(errno.EEXIST, "File exists")
        self.fds[fd] = mask

    def unregister(self, fd: int) -> None:
        if fd not in self.fds:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        del self.fds[fd]


class Scene:
    """An acceptor over such sockets, started."""

    def __init__(self, *listeners: Listening) -> None:
        self.clock = FakeClock()
        self.kernel = Registered()
        self.acceptor = Acceptor([(listener, {"n": listener.fd}) for listener in listeners], self.clock)  # type: ignore[misc]
        self.acceptor.start(self.kernel)  # type: ignore[arg-type]

    def ports(self, fd: int, most: float = AT_ONCE) -> list[int]:
        found = list(self.acceptor.accept(fd, most=most))
        assert not any(client.blocking for client, _, _ in found)  # type: ignore[attr-defined]
        assert all(prototype == {"n": fd} for _, _, prototype in found)
        return [address[1] for _, address, _ in found]


def full() -> OSError:
    """No descriptor is left."""
    return OSError(errno.EMFILE, "Too many open files")


def test_clients_come_with_their_listeners_prototype() -> None:
    """Until there is nobody left; each is non-blocking."""
    scene = Scene(Listening(3, 1, 2), Listening(4, 5))
    assert (scene.ports(3), scene.ports(4), scene.ports(3)) == ([1, 2], [5], [])
    assert scene.kernel.fds == {3: READ, 4: READ}


def test_flood_does_not_starve_those_who_are_in() -> None:
    """64 at once; a drain takes everything."""
    scene = Scene(Listening(3, *range(1000)))
    assert len(scene.ports(3)) == 64
    assert len(scene.ports(3, math.inf)) == 936


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EPERM])
def test_client_that_broke_off_is_passed_over(number: int) -> None:
    """The next one is taken all the same, and a flood of them ends like any other."""
    assert Scene(Listening(3, OSError(number, ""), 7)).ports(3) == [7]
    flood = Listening(3, *[OSError(number, "") for _ in range(1000)])
    assert Scene(flood).ports(3) == []
    assert len(flood.outcomes) == 1000 - 64


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK])
def test_listener_that_somebody_else_shut_down_is_left(number: int) -> None:
    """A drain does not ask it for ever."""
    endless = Listening(3, *[OSError(number, "") for _ in range(10)])
    assert Scene(endless).ports(3, math.inf) == []
    assert len(endless.outcomes) == 9


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_without_descriptors_accepting_rests(number: int, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is watched for a second, then everything again; the operator is told once, with the remedy."""
    scene = Scene(Listening(3, 1, OSError(number, "Too many"), 2, OSError(number, "Too many"), 3), Listening(4))
    assert scene.ports(3) == [1]
    assert scene.acceptor.paused
    assert scene.kernel.fds == {}
    scene.clock.advance(0.5)
    scene.acceptor.resume(scene.clock.now())
    assert scene.acceptor.paused
    scene.clock.advance(0.5)
    scene.acceptor.resume(scene.clock.now())
    assert not scene.acceptor.paused
    assert scene.kernel.fds == {3: READ, 4: READ}
    assert scene.ports(3) == [2]
    scene.clock.advance(2)
    scene.acceptor.resume(scene.clock.now())
    assert scene.ports(3) == [3]
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "pastepool.http")
    assert "ulimit -n" in record.getMessage()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_room_is_made_before_accepting_rests(number: int) -> None:
    """As long as a connection can be closed, accepting goes on; when none is left, it rests."""
    room = [True, True, False]
    scene = Scene(Listening(3, 1, OSError(number, ""), 2, OSError(number, ""), 3, OSError(number, ""), 4))
    found = [address[1] for _, address, _ in scene.acceptor.accept(3, lambda: room.pop(0))]
    assert found == [1, 2, 3]
    assert scene.acceptor.paused


def test_making_room_in_vain_does_not_go_on_for_ever() -> None:
    """A closed connection that frees nothing (another process has it) counts as one of those taken at once."""
    endless = Listening(3, *[full() for _ in range(1000)])
    assert list(Scene(endless).acceptor.accept(3, lambda: True)) == []
    assert len(endless.outcomes) == 1000 - 64


def test_rest_asked_for_twice_is_one_rest() -> None:
    """Two listeners may find it out in the same batch of events, and a drain may ask during a rest."""
    scene = Scene(Listening(3, full(), full()), Listening(4, full()))
    assert (scene.ports(3), scene.ports(4), scene.ports(3, math.inf)) == ([], [], [])
    scene.clock.advance(1)
    scene.acceptor.resume(scene.clock.now())
    assert scene.kernel.fds == {3: READ, 4: READ}


def test_clients_left_to_other_processes_are_no_events_here() -> None:
    """Also where accepting rests meanwhile; the listeners are watched again only when both are over."""
    scene = Scene(Listening(3, full(), 1), Listening(4))
    scene.acceptor.leave(True)
    scene.acceptor.leave(True)
    assert scene.kernel.fds == {}
    scene.acceptor.leave(False)
    assert scene.kernel.fds == {3: READ, 4: READ}
    assert scene.ports(3) == []
    scene.acceptor.leave(True)
    scene.clock.advance(1)
    scene.acceptor.resume(scene.clock.now())
    assert scene.kernel.fds == {}
    scene.acceptor.leave(False)
    assert scene.kernel.fds == {3: READ, 4: READ}
    assert scene.ports(3) == [1]


@pytest.mark.parametrize("resting", [False, True])
def test_close_leaves_nothing_watched(resting: bool) -> None:
    """Closing is not enough where another process has the socket too; it may come twice, and during a rest."""
    listeners = Listening(3, *[full()] * resting), Listening(4)
    scene = Scene(*listeners)
    scene.ports(3)
    scene.acceptor.close()
    scene.acceptor.close()
    assert all(listener.closed for listener in listeners)
    assert scene.kernel.fds == {}
    assert not scene.acceptor.paused
    scene.acceptor.resume(scene.clock.now() + 10)
    assert scene.kernel.fds == {}


@pytest.fixture
def readiness() -> Iterator[Readiness]:
    """The real one."""
    made = open_readiness()
    yield made
    made.close()


Taker = Callable[[socket.socket], Any]

WAYS = [
    pytest.param(acceptor_module._take_any, id="any"),
    pytest.param(
        acceptor_module._take_usual,
        id="usual",
        marks=pytest.mark.skipif(fast.accept_client is None, reason="the accelerator is not used"),
    ),
]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A real one."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.setblocking(False)
        yield made


@pytest.mark.parametrize("take", WAYS)
def test_both_ways_give_the_same_client(listener: socket.socket, take: Taker) -> None:
    """Its address, and a socket that does not block and that no child process inherits (contract F5)."""
    assert take(listener) is None
    with socket.create_connection(listener.getsockname()) as client:
        sock, address = take(listener)
        with contextlib.closing(sock):
            assert address == client.getsockname()
            assert (sock.family, sock.type, sock.gettimeout()) == (socket.AF_INET, socket.SOCK_STREAM, 0.0)
            assert not os.get_blocking(sock.fileno()) and not os.get_inheritable(sock.fileno())
            with pytest.raises(BlockingIOError):
                sock.recv(1)
            client.sendall(b"a")
            assert select.select([sock], [], [], WATCHDOG)[0]
            assert sock.recv(10) == b"a"
    assert take(listener) is None


@pytest.mark.parametrize("take", WAYS)
def test_both_ways_tell_what_is_wrong(listener: socket.socket, take: Taker) -> None:
    """With the same number."""
    listener.shutdown(socket.SHUT_RDWR)
    with pytest.raises(OSError, match=str(errno.EINVAL)):
        take(listener)
    listener.close()
    with pytest.raises(OSError, match=str(errno.EBADF)):
        take(listener)


@pytest.mark.skipif(fast.accept_client is None, reason="the accelerator is not used")
def test_client_for_whom_there_is_no_memory_leaves_no_descriptor(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket was accepted before it has an object."""
    numbers: list[int] = []

    def no_memory(family: int, kind: int, protocol: int, number: int) -> None:
        numbers.append(number)
        raise MemoryError

    monkeypatch.setattr(acceptor_module, "_Socket", no_memory)
    with socket.create_connection(listener.getsockname()):
        with pytest.raises(MemoryError):
            acceptor_module._take_usual(listener)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(*numbers)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_real_client(readiness: Readiness, host: str) -> None:
    """Through a real socket, of IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("no IPv6 here")
    listener.setblocking(False)
    acceptor = Acceptor([(listener, {})], FakeClock())
    acceptor.start(readiness)
    with socket.create_connection(listener.getsockname()[:2]) as client:
        ((fd, mask),) = readiness.poll(5, 10)
        assert mask == READ
        ((sock, address, _),) = acceptor.accept(fd)
        with contextlib.closing(sock):
            assert address == client.getsockname()
            assert (sock.gettimeout(), os.get_inheritable(sock.fileno())) == (0.0, False)
    acceptor.close()

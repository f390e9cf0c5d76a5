"""How many sent bytes the kernel still has for a peer."""

from __future__ import annotations

import fcntl
import socket

import pytest

from pastepool.runtime.sockets.unacknowledged import unacknowledged
from tests.waiting import until


def test_bytes_that_the_peer_has_not_taken_are_counted() -> None:
    """They become fewer as the peer reads, although the socket reports no room yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(listener.getsockname())
        ours, _ = listener.accept()
        with ours:
            assert unacknowledged(ours) == 0
            ours.setblocking(False)
            ours.send(b"x" * 1_000_000)
            before = unacknowledged(ours)
            assert before > 0
            taken = 0
            while taken < before // 2:
                taken += len(peer.recv(100_000))
            until(lambda: unacknowledged(ours) < before, "the kernel knows what was read")


@pytest.mark.parametrize("closed", [True, False])
def test_socket_of_which_nothing_is_known(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed socket has nothing left, and a system that does not tell is taken to have nothing."""

    def refused(*arguments: object) -> None:
        raise OSError(25, "Inappropriate ioctl for device")

    ours, theirs = socket.socketpair()
    if closed:
        ours.close()
    else:
        monkeypatch.setattr(fcntl, "ioctl", refused)
    assert unacknowledged(ours) == 0
    ours.close()
    theirs.close()

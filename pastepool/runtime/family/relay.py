"""
Pass on what one worker process broadcasts to all of them, and keep what later ones are to get (contract I5).

Nobody ever waits here: what a worker does not take waits in a bounded queue of its own. So one that stands still costs the
others nothing. The parent looks at topics and sizes, and not at payloads.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Collection, Iterator

from pastepool.core.broadcast import Broadcast, Kept, Undelivered, unpacked
from pastepool.runtime.family.lane import LOST, MOST_BYTES, Lane, packets

_AT_ONCE = 50
"""How many messages of one worker are passed on before the parent looks at everything else again."""


class _Receiver:
    """What is on its way to one worker. ``ended``: it reads no more."""

    def __init__(self, sock: socket.socket, kept: Kept) -> None:
        self.sock = sock
        self.ended = False
        self.waiting = Undelivered()
        for message in kept.messages.values():
            self.waiting.add(message)

    def flush(self) -> None:
        """Send as much as the worker takes."""
        while self.waiting and not self.ended:
            try:
                self.sock.sendmsg(
                    [LOST.pack(self.waiting.lost), self.waiting.first().packed()], (), socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                return
            except OSError:
                self.ended = True
                return
            self.waiting.take_lost()
            self.waiting.take()

    def received(self) -> Iterator[Broadcast]:
        """Yield some messages that it has sent."""
        for _ in range(_AT_ONCE):
            try:
                data = self.sock.recv(MOST_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return
            message = unpacked(data)
            if message is not None:
                yield message


class Relay:
    """All workers by serial, as receivers. ``tell``: tells the operator a sentence. Runs on: the thread of the parent."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._kept = Kept()
        self._receivers: dict[int, _Receiver] = {}

    def open(self, serial: int) -> Lane:
        """Return the end that a worker gets. What is kept is sent to it first. Raises: OSError: no descriptor is left."""
        ours, theirs = packets()
        self._receivers[serial] = _Receiver(ours, self._kept)
        return Lane(theirs)

    def interests(self) -> Iterator[tuple[int, int]]:
        """Yield what is to be polled, and for which events."""
        for receiver in self._receivers.values():
            if not receiver.ended:
                yield receiver.sock.fileno(), select.POLLIN | (select.POLLOUT if receiver.waiting else 0)

    def pass_on(self, ready: Collection[int]) -> None:
        """Read from all that are ready, and send to all what they take."""
        for receiver in list(self._receivers.values()):
            if receiver.sock.fileno() in ready:
                for message in receiver.received():
                    self._add(message)
        for receiver in self._receivers.values():
            receiver.flush()

    def _add(self, message: Broadcast) -> None:
        refused = self._kept.refuses(message)
        if refused:
            topic = message.topic.decode("utf-8", "replace")
            self._tell(f"a message for the topic {topic!r} is not kept for later workers: {refused}")
            message = Broadcast(message.topic, message.payload)
        self._kept = self._kept.after(message)
        for receiver in self._receivers.values():
            receiver.waiting.add(message)

    def close(self, serial: int) -> None:
        """A worker has ended."""
        receiver = self._receivers.pop(serial, None)
        if receiver is not None:
            receiver.sock.close()

    def close_all(self) -> None:
        """Close what this process has of all. In a child of a fork these are its copies."""
        for serial in list(self._receivers):
            self.close(serial)

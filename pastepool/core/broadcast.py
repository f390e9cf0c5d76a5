"""
Say what may be sent to all worker processes, what of it is kept for later ones, and what waits for one that is slow.

Knows bytes and their number. Knows no socket, no process and no thread. Source: contract I5.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

LONGEST_PAYLOAD = 65536
"""How many bytes a payload may have. Enough for a list of what has changed; data itself belongs into a database."""

LONGEST_TOPIC = 200
"""How many bytes a topic may have, in UTF-8."""

MOST_KEPT = 256
MOST_BYTES_KEPT = 2**20
"""How many topics may have a kept message, and how many bytes these may have together. Every process has a copy."""

MOST_BYTES_WAITING = 2**20
"""How many bytes may wait for a process, or for a callback, that does not take them."""

_COST = 256
"""What a message counts beside its own bytes: about what the interpreter needs for it."""

_HEAD = struct.Struct("!?H")


@dataclass(frozen=True)
class Broadcast:
    """
    What one process tells all. ``topic``: in UTF-8. ``keep``: processes that start later get it too, unless a newer one of
    the same topic is kept by then.
    """

    topic: bytes
    payload: bytes
    keep: bool = False

    @property
    def cost(self) -> int:
        """Return what it counts, in bytes."""
        return _COST + len(self.topic) + len(self.payload)

    def packed(self) -> bytes:
        """Return it as bytes. ``unpacked`` reads them."""
        return _HEAD.pack(self.keep, len(self.topic)) + self.topic + self.payload


def unpacked(data: bytes) -> Broadcast | None:
    """Return the message; None if the bytes are none."""
    if len(data) < _HEAD.size:
        return None
    keep, length = _HEAD.unpack_from(data)
    topic, payload = data[_HEAD.size : _HEAD.size + length], data[_HEAD.size + length :]
    right = 0 < len(topic) == length <= LONGEST_TOPIC and len(payload) <= LONGEST_PAYLOAD
    return Broadcast(topic, payload, keep) if right else None


def topic_of(topic: object) -> bytes:
    """
    Return a topic as a message has it.

    Raises: TypeError: it is no text. ValueError: it is empty or too long, or no UTF-8. The application made the mistake.
    """
    if not isinstance(topic, str):
        raise TypeError(f"the topic {topic!r} is of type {type(topic).__name__}; give a str")
    try:
        encoded = topic.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the topic {topic!r} cannot be encoded: {error.reason}; give text without surrogates"
        ) from None
    if not 0 < len(encoded) <= LONGEST_TOPIC:
        raise ValueError(f"the topic {topic[:80]!r} has {len(encoded)} bytes in UTF-8; give 1 to {LONGEST_TOPIC}")
    return encoded


def message_of(topic: object, payload: object, keep: bool) -> Broadcast:
    """Return what the application wants to send. Raises: TypeError, ValueError: as ``topic_of``, and for the payload."""
    encoded = topic_of(topic)
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        raise TypeError(f"the payload for {topic!r} is of type {type(payload).__name__}; give bytes")
    data = bytes(payload)
    if len(data) > LONGEST_PAYLOAD:
        raise ValueError(
            f"the payload for {topic!r} has {len(data)} bytes, and {LONGEST_PAYLOAD} may be sent; put the data where all"
            " processes find it, and send its name"
        )
    return Broadcast(encoded, data, bool(keep))


@dataclass(frozen=True)
class Kept:
    """The newest kept message of each topic."""

    messages: Mapping[bytes, Broadcast] = field(default_factory=dict)

    def refuses(self, message: Broadcast) -> str:
        """Say why a message cannot be kept, in words; empty if it can, or need not."""
        others = sum(kept.cost for topic, kept in self.messages.items() if topic != message.topic)
        if not message.keep or not message.payload:
            return ""
        if message.topic not in self.messages and len(self.messages) >= MOST_KEPT:
            return f"{MOST_KEPT} topics have a kept message already"
        if others + message.cost > MOST_BYTES_KEPT:
            return f"the kept messages would have more than {MOST_BYTES_KEPT} bytes"
        return ""

    def after(self, message: Broadcast) -> Kept:
        """Return what is kept after a message. An empty payload that is to be kept ends what was kept of its topic."""
        if not message.keep or self.refuses(message):
            return self
        others = {topic: kept for topic, kept in self.messages.items() if topic != message.topic}
        return replace(self, messages={**others, message.topic: message} if message.payload else others)


class Undelivered:
    """
    The messages that one receiver has not taken yet, in their order. Their number is bounded.

    If there are too many, a new one is lost, and counted. A message that is to be kept is not lost: it takes the place of
    the one of its topic that waits. Not for several threads at once: the caller has a lock.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._messages: deque[Broadcast] = deque()
        self._cost = 0

    def __bool__(self) -> bool:
        """Say whether any message waits."""
        return bool(self._messages)

    def add(self, message: Broadcast) -> bool:
        """Let one more wait. Returns whether it does."""
        over = self._cost + message.cost > MOST_BYTES_WAITING
        if over and message.keep:
            for older in [each for each in self._messages if each.keep and each.topic == message.topic]:
                self._messages.remove(older)
                self._cost -= older.cost
        if self._cost + message.cost > MOST_BYTES_WAITING + (2 * MOST_BYTES_KEPT if message.keep else 0):
            self.lost += 1
            return False
        self._messages.append(message)
        self._cost += message.cost
        return True

    def first(self) -> Broadcast:
        """Return the one that has waited longest."""
        return self._messages[0]

    def take(self) -> Broadcast:
        """Return that one, which waits no longer."""
        message = self._messages.popleft()
        self._cost -= message.cost
        return message

    def take_lost(self) -> int:
        """Return how many were lost since the last call."""
        lost, self.lost = self.lost, 0
        return lost

"""
Call back what an application has subscribed to, when another process of the fleet or this one broadcasts it.

``subscribe`` is public (``pastepool.subscribe``). The server gives the other half to the application as
``environ['pastepool.broadcast']``.

The callbacks run on one thread of their own, which starts with the first message that somebody has subscribed to. So one
that hangs holds up nothing but later messages. Source: contract I5.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from pastepool.core.broadcast import Broadcast, Kept, Undelivered, message_of, topic_of, unpacked
from pastepool.core.wording import counted
from pastepool.errors import BroadcastError, NoThread
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.system import forks
from pastepool.runtime.system.threads import spawn_thread

Callback = Callable[[bytes], object]

_log = scribbled("pastepool")

_MOST_SUBSCRIPTIONS = 1000
"""More than any application needs: one that subscribes in each request is noticed."""


class Hub:
    """
    What one process has subscribed to, and the messages that its callbacks have not had yet.

    ``_lock`` guards all. ``_kept``: what later subscriptions get, as of the last message that was called back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bell = threading.Condition(self._lock)
        self._callbacks: dict[bytes, tuple[Callback, ...]] = {}
        self._kept = Kept()
        self._waiting = Undelivered()
        self._late: deque[tuple[Broadcast, Callback]] = deque()
        self._lost = 0
        self._servers = 0
        self._thread: object = None
        self._send: Callable[[bytes], None] | None = None
        self._given_up = ""

    # ------------------------------------------------------------------------------------------------- for applications

    def subscribe(self, topic: str, callback: Callback) -> Callable[[], None]:
        """See ``subscribe`` of this module."""
        encoded = topic_of(topic)
        if not callable(callback):
            raise TypeError(f"pastepool.subscribe({topic!r}, {callback!r}): the callback cannot be called")
        with self._lock:
            if sum(map(len, self._callbacks.values())) >= _MOST_SUBSCRIPTIONS:
                raise BroadcastError(
                    f"pastepool.subscribe({topic!r}): there are {_MOST_SUBSCRIPTIONS} subscriptions already; subscribe"
                    " once, where the application is loaded, or end those that are not needed"
                )
            self._callbacks[encoded] = (*self._callbacks.get(encoded, ()), callback)
            kept = self._kept.messages.get(encoded)
            if kept is not None:
                self._late.append((kept, callback))
                self._ring_locked()

        def end() -> None:
            with self._lock:
                left = list(self._callbacks.get(encoded, ()))
                if callback in left:
                    left.remove(callback)
                self._callbacks.pop(encoded, None)
                if left:
                    self._callbacks[encoded] = tuple(left)

        return end

    def broadcast(self, topic: str, payload: bytes, keep: bool = False) -> None:
        """
        Send a payload to the callbacks of a topic in every process, this one included. ``environ['pastepool.broadcast']``.

        ``keep``: processes that start later, and later subscriptions, get it too, until a newer one of the topic is kept.
        An empty payload that is to be kept ends this. Returns before it has arrived.

        Raises: TypeError, ValueError: the topic or the payload cannot be sent; the application made a mistake.
        BroadcastError: the parent does not take it, or too much is kept; nobody was told. Runs on: any thread.
        """
        message = message_of(topic, payload, keep)
        with self._lock:
            refused, send, given_up = self._kept.refuses(message), self._send, self._given_up
        if refused or given_up:
            raise BroadcastError(f"the message for {topic!r} was not sent: {given_up or refused}")
        if send is None:
            self.hear(message.packed(), 0)
        else:
            send(message.packed())

    # ------------------------------------------------------------------------------------------------- for the server

    def begin(self, send: Callable[[bytes], None] | None) -> None:
        """A server serves from now on. ``send``: sends to all processes, this one included; None if there is but one."""
        with self._lock:
            self._servers += 1
            self._send = send
            first = self._servers == 1
            if self._late:
                self._ring_locked()
        if first:
            forks.watch(self)

    def end(self) -> None:
        """A server has ended. After the last one nothing is called back any more; a callback that runs is not awaited."""
        with self._lock:
            self._servers = max(0, self._servers - 1)
            last = not self._servers
            if last:
                self._forget_locked()
                self._bell.notify_all()
        if last:
            forks.forget(self)

    def hear(self, data: bytes, lost: int) -> None:
        """
        Take a message of another process, or of this one. ``lost``: how many before it did not get here.

        Waits for no callback. Runs on: any thread.
        """
        message = unpacked(data)
        if message is None:
            return
        with self._lock:
            if not self._servers:
                return
            first = not self._lost
            self._lost += lost
            if not self._callbacks and not self._waiting:
                self._kept = self._kept.after(message)
            elif self._waiting.add(message):
                self._ring_locked()
            else:
                self._lost += self._waiting.take_lost()
            tell = first and self._lost > 0
        if tell:
            _log.warning(
                "messages of pastepool.broadcast get lost in this process: it does not take them as fast as they come, or a"
                " callback of pastepool.subscribe hangs; what depends on them may be out of date"
            )

    def _forget_locked(self) -> None:
        self._waiting = Undelivered()
        self._kept = Kept()
        self._late.clear()
        self._send = None
        self._lost = 0

    # ------------------------------------------------------------------------------------------------------- the thread

    def _ring_locked(self) -> None:
        if self._servers and self._thread is None:
            token = self._thread = object()
            try:
                spawn_thread(lambda: self._run(token), "pastepool broadcast")
            except NoThread as error:
                self._thread = None  # the next message tries again
                _log.error(
                    "callbacks of pastepool.subscribe have no thread: %s; a message waits for the next one", error
                )
        self._bell.notify_all()

    def _run(self, token: object) -> None:
        """Call back until the last server has ended. This is the body of the thread."""
        try:
            while (due := self._next()) is not None:
                for message, callback in due:
                    _call(message, callback)
        finally:
            with self._lock:
                if self._thread is token:
                    self._thread = None  # something else than an exception of a callback ended it

    def _next(self) -> list[tuple[Broadcast, Callback]] | None:
        """Wait for what is to be called back next. Returns None at the end."""
        with self._lock:
            while self._servers and not self._late and not self._waiting:
                self._bell.wait()
            if not self._servers:
                self._thread = None
                return None
            if self._late:
                due = [self._late.popleft()]
            else:
                message = self._waiting.take()
                self._kept = self._kept.after(message)
                due = [(message, callback) for callback in self._callbacks.get(message.topic, ())]
            lost, self._lost = (self._lost, 0) if not self._waiting else (0, self._lost)
        if lost:
            _log.warning("%s of pastepool.broadcast did not reach this process", counted(lost, "message"))
        return due

    # -------------------------------------------------------------------------------------------------- forks.Forked

    @property
    def handled(self) -> Collection[int]:
        return ()

    def in_child(self) -> None:
        """The application has forked: this process has neither the thread nor a right to the connection to the parent."""
        self._lock = threading.Lock()
        self._bell = threading.Condition(self._lock)
        self._servers, self._thread = 0, None
        self._forget_locked()
        self._given_up = "the application has forked this process, and only processes that serve can send"


def _call(message: Broadcast, callback: Callback) -> None:
    """Call one callback. What it raises is logged, SystemExit too: it would end the thread, and later messages with it."""
    try:
        callback(message.payload)
    except (Exception, SystemExit) as error:
        _log.error(
            "the callback %s for the topic %r of pastepool.subscribe raised %s; later messages are called back",
            _name_of(callback),
            message.topic.decode("utf-8", "replace"),
            type(error).__name__,
            exc_info=True,
        )


def _name_of(callback: Any) -> str:
    return f"{getattr(callback, '__module__', '?')}.{getattr(callback, '__qualname__', repr(callback)[:100])}"


hub = Hub()
"""The one of this process."""


def subscribe(topic: str, callback: Callable[[bytes], object]) -> Callable[[], None]:
    """
    Have ``callback(payload)`` called for each message that a process of the same server sends to a topic.

    Subscribe where the application is loaded. The callback gets the last kept payload of the topic first, if there is
    one. Callbacks run one after the other, on a thread of ours; what one raises is logged.

    ``topic``: 1 to 200 bytes in UTF-8. Returns: a function that ends the subscription.

    Raises: TypeError, ValueError: the topic is no such text, or the callback cannot be called. BroadcastError: there are
    too many subscriptions. The application made the mistake. Runs on: any thread.
    """
    return hub.subscribe(topic, callback)

"""
Ask the process at the other end of a pair of sockets, and answer what it asks. Both sides do the same.

The other side may stand still or end at any time. So each question has a patience, and while ``UNANSWERED`` questions
wait for an answer no more are sent: a process that stands still for hours is not buried in them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from pastepool.runtime.system.loggers import own_logger
from pastepool.types import Seconds, Spawner

_log = own_logger("pastepool")

UNANSWERED = 8
AT_ONCE = 8
"""How many questions one side answers at once, each on a thread of its own; to more it gives no answer."""

LONGEST = 64 * 1024 * 1024
"""The most bytes of one message. The state of five hundred workers with different stacks has about one million."""

_SENT_WITHIN: Seconds = 5.0
"""How long a message may take to send. The other side reads all the time, unless it stands still or has ended."""

_HEAD = struct.Struct("!I")
_TIMEVAL = struct.Struct("@ll")


class NoAnswer(Exception):
    """The other side has ended, or did not answer in time."""


class Question:
    """A question that was asked. ``failed``: nobody will answer it."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.done = threading.Event()
        self.failed = False
        self.answer: Any = None

    def wait(self, patience: Seconds) -> Any:
        """Return the answer. Raises: NoAnswer. Runs on: any thread."""
        if self.failed or not self.done.wait(patience):
            raise NoAnswer(self.word)
        return self.answer


class Link:
    """
    One side of a link.

    ``answer``: returns the answer to a question, a word and what goes with it, all of them values of JSON. Called on
    threads of its own, ``AT_ONCE`` at once.
    """

    def __init__(self, sock: socket.socket, answer: Callable[[str, Any], Any], spawn: Spawner) -> None:
        sock.settimeout(None)  # the application may have set another default
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(_SENT_WITHIN), 0))
        self._sock = sock
        self._answer = answer
        self._spawn = spawn
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Question] = {}
        self._lock = threading.Lock()
        self._threads = threading.BoundedSemaphore(AT_ONCE)
        self.ended = False

    def start(self) -> None:
        """Listen from now on. Raises: NoThread."""
        self._spawn(self._listen, "pastepool link")

    def ask(self, word: str, about: Any, patience: Seconds) -> Any:
        """Return the answer to a question. Raises: NoAnswer. Runs on: any thread."""
        return self.put(word, about).wait(patience)

    def put(self, word: str, about: Any) -> Question:
        """Ask, and do not wait for the answer. Runs on: any thread."""
        question, number = Question(word), next(self._numbers)
        if self.ended or len(self._waiting) >= UNANSWERED:
            question.failed = True
            return question
        self._waiting[number] = question
        question.failed = not self._send([number, word, about])
        return question

    def close(self) -> None:
        """End the link: the other side sees that. May be called twice. Runs on: any thread."""
        self.ended = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _send(self, message: Any) -> bool:
        data = json.dumps(message).encode("utf-8", "surrogatepass")
        with self._lock:
            try:
                self._sock.sendall(_HEAD.pack(len(data)) + data)
            except OSError:  # a part may have been sent, so nothing that follows would be understood
                self.close()
                return False
        return True

    def _listen(self) -> None:
        try:
            with self._sock.makefile("rb") as stream:
                while len(head := stream.read(_HEAD.size)) == _HEAD.size:
                    (length,) = _HEAD.unpack(head)
                    data = stream.read(length) if length <= LONGEST else b""
                    if len(data) < length:
                        break
                    self._take(*json.loads(data))
        except OSError:
            pass  # the other side has ended
        finally:
            self.ended = True
            self._sock.close()

    def _take(self, number: int, word: str, about: Any) -> None:
        """Take a question; or an answer, which has no word."""
        if not word:
            question = self._waiting.pop(number, None)
            if question is not None:
                question.answer = about
                question.done.set()
        elif self._threads.acquire(blocking=False):
            try:
                self._spawn(lambda: self._reply(number, word, about), "pastepool answer")
            except RuntimeError:  # no thread is left
                self._threads.release()

    def _reply(self, number: int, word: str, about: Any) -> None:
        try:
            self._send([number, "", self._answer(word, about)])
        except Exception:
            _log.exception("Internal error in the answer to %s; please report this", word)
        finally:
            self._threads.release()

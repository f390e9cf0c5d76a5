"""
The protocol of a task: everything that the pool, the supervisor, the kill ladder and the page ask of it.

This module knows no HTTP. ``runtime.http.exchange`` implements the protocol for a request of our own server, and
``background`` for a plain callable. An adapter for the server of another host brings its own implementation.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pastepool.types import CallWindow, Seconds


class ShedReason(enum.Enum):
    """
    Why the pool gives back a task that no worker has run. The values are for the log; the task itself decides what its
    client is told.
    """

    QUEUE_FULL = "all workers are busy and enough tasks wait"
    WAITED_TOO_LONG = "all workers are busy and it waited too long"
    STOPPING = "the pool stops"


class TaskOutcome(NamedTuple):
    """
    How a task ended, for people.

    ``status``: the number that the host gives to its response; the HTTP status code for a request; 0 for none.
    ``fate``: a word or two if the task did not end normally (``killed``, ``client gone``); empty otherwise.
    """

    status: int = 0
    fate: str = ""


class WaitForClient(Protocol):
    """
    What a task knows of its waits for a client that does not read.

    ``since``: when the present wait began; None between two waits. ``lasted``: how long all waits before it were.
    """

    @property
    def since(self) -> Seconds | None: ...
    @property
    def lasted(self) -> Seconds: ...

    def stalled_since(self, now: Seconds) -> Seconds:
        """Find out since when the client has read nothing. Runs on: any thread."""

    def cut(self) -> bool:
        """
        Cut the client off, because others wait for the worker. Returns whether the worker waits for the client.

        Runs on: supervisor.
        """


class Task(Protocol):
    """
    Work for one worker.

    Large because it is everything that the pool, the supervisor and the pages ask of a task, in one place.

    The pool writes these attributes. ``arrived_at``: when the task began to wait for a worker; 0.0 if it never waited.
    ``started_at``: when a worker took the task. ``worker_name``: the name of that worker.

    The pool reads these. ``serial``: a number that no other task of the process has; never 0. ``kind``: tasks of the
    same kind are expected to take about the same time. ``kill_after``: seconds from the start, instead of the policy's
    kill limit (None: the policy's limit, 0: never); the task must nudge the supervisor if this changes during the run.
    ``cancellations``: callables without arguments; a kill calls them, on a thread of their own. ``client_wait``: how
    ``run`` waits for a client that does not read; None if it has never done so. The task nudges the supervisor when a
    wait begins or ends.

    Pages read these. ``environ``: the WSGI environ, for programs that look into Paste's pool; None if there is none.
    ``peer``: the client's address as its socket has it, never as a header claims; empty for a socket without addresses,
    None if there is no socket.

    Only ``run`` may raise. Each task ends in exactly one of three ways: ``run`` and then ``conclude``; ``refused``;
    ``dropped``. People read the strings that ``title`` and ``described`` return.
    """

    arrived_at: Seconds
    started_at: Seconds
    worker_name: str

    @property
    def serial(self) -> int: ...
    @property
    def kind(self) -> Hashable: ...
    @property
    def kill_after(self) -> Seconds | None: ...
    @property
    def cancellations(self) -> Sequence[Callable[[], object]] | None: ...
    @property
    def client_wait(self) -> WaitForClient | None: ...
    @property
    def environ(self) -> Mapping[str, object] | None: ...
    @property
    def peer(self) -> str | None: ...

    def title(self) -> str:
        """Name the task in a few words, without secrets. Runs on: any thread, even after the end of the task."""

    def described(self) -> Mapping[str, str]:
        """
        Return names and texts that describe the task, for mails and pages, in the order in which to show them.

        The texts are printable and have their secrets masked. A request has ``method``, ``path``, ``query``, ``client``
        and the other facts of ``core.telling.masking.request_facts``. Another task has names of its own, or none. Runs
        on: any thread, at any time, as ``title``.
        """

    def outcome(self) -> TaskOutcome:
        """Say how the run ended. Runs on: its worker, after ``run``."""

    def run(self, window: CallWindow) -> Seconds | None:
        """
        Do the work. Open the window before the part that a kill may interrupt, and shut it after that part.

        Returns: when the work was done, if what followed never waits and so does not count; None if all of it counts.
        Raises: anything; the window may then still be open. Runs on: its worker.
        """

    def failed(self, error: BaseException) -> None:
        """Handle the error that ``run`` raised. The window is shut. Runs on: its worker."""

    def conclude(self, now: Seconds) -> None:
        """Give back all that the task holds. The last call after ``run``, even if that raised. Runs on: its worker."""

    def killed(self, now: Seconds) -> None:
        """
        Answer the client of a task that is being killed, if nothing was sent yet.

        This happens before the exception is raised in the worker. ``run`` still runs, but may send nothing any more.
        Runs on: supervisor.
        """

    def cut_if_waiting(self) -> bool:
        """
        End the worker's wait for its client, if it is in one. Called if a kill found the window shut.

        Returns whether the worker was waiting for its client. Runs on: supervisor.
        """

    def refused(self, reason: ShedReason) -> None:
        """End a task that was never run. Runs on: baton; when the pool stops, the caretaker."""

    def dropped(self) -> None:
        """End a task that was never run, because its client has gone while the task waited. Runs on: baton."""

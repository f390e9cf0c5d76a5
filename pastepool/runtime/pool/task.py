"""
What the pool runs: everything that pool, supervisor, kill ladder and page ask of a task.

Knows no HTTP. ``runtime.http.exchange`` is the task of our own server, ``background`` that of a plain callable; another
host's server brings one of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pastepool.types import CallWindow, Seconds


class ShedReason(enum.Enum):
    """
    Why the pool gives back a task that no worker has run, in half a sentence for a log. What a client is told is the
    task's to say.
    """

    QUEUE_FULL = "all workers are busy and enough tasks wait"
    WAITED_TOO_LONG = "all workers are busy and it waited too long"
    STOPPING = "the pool stops"


class TaskOutcome(NamedTuple):
    """
    How a task ended, for people.

    ``status``: the host's own number for its answer, HTTP's status code for a request; 0 for none. ``fate``: a word
    or two if it did not simply end (``killed``, ``client gone``); empty otherwise.
    """

    status: int = 0
    fate: str = ""


class Task(Protocol):
    """
    Work for one worker.

        Large because it is everything that the pool, the supervisor and the pages ask of a task, in one place.

    Written by the pool: ``arrived_at``, when the task began to wait for a worker (0.0: it never had to);
    ``started_at``, when a worker took it; ``worker_name``, which one.

    Read by the pool: ``serial``, which tells this task from every other one of the process and is never 0; ``kind``,
    tasks of the same kind are expected to take about as long; ``kill_after``, seconds from the start that replace the
    policy's limit (None: the policy's, 0: never; the supervisor must be nudged when it changes during the run);
    ``cancellations``, callables without arguments that are called at a kill, on a thread of their own.

    Read by pages: ``environ``, the WSGI environ, for those who look into Paste's pool; None where there is none.
    ``peer``, the client's address as its socket has it, never as a header claims: empty for a socket without addresses,
    None where there is no socket.

    No method may raise, but ``run``. Each task ends in exactly one of three ways: ``run`` and then ``conclude``;
    ``refused``; ``dropped``. The strings that ``title`` and ``described`` answer are shown to people.
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
    def environ(self) -> Mapping[str, object] | None: ...
    @property
    def peer(self) -> str | None: ...

    def title(self) -> str:
        """Name the task in a few words, without secrets. Runs on: any thread, while it waits, runs or has ended."""

    def described(self) -> Mapping[str, str]:
        """
        Describe the task by words and texts, for mails and pages: masked, printable, in the order to show them.

        A request has ``method``, ``path``, ``query``, ``client`` and what else ``core.telling.masking.request_facts``
        picks; another task has words of its own, or none. Runs on: any thread, as ``title``.
        """

    def outcome(self) -> TaskOutcome:
        """Say how the run ended. Runs on: its worker, after ``run``."""

    def run(self, window: CallWindow) -> None:
        """
        Do the work. Open the window around what may be killed, and shut it after that.

        Raises: anything; the window may then still be open. Runs on: its worker.
        """

    def failed(self, error: BaseException) -> None:
        """Take note that ``run`` raised. The window is shut. Runs on: its worker."""

    def conclude(self, now: Seconds) -> None:
        """Give everything back: the last act after ``run``, whatever happened. Runs on: its worker."""

    def killed(self, now: Seconds) -> None:
        """
        Take note that this task is killed now, before the exception is raised in its worker: answer the client, if
        nothing was sent yet.

        ``run`` still runs, and must not answer any more. Runs on: supervisor.
        """

    def cut_if_waiting(self) -> bool:
        """
        A kill found the window shut: end the wait for a client, if that is what the worker is in. Answers whether it
        was.

        Runs on: supervisor.
        """

    def refused(self, reason: ShedReason) -> None:
        """End without having been run. Runs on: the baton's holder; when the pool stops, the caretaker."""

    def dropped(self) -> None:
        """End without having been run: the client went while the task waited. Runs on: the baton's holder."""

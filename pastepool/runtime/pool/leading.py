"""
How the pool finds its tasks. The poller provides this, or the server of another host does.

So the pool needs to know no connection and no HTTP. Runs on: baton.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pastepool.runtime.pool.task import Task
from pastepool.types import Seconds


class Polling(Protocol):
    """What the caretaker needs of the poller."""

    def next_task(self, until: Seconds, /) -> Task | None:
        """Poll until a task is complete, a wake-up comes or ``until`` is reached. Returns None in the last two cases."""

    def ready_tasks(self, most: int, /) -> Sequence[Task]:
        """Return up to ``most`` further tasks that are complete, without another call of the kernel's poll."""

    def rest(self, seconds: Seconds, /) -> None:
        """Wait for a wake-up, at most for ``seconds``. What clients send meanwhile is read by the next poll."""


class Leading(NamedTuple):
    """
    What a leader needs of the poller, as functions, so that the pool does not depend on a poller.

    ``next_task``: polls until a task is complete or a wake-up comes. ``ready_tasks``: returns up to a number of tasks
    that are complete without another call of the kernel's poll. ``refuse``: ends a task for which there is no room.
    ``wake_for_returned``: wakes the poll if a worker gave back a connection that the poller must handle.
    """

    next_task: Callable[[], Task | None]
    ready_tasks: Callable[[int], Sequence[Task]]
    refuse: Callable[[Task], None]
    wake_for_returned: Callable[[], None]

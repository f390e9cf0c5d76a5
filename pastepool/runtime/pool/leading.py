"""
What the pool has to know of the thing that finds its tasks: the poller, or another host's.

The pool calls these; it knows no connection and no HTTP. Runs on: the thread that has the baton.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pastepool.runtime.pool.task import Task
from pastepool.types import Seconds

NextTask = Callable[[Seconds], Task | None]
"""Poll until a task is complete, a wake-up comes or that instant is reached; the last two answer None."""


class Leading(NamedTuple):
    """
    What a leader has to know of the poller, as functions, so that the pool knows none.

    ``next_task``: poll until one is complete. ``ready_tasks``: those, up to so many, that need no further look at the
    kernel. ``refuse``: answer one for which there is no room. ``wake_for_returned``: see to it that what this worker
    gave back is seen.
    """

    next_task: Callable[[], Task | None]
    ready_tasks: Callable[[int], Sequence[Task]]
    refuse: Callable[[Task], None]
    wake_for_returned: Callable[[], None]

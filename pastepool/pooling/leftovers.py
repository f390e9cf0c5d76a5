"""Log the requests that did not end before a stop had to be over, with the stacks of their workers."""

from __future__ import annotations

from collections.abc import Iterable

from pastepool.runtime.inspection.stacks import frame_of, stack_lines, stack_of
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.pool.worker import Worker

_log = scribbled("pastepool")


def tell_what_did_not_stop(workers: Iterable[Worker]) -> None:
    """Log each request that still runs, with the stack of its worker."""
    for worker in workers:
        task = worker.task
        if task is not None:
            stack = "\n".join(stack_lines(stack_of(frame_of(worker.ident)))) or "  (no Python runs there)"
            _log.error("%s did not stop: %s\n%s", worker.name, task.title(), stack)

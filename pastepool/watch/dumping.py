"""Write the stack of every thread to the log. This works under any server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from pastepool.core.wording import counted
from pastepool.runtime.inspection.stacks import current_frames, stack_lines, stack_of
from pastepool.runtime.log.scribe import scribbled
from pastepool.watch.watched import ActionOutcome

_log = scribbled("pastepool.watch")


def dump(note: Callable[[str], None]) -> ActionOutcome:
    """
    Write the stacks of all threads to the log.

    ``note``: called with a description of the action before the stacks are written; it records who asked for it.
    """
    frames = current_frames()
    if not frames:
        return ActionOutcome(
            403, "refused", "This interpreter runs without its GIL, where stacks cannot be looked at safely."
        )
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, frame in frames.items():
        lines.append(f"{names.get(ident, 'a thread Python did not start')} ({ident}):")
        lines += stack_lines(stack_of(frame))
    stacks = f"stacks of {counted(len(frames), 'thread')}"
    note(f"wrote the {stacks} to the log")
    _log.warning("stacks of all threads, on Python %s:\n%s", sys.version.split()[0], "\n".join(lines))
    return ActionOutcome(200, "dumped", f"The {stacks} are in the log (logger pastepool.watch).")

"""
Mark a kill on another thread where it may land: the way for interpreters on which no thread can be armed (``reach``).

The interpreter raises what is marked when the thread next looks: in the instant at which a call written in C returns, or
at a jump back. What is marked may come one such look later than where the thread stands, so this way is not as exact as
``arming``. Marking and looking are one step (``async_exc``); otherwise the thread might have gone on in between.

Runs on: supervisor.
"""

from __future__ import annotations

from types import FrameType

from pastepool.core.landing.grade import Grade
from pastepool.core.landing.verdict import raised_on_return
from pastepool.runtime.inspection.stacks import frame_of
from pastepool.runtime.window.arming import calls_of
from pastepool.runtime.window.async_exc import set_async_exc, set_async_exc_inside


def raise_where_it_may_land(ident: int, exception: type[BaseException]) -> bool | None:
    """
    Mark an exception on a thread, if the thread stands where that hurts nobody else.

    Where frames cannot be looked at (no GIL) it is marked without a look.

    Returns: None if the thread stands elsewhere, or has moved on meanwhile, and nothing was marked. False if the thread
        has ended.
    """
    frame = frame_of(ident)
    if frame is None:
        return bool(set_async_exc(ident, exception))
    return set_async_exc_inside(frame, ident, exception) if may_land(frame) else None


def may_land(frame: FrameType) -> bool:
    """Say whether an exception that is raised where a thread stands would arrive, and leave nothing taken."""
    return raised_on_return(calls_of(frame)) <= Grade.LIBRARY

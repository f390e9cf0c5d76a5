"""
Check that this process may fork.

After a fork only the thread that forked exists in the child, and a lock that another one held stays held. So nothing is
forked where another thread runs.
"""

from __future__ import annotations

import os
import threading

from pastepool.errors import StartError


def refuse_to_fork_beside_threads() -> None:
    """Raises: StartError: this process cannot be a parent; the sentence says why."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if not hasattr(os, "fork"):
        problem = "this system has no fork"
    elif threading.current_thread() is not threading.main_thread():
        problem = f"the server runs in the thread {threading.current_thread().name}, not in the main thread"
    elif others:
        problem = f"other threads run already ({', '.join(others)})"
    else:
        return
    raise StartError(f"processes is set, but {problem}; delete processes, or start the server with its own command.")

"""
Ask how many files this process may open, and raise that limit.

The usual soft limit is 1,024, because ``select`` can watch no descriptor above it; the hard limit is what the
administrator allows. A server needs a file for each connection. Processes that the application starts inherit the limit.

Runs on: the thread that serves.
"""

from __future__ import annotations

import os
import resource

_ENOUGH = 1_048_576
"""
The limit is not raised above this, even if the hard limit is a thousand million: some programs close every descriptor
up to the limit when they start, one by one.
"""

_GUESS = 64
"""How many files are thought to be open where the system does not tell."""


class OpenFiles:
    """
    The limit on open files of this process.

    ``limit``: how many files may be open now; ``resource.RLIM_INFINITY`` never occurs.
    """

    def __init__(self) -> None:
        self.limit = _ENOUGH
        self._soft_before: int | None = None

    def raise_limit(self) -> None:
        """Raise the soft limit to the hard one."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
        if soft == resource.RLIM_INFINITY or soft >= most:
            self.limit = _ENOUGH if soft == resource.RLIM_INFINITY else soft
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (ValueError, OSError):
            self.limit = soft  # macOS has a further limit, which ``getrlimit`` does not show
            return
        self.limit, self._soft_before = most, soft

    def restore(self) -> None:
        """Put the soft limit back, unless other code has changed it since. Does nothing if it was not raised."""
        before, self._soft_before = self._soft_before, None
        if before is None:
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == self.limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def count_open() -> int:
    """Return how many files this process has open."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder)) - 1  # one of them is open for the list itself
        except OSError:
            continue
    return _GUESS

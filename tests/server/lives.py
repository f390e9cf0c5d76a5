"""Find out from the kernel when the processes that a monitor starts began. So a late look gives the same instants."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Lives:
    """The children of a process that ``look`` has seen. ``starts``: when each began, in seconds, by its pid."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self.starts: dict[int, float] = {}

    def look(self) -> None:
        """Note the children that live now."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(fields[1]) == self._parent:
                self.starts[int(path.parent.name)] = int(fields[19]) / _TICKS

    def pauses(self) -> list[float]:
        """Return the seconds from each start to the next."""
        return [later - earlier for earlier, later in pairwise(sorted(self.starts.values()))]

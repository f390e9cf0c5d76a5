"""When the processes that a monitor starts began: told by the kernel, so that nobody who looks late is misled."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


class Lives:
    """The children a process has had while somebody looked. ``starts``: when each began, by its number, in seconds."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self.starts: dict[int, float] = {}

    def look(self) -> None:
        """Note who lives now."""
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(fields[1]) == self._parent:
                self.starts[int(path.parent.name)] = int(fields[19]) / _TICKS

    def pauses(self) -> list[float]:
        """Seconds from each start to the next."""
        return [later - earlier for earlier, later in pairwise(sorted(self.starts.values()))]

"""Ask Linux how many processes of a control group it has ended because their memory ran out."""

from __future__ import annotations

from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def events_file(own: Path = Path("/proc/self/cgroup"), groups: Path = _GROUPS) -> Path | None:
    """Return the file in which the kernel counts events of our control group (version 2); None if there is none."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    group = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    file = groups / (group or "") / "memory.events"
    return file if group is not None and file.is_file() else None


def oom_kills(file: Path | None) -> int:
    """Return how many processes of a control group the kernel has killed for memory; 0 if that is not known."""
    try:
        words = [] if file is None else file.read_text().split()
        return int(dict(zip(words[::2], words[1::2], strict=False)).get("oom_kill", 0))
    except (OSError, ValueError):
        return 0

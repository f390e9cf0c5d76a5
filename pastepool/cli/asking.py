"""Ask the parent of a file one thing over its control socket, and wait for the answer."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

from pastepool.process.reports import RELOAD, STATUS, STOP
from pastepool.runtime.family.control import names_there, user_of
from pastepool.runtime.inspection.memory import resident_size
from pastepool.types import Seconds

__all__ = ["RELOAD", "STATUS", "STOP", "ask"]


_STATUS_WITHIN: Seconds = 10.0
"""The parent answers this at once, unless it is stopped. The other commands wait for workers."""


def ask(word: str, config_file: str, section: str) -> tuple[bool, str]:
    """Ask, and wait as long as it takes. Returns whether it was done, and what to tell."""
    for name in names_there(config_file, section):
        with socket.socket(socket.AF_UNIX) as sock:
            try:
                sock.connect(name)
                if user_of(sock) != os.geteuid() and os.geteuid() != 0:
                    continue  # anybody may have bound this name
                sock.sendall(word.encode())
                sock.settimeout(_STATUS_WITHIN if word == STATUS else None)
                said = b"".join(iter(lambda: sock.recv(65536), b""))
            except TimeoutError:
                return False, f"The parent of {config_file} [{section}] does not answer. Is it stopped (kill -CONT)?"
            except OSError:
                continue
        if not said:
            return (
                False,
                f"The server of {config_file} [{section}] gave no answer: it has ended, or does not know {word}.",
            )
        answer = json.loads(said)
        return answer["ok"], _shown(answer) if "workers" in answer else answer["text"]
    return False, (
        f"No server with processes runs for {config_file} [{section}] under this user; start it, or name the section with"
        " --server-name."
    )


def _shown(answer: Mapping[str, Any]) -> str:
    """Write the processes as a table."""
    lines = [f"parent pid {answer['pid']}, generation {answer['generation']}, {answer['requests']} requests"]
    lines.append(
        f"{'slot':>4} {'pid':>8} {'generation':>10}  {'state':<9} {'for':>9} {'memory':>9} {'requests':>9}  why"
    )
    for row in answer["workers"]:
        counted = f"{row['for']:>7.1f} s {_memory(row['pid'])} {row['requests']:>9}"
        shown = f"{row['slot']:>4} {row['pid']:>8} {row['generation']:>10}  {row['state']:<9} {counted}"
        lines.append(f"{shown}  {row['why']}".rstrip())
    for mold in answer["molds"]:
        state = "forking" if mold["forks"] else "ready"
        shown = f"{'mold':>4} {mold['pid']:>8} {mold['generation']:>10}  {state:<9}"
        lines.append(f"{shown} {mold['for']:>7.1f} s {_memory(mold['pid'])} {'-':>9}")
    lines.append(
        f"{'desk':>4} {answer['desk'] or '-':>8} {'-':>10}  {'-':<9} {'-':>9} {_memory(answer['desk'])} {'-':>9}"
    )
    if answer["lost"]:
        lines.append(f"lines of the parent that standard error did not take: {answer['lost']}")
    if answer["ends"]:
        lines.append("ended unasked: " + ", ".join(f"{count} {reason}" for reason, count in answer["ends"].items()))
    return "\n".join([*lines, *([f"last failure: {answer['failure']}"] if answer["failure"] else [])])


def _memory(pid: int) -> str:
    """Write how much memory a process has."""
    size = resident_size(pid) if pid else None
    return f"{'-':>9}" if size is None else f"{size / 1048576:>5.0f} MiB"

"""
Count the system calls that pastepool makes for one request: ``python -m benchmarks.system_calls [SCENARIO ...]``.

strace counts those that concern sockets, files and the poll. Like the instructions they do not change with the load of
the machine. What threads do to wait for each other is not counted: it depends on the scheduler.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.errors import BenchError, ServerFailed
from benchmarks.instructions import COUNTED, Client, listening
from benchmarks.load import Load
from benchmarks.scenarios import SCENARIOS
from benchmarks.servers import free_port

REQUESTS = 50
WARM_UP = 20

CALLS = "%network,epoll_ctl,epoll_wait,epoll_pwait,ioctl,fcntl,close,sendfile"
"""What strace counts, in its own words."""

_MARK = "?mark"
_LINE = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.system_calls", description=__doc__.split("\n")[1])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"all if none is named: {', '.join(COUNTED)}")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the server (%(default)s)")
    return parser.parse_args(argv)


def between_marks(trace: str) -> Counter[str]:
    """
    Count the calls from the receipt of one marked request to that of the next one, by name.

    These are the calls of one request more than there are between the two: the end of the first marked one, and the
    beginning of the second. Raises: ServerFailed: two marks are not there.
    """
    parts = re.split(
        rf"^\d+ +recvfrom\(.*{re.escape(_MARK)}.*$|^\d+ +<.* recvfrom resumed>.*{re.escape(_MARK)}.*$",
        trace,
        flags=re.MULTILINE,
    )
    if len(parts) != 3:
        raise ServerFailed(f"strace has seen {len(parts) - 1} marked requests and not 2")
    calls = Counter(_LINE.findall(parts[1]))
    calls["recvfrom"] += 1
    return calls


def per_request(python: str, load: Load) -> dict[str, float]:
    """
    Return how many calls one request of a load makes, by name.

    Raises: ServerFailed: the server or strace failed; OSError.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        trace = Path(name, "trace")
        command = ["strace", "-f", "-qq", "-s", "64", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace)]
        with listening([*command, python, "-m", "benchmarks.serve_counted", str(port)], port, Path(name)):
            client, marked = Client(load, port), Client(replace(load, path=load.path + _MARK), port)
            try:
                client.ask(WARM_UP)
                marked.ask(1)
                client.ask(REQUESTS)
                marked.ask(1)
            finally:
                client.close()
                marked.close()
        found = between_marks(trace.read_text(encoding="utf-8", errors="replace"))
    return {call: count / (REQUESTS + 1) for call, count in found.most_common()}


def main(argv: Sequence[str] | None = None) -> int:
    """Count, and print one line for each scenario. Returns the exit status: 1 if nothing could be counted."""
    options = arguments(argv)
    loads = {row.name: row.load for row in SCENARIOS if row.name in COUNTED}
    try:
        unknown = sorted({*options.scenarios} - {*COUNTED})
        if unknown:
            raise BenchError(f"{', '.join(unknown)}: not one of {', '.join(COUNTED)}.")
        if shutil.which("strace") is None:
            raise BenchError("There is no strace here; install it.")
        for name in options.scenarios or COUNTED:
            found = per_request(options.python, loads[name])
            calls = ", ".join(f"{call} {count:.2f}" for call, count in found.items())
            sys.stdout.write(f"{name:<10} {sum(found.values()):>6.2f}: {calls}\n")
            sys.stdout.flush()
    except (BenchError, ServerFailed, OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
Show where a server spends its time under load: ``python -m benchmarks.profile [SCENARIO] [--server NAME]``.

py-spy samples the stacks of all threads from another process, so it costs the server almost nothing. A call into C
(``send``, ``epoll_wait``, the parser) has no frame of its own. Its time is counted for the line that calls it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks import load, measure, report
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.scenarios import SCENARIOS, WARM_UP
from benchmarks.servers import SERVERS, running

SAMPLES_A_SECOND = 500
ROWS = 15
ALL_FRAMES = 0
WHOLE_PATH = 99


def self_time(raw: str, parts: int) -> Counter[str]:
    """
    Count samples by the innermost frame.

    Args:
        raw: the raw format of py-spy: ``outer (file:line);inner (file:line) count``, one line for each stack.
        parts: how many leading parts of the path of the file are the name of a row. WHOLE_PATH: the whole path.
            ALL_FRAMES: the whole text of the frame.
    """
    counted: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        innermost = stack.rpartition(";")[2]
        if innermost:
            counted[_place(innermost, parts)] += int(count)
    return counted


def _place(frame: str, parts: int) -> str:
    if parts == ALL_FRAMES:
        return frame
    where = frame.rpartition("(")[2].rstrip(")").rpartition(":")[0]
    return "/".join(where.split("/")[:parts])


def shares(counted: Counter[str], rows: int) -> str:
    """Write a table of the ``rows`` largest counts, as shares of all samples."""
    total = counted.total()
    return report.markdown(
        ["where", "share"],
        [[f"`{place}`", f"{count / total:.1%}"] for place, count in counted.most_common(rows)],
    )


def page(raw: str, kernel: float) -> str:
    """Write the whole profile: the share of the kernel, then the time by package, by file and by line."""
    parts = [f"{kernel:.0%} of the CPU time is spent in the kernel."]
    for title, named_by in (("package", 2), ("file", WHOLE_PATH), ("line", ALL_FRAMES)):
        parts.append(f"By {title}:\n\n{shares(self_time(raw, named_by), ROWS)}")
    return "\n\n".join(parts) + "\n"


def sample(server: str, scenario: str, seconds: int) -> tuple[str, float]:
    """
    Load a server and sample its stacks meanwhile. Returns the raw output of py-spy and the share of CPU time spent in
    the kernel.

    Raises:
        BenchError: py-spy is missing or may not read the process, or a name is unknown.
        ServerFailed: the server did not start or answer.
    """
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        raise BenchError("py-spy, which takes the samples, is not on PATH; install it (pip install py-spy).")
    chosen = {row.name: row for row in SERVERS}.get(server)
    under = {row.name: row for row in SCENARIOS}.get(scenario)
    if chosen is None or under is None:
        raise BenchError(f"There is no server {server!r} or no scenario {scenario!r}.")
    with running(chosen) as started, tempfile.TemporaryDirectory() as folder:
        load.run(under.load, started.port, WARM_UP)
        raw = Path(folder, "stacks")
        before = measure.cpu_split(started.session)
        with load.started(under.load, started.port, seconds + 2):
            command = [spy, "record", "--nonblocking", "--format", "raw", "--rate", str(SAMPLES_A_SECOND)]
            command += ["--duration", str(seconds), "--output", str(raw), "--pid", str(started.session)]
            spied = subprocess.run(command, capture_output=True, text=True, check=False)
        user, kernel = (now - then for now, then in zip(measure.cpu_split(started.session), before, strict=True))
        if spied.returncode or not raw.exists():
            raise BenchError(f"py-spy took no samples: {spied.stderr.strip()[-200:]}")
        return raw.read_text(encoding="utf-8"), kernel / max(user + kernel, measure.TICK)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the profile, and write it to ``--table`` if that is given. Returns 0, or 1 if there is no profile."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Say where the time goes.")
    parser.add_argument("scenario", nargs="?", default="hello")
    parser.add_argument("--server", default=report.BASE)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--table", metavar="FILE", help="write the profile here, as Markdown")
    options = parser.parse_args(argv)
    try:
        raw, kernel = sample(options.server, options.scenario, options.seconds)
    except (BenchError, ServerFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    text = page(raw, kernel)
    sys.stdout.write(text)
    if options.table:
        report.write(options.table, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""
Make a load with wrk: what to request, how to run wrk, how to read its output.

wrk prints rounded figures. The script that this module gives to wrk has a ``done`` function, which prints the exact
figures as JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchError, ServerFailed

MARK = "RESULT "
PATIENCE = 30.0
"""Seconds that wrk may run longer than it was told, before it is killed."""

COUNT_WITHIN = 60
"""Seconds in which a fixed number of requests must be answered."""

DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "max": %d, "errors": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""

COUNTED = """
local seen, wrong, wanted = 0, 0, %d
response = function(status)
  seen = seen + 1
  if status ~= 200 then wrong = wrong + 1 end
  if seen == wanted then
    io.write(string.format('\\nCOUNTED %%d of %%d were wrong\\n', wrong, seen))
    io.flush()
    os.exit(0)
  end
end
"""
"""
A Lua script that ends wrk after a fixed number of answers. wrk itself can only run for a time: when its thread stops
early, wrk sleeps for the rest of that time. So the script exits from the process.
"""

BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://localhost/account/orders?page=2",
    "Cookie": "session=0d9bb3ac2f6e4d1f9a7cbb6a3c1e5f77; theme=dark; consent=1",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Cache-Control": "max-age=0",
}
"""Together with Host, which wrk adds, these are twelve headers, as many as a desktop browser sends."""


@dataclass(frozen=True)
class Load:
    """
    One kind of request, and how many connections send it.

    ``body``: the number of bytes to POST. ``requests``: stop after this many answers (see ``count``); 0 stops by time.
    ``scheme``: ``https`` to ask over TLS; wrk then takes any certificate.
    """

    path: str
    connections: int = 64
    headers: tuple[tuple[str, str], ...] = ()
    body: int = 0
    requests: int = 0
    scheme: str = "http"


@dataclass(frozen=True)
class Answered:
    """
    The figures of one run of wrk. ``errors``: failed connects, reads and writes, timeouts, statuses from 400 on.
    ``max_ms``: the longest time that an answer took.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int
    max_ms: float = 0.0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def script(load: Load) -> str:
    """Write the Lua script that makes wrk send this load and print its result."""
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in load.headers]
    if load.body:
        lines += ['wrk.method = "POST"', f'wrk.body = string.rep("x", {load.body})']
    return "\n".join(lines) + "\n" + (COUNTED % load.requests if load.requests else DONE)


def parse(output: str) -> Answered:
    """
    Read the figures that the ``done`` function printed.

    Raises:
        ServerFailed: there is no result line, so wrk could not reach the server. The error has the end of wrk's output.
    """
    for line in reversed(output.splitlines()):
        if line.startswith(MARK):
            found = json.loads(line[len(MARK) :])
            return Answered(
                requests=found["requests"],
                seconds=found["microseconds"] / 1e6,
                p50_ms=found["p50"] / 1e3,
                p99_ms=found["p99"] / 1e3,
                errors=found["errors"],
                max_ms=found["max"] / 1e3,
            )
    raise ServerFailed(f"wrk gave no result: {' '.join(output.split())[-200:] or 'no output'}")


def find_wrk() -> str:
    """Return the path of wrk. Raises: BenchError, which says how to install it."""
    found = shutil.which("wrk")
    if found is None:
        raise BenchError("wrk, which makes the load, is not on PATH; install it (Debian: apt-get install wrk).")
    return found


@contextmanager
def started(load: Load, port: int, seconds: int) -> Iterator[subprocess.Popen[str]]:
    """Run wrk while the block runs. At the end of the block wrk is killed, if it has not ended by itself."""
    with tempfile.TemporaryDirectory() as folder:
        lua = Path(folder, "load.lua")
        lua.write_text(script(load), encoding="utf-8")
        command = [
            *(find_wrk(), "--latency", "--timeout", "10s", "--threads", "1", "--connections", str(load.connections)),
            *("--duration", f"{seconds}s", "--script", str(lua), f"{load.scheme}://127.0.0.1:{port}{load.path}"),
        ]
        wrk = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            yield wrk
        finally:
            wrk.kill()
            wrk.communicate()


def finish(wrk: subprocess.Popen[str], seconds: int) -> Answered:
    """Wait until wrk has ended, and return its result."""
    try:
        output, _ = wrk.communicate(timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        raise ServerFailed(f"wrk did not end within {PATIENCE:g} s after its time") from None
    return parse(output)


def run(load: Load, port: int, seconds: int) -> Answered:
    """Send a load for ``seconds`` and return the result."""
    with started(load, port, seconds) as wrk:
        return finish(wrk, seconds)


def count(load: Load, port: int) -> None:
    """
    Send requests until ``load.requests`` are answered. A few more may be on their way then.

    Raises:
        ServerFailed: some were not answered with 200, or not within COUNT_WITHIN seconds.
    """
    with started(load, port, COUNT_WITHIN) as wrk:
        output, _ = wrk.communicate(timeout=COUNT_WITHIN + PATIENCE)
    if f"COUNTED 0 of {load.requests} were wrong" not in output:
        raise ServerFailed(f"not every request was answered: {' '.join(output.split())[-200:] or 'no output'}")

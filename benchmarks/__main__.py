"""
Measure the servers, print the tables, and write the files. ``python -m benchmarks --help`` lists the options.

The order: each round has all scenarios, and each scenario has all servers. Every second round takes the servers in
reverse order, so that no server is always measured after the one with the heaviest load.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import report, targets
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.load import find_wrk
from benchmarks.measure import interpreter, machine
from benchmarks.report import Results, Sample
from benchmarks.scenarios import SCENARIOS, Plan, Scenario
from benchmarks.servers import ROOT, SERVERS, Server, running

TABLE = ROOT / "docs" / "_generated" / "performance-table.md"
"""The file that docs/performance.md includes. A run of all servers and scenarios writes it without ``--table``."""
SPARE_FILES = 1_000
"""Open files that a server may need besides the idle connections: those of the load and its own."""

Row = TypeVar("Row", Server, Scenario)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure pastepool beside its rivals.")
    parser.add_argument("--scenarios", metavar="NAME,...", help=", ".join(row.name for row in SCENARIOS))
    parser.add_argument("--servers", metavar="NAME,...", help=", ".join(row.name for row in SERVERS))
    parser.add_argument("--seconds", type=int, default=4, help="length of one measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, of which the median counts (%(default)s)")
    parser.add_argument("--idle", type=int, default=10_000, help="idle connections to hold (%(default)s)")
    parser.add_argument("--processes", type=int, default=1, help="worker processes of each server (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write every sample here")
    parser.add_argument("--table", metavar="FILE", help=f"write the tables here; a run of everything: {TABLE.name}")
    parser.add_argument("--read", metavar="FILE", help="measure nothing: read the samples of an earlier --json")
    parser.add_argument("--quick", action="store_true", help="smoke test: pastepool only, one second each, 1000 idle")
    found = parser.parse_args(argv)
    if found.quick:
        found.seconds, found.rounds, found.idle = 1, 1, 1_000
        found.servers = found.servers or report.BASE
    if found.processes > 1 and not found.servers:
        found.servers = ",".join(row.name for row in SERVERS if row.in_processes)
    whole = not (found.servers or found.scenarios or found.read)
    if whole and not found.table:
        found.table = str(TABLE)
    return found


def chosen(rows: Sequence[Row], names: str | None) -> list[Row]:
    """
    Return the named rows, in the order of the table. Without names, return all rows.

    Raises:
        BenchError: the table has no row with that name.
    """
    if names is None:
        return list(rows)
    wanted = names.split(",")
    known = {row.name for row in rows}
    for name in wanted:
        if name not in known:
            raise BenchError(f"{name!r} is not one of {', '.join(row.name for row in rows)}.")
    return [row for row in rows if row.name in wanted]


def say(line: str) -> None:
    """Print a line and flush it, so that it is seen at once, also through a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def present(servers: Sequence[Server]) -> list[Server]:
    """Return the servers that are installed. For each other server, print why it is left out and how to install it."""
    found = []
    for server in servers:
        missing = server.missing()
        if missing:
            say(missing)
        else:
            found.append(server)
    if not found:
        raise BenchError("None of the servers asked for is installed here; install the extra bench.")
    return found


def raise_open_files(idle_connections: int) -> None:
    """
    Raise the limit of open files of this process, and so of the servers it starts, to what the idle connections need.

    Raises:
        BenchError: the hard limit of the system is lower, and this process may not raise it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = idle_connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (needed, hard if hard == resource.RLIM_INFINITY else max(hard, needed))
        )
    except (ValueError, PermissionError):
        raise BenchError(
            f"A process may open {hard} files here and {idle_connections} idle connections need {needed}; "
            f"raise the hard limit (ulimit -Hn {needed}) or hold fewer (--idle)."
        ) from None


def measured(server: Server, scenario: Scenario, plan: Plan, number: int) -> Sample:
    """Measure one server in one scenario. If the server fails, the sample says why."""
    try:
        with running(server) as started:
            figures = scenario.measure(started, plan)
    except ServerFailed as failure:
        return Sample(server.name, scenario.name, number, failure=str(failure))
    return Sample(server.name, scenario.name, number, figures)


def sweep(servers: Sequence[Server], scenarios: Sequence[Scenario], plan: Plan, rounds: int) -> Iterator[Sample]:
    """Measure every server in every scenario of every round. Print each sample as soon as it is measured."""
    for number in range(rounds):
        for scenario in scenarios:
            for server in servers if number % 2 == 0 else servers[::-1]:
                sample = measured(server, scenario, plan, number)
                say(f"{number + 1}/{rounds} {scenario.name:<12} {server.name:<10} {describe(sample)}")
                yield sample


def describe(sample: Sample) -> str:
    """Write a sample on one line."""
    if sample.failure:
        return f"failed: {sample.failure}"
    figures = sample.figures
    line = (
        f"{figures['cpu_us']:9.1f} us {figures['rate']:10,.0f}/s p50 {figures['p50_ms']:8.2f} ms"
        f" p99 {figures['p99_ms']:8.2f} ms {figures['rss_mib']:6.0f} MiB {figures['errors']:.0f} errors"
    )
    more = [column for columns in report.MORE.values() for column in columns if column.metric in figures]
    return ", ".join([line, *(f"{column.heading} {column.form.format(figures[column.metric])}" for column in more)])


def about(servers: Sequence[Server], plan: Plan, rounds: int) -> dict[str, str]:
    """Describe the run: interpreter, machine, versions and arguments. A reader needs them to judge the figures."""
    return {
        "interpreter": interpreter(),
        "machine": machine(),
        "servers": ", ".join(f"{server.name} {server.version()}" for server in servers),
        "run": f"rounds: {rounds}; seconds each: {plan.seconds}; idle connections: {plan.idle_connections:,}",
    }


def measure(options: argparse.Namespace) -> Results:
    """Measure the servers and scenarios that the command line names."""
    find_wrk()
    raise_open_files(options.idle)
    servers = present(chosen(SERVERS, options.servers))
    if options.processes > 1:
        servers = [server.with_processes(options.processes) for server in servers]
    scenarios = chosen(SCENARIOS, options.scenarios)
    plan = Plan(seconds=options.seconds, idle_connections=options.idle)
    samples = tuple(sweep(servers, scenarios, plan, options.rounds))
    return Results({**about(servers, plan, options.rounds), "processes": str(options.processes)}, samples)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure, print the tables, and write the files that the command line names.

    Returns:
        the exit status: 1 when the measurement could not be made, when pastepool failed, or when it answered with
        errors; otherwise 0.
    """
    options = arguments(argv)
    try:
        results = report.from_json(Path(options.read).read_text(encoding="utf-8")) if options.read else measure(options)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    titles = {scenario.name: scenario.title for scenario in SCENARIOS}
    text = report.page(results, titles, targets.table(targets.judge(results)))
    say("\n" + text)
    if options.json:
        report.write(options.json, report.to_json(results))
    if options.table:
        report.write(options.table, text)
    return 1 if _ours_failed(results) else 0


def _ours_failed(results: Results) -> bool:
    return any(sample.failure or sample.figures["errors"] for sample in results.samples if sample.server == report.BASE)


if __name__ == "__main__":
    sys.exit(main())

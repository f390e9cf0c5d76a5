"""
Measure the hostile inputs and print the tables. ``python -m benchmarks.hostile --help`` lists the options.

Each input is measured several times, each time after its honest counterpart, on the same server. The ratio is computed
within a round, and the table shows the median. So a slow minute of the machine changes both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks import measure, report
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.hostile.inputs import HONEST, HOSTILE, Input, Unit
from benchmarks.hostile.sending import converse, hold, until_quiet
from benchmarks.servers import Running, Server, running

MOST = 10.0
"""No input may cost more CPU time than this many times its honest counterpart."""

MOST_HELD = 4.0
"""No unfinished request may hold more bytes of memory for each byte sent, besides what its connection holds."""

HOLDERS = 40
"""How many connections send the same unfinished request when memory is measured."""

ENOUGH = 0.02
"""CPU seconds that a measurement should take at least; an input that takes less is sent again."""

MOST_TIMES = 50


@dataclass(frozen=True)
class Cost:
    """
    The figures of one input.

    ``seconds``: CPU time for each unit. ``ratio``: to the honest counterpart. ``held``: bytes of memory for each byte
    sent; None where nothing is held, or too little to measure. ``failure``: why there are no figures.
    """

    what: Input
    seconds: float = 0.0
    ratio: float = 0.0
    held: float | None = None
    failure: str = ""

    @property
    def too_much(self) -> bool:
        """Whether this input breaks a rule."""
        return bool(self.failure) or self.ratio > MOST or (self.held or 0.0) > MOST_HELD


def server(logged: bool) -> Server:
    """Return the row of the server that is measured."""
    return Server(
        name="pastepool",
        module="pastepool.entrypoints",
        distribution="pastepool",
        remedy="install pastepool itself",
        command=lambda port: [sys.executable, "-m", "benchmarks.hostile.serve", str(port), str(int(logged))],
    )


def cost_of(what: Input, started: Running) -> float:
    """Send an input until it has cost enough to be measured. Returns CPU seconds for each of its units."""
    units, times = 0, 0
    before = measure.cpu_seconds(started.session)
    used = 0.0
    while used < ENOUGH and times < MOST_TIMES:
        for _ in range(what.connections):
            sent = converse(started.port, what)
            units += {Unit.BYTE: sent.size, Unit.PACKET: sent.packets, Unit.REQUEST: what.units}.get(what.unit, 1)
        times += 1
        used = measure.cpu_seconds(started.session) - before
    return used / units


def honest(unit: Unit) -> Input:
    """Return the honest counterpart of inputs with this unit."""
    return next(each for each in HONEST if each.unit is unit)


def held_by(what: Input) -> float | None:
    """Return the bytes of memory that a new server holds for each byte of an unfinished request."""
    with running(server(False)) as started:
        converse(started.port, honest(Unit.CONNECTION))
        silent = [hold(started.port, Input("", "", lambda: b"")) for _ in range(HOLDERS)]
        until_quiet(started.session)
        before = measure.rss_kib(started.session)
        more = [hold(started.port, what) for _ in range(HOLDERS)]
        until_quiet(started.session)
        grown = measure.rss_kib(started.session) - before
        for sock, _ in silent + more:
            sock.close()
    sent = sum(size for _, size in more)
    return grown * 1024 / sent if sent >= HOLDERS * 10_000 else None


def judged(what: Input, rounds: int, memory: bool) -> Cost:
    """Measure one input beside its honest counterpart."""
    beside = honest(what.unit)
    try:
        ours, ratios = [], []
        with running(server(what.logged)) as started:
            cost_of(beside, started)
            for _ in range(rounds):
                usual = cost_of(beside, started)
                ours.append(cost_of(what, started))
                ratios.append(ours[-1] / usual)
        held = held_by(what) if memory and what.holds and not what.ends else None
        return Cost(what, statistics.median(ours), statistics.median(ratios), held)
    except ServerFailed as failure:
        return Cost(what, failure=str(failure))


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description="Measure hostile inputs.")
    parser.add_argument("--inputs", metavar="NAME,...", help=", ".join(each.name for each in HOSTILE))
    parser.add_argument("--rounds", type=int, default=3, help="repetitions, of which the median counts (%(default)s)")
    parser.add_argument("--no-memory", action="store_true", help="measure CPU time only")
    parser.add_argument("--table", metavar="FILE", help="write the tables here")
    return parser.parse_args(argv)


def chosen(names: str | None) -> list[Input]:
    """Return the named inputs, honest ones too. Raises: BenchError: there is no input with that name."""
    known = {each.name: each for each in HONEST + HOSTILE}
    if names is None:
        return list(known.values())
    for name in names.split(","):
        if name not in known:
            raise BenchError(f"{name!r} is not one of {', '.join(known)}.")
    return [known[name] for name in names.split(",")]


def tables(costs: Iterable[Cost]) -> str:
    """Write one table for each unit."""
    found = list(costs)
    parts = []
    for unit in Unit:
        rows = [cost for cost in found if cost.what.unit is unit]
        if rows:
            head = f"| input | CPU per {unit.value}, ns | / honest | memory held per byte sent |\n| --- | --: | --: | --: |"
            parts.append("\n".join([head, *map(_row, rows)]))
    return "\n\n".join(parts) + "\n"


def _row(cost: Cost) -> str:
    if cost.failure:
        return f"| {cost.what.title} | failed: {cost.failure} | | |"
    held = "-" if cost.held is None else f"{cost.held:.2f}"
    mark = " (!)" if cost.too_much else ""
    return f"| {cost.what.title} | {cost.seconds * 1e9:,.2f} | {cost.ratio:.1f}{mark} | {held} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit status: 1 if an input costs too much or could not be measured."""
    options = arguments(argv)
    try:
        wanted = chosen(options.inputs)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    costs = []
    for what in wanted:
        costs.append(judged(what, options.rounds, not options.no_memory))
        sys.stderr.write(f"{what.name:<26} {_row(costs[-1])}\n")
    text = tables(costs)
    sys.stdout.write(text)
    if options.table:
        report.write(options.table, text)
    return 1 if any(cost.too_much for cost in costs) else 0


if __name__ == "__main__":
    sys.exit(main())

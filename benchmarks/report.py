"""
Make tables from samples. All functions are pure, except ``write``.

The ratio of two servers is computed within each round, where both ran minutes apart on the same machine. The result is
the median of these ratios. So a minute in which the machine is slow spoils one ratio and not the result.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

BASE = "pastepool"

COMBINE: dict[str, Callable[[Sequence[float]], float]] = {"errors": max, "idle_held": min}
"""
How one figure is made from the figures of all rounds; the median for metrics that are not here. An error in one round
must stay visible, so errors have the maximum.
"""


@dataclass(frozen=True)
class Sample:
    """One server in one scenario in one round. ``failure``: a sentence that says why there are no figures."""

    server: str
    scenario: str
    round: int
    figures: dict[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Results:
    """All samples of one run. ``about``: machine, versions and arguments, in the order in which they are shown."""

    about: dict[str, str]
    samples: tuple[Sample, ...]

    def names(self, attribute: str) -> list[str]:
        """Return the names of the measured servers or scenarios, in the order of their first sample."""
        return list(dict.fromkeys(getattr(sample, attribute) for sample in self.samples))

    def rounds(self, scenario: str, metric: str) -> list[dict[str, float]]:
        """Return for each round the figures by server. A server without a figure is left out."""
        found: dict[int, dict[str, float]] = {}
        for sample in self.samples:
            if sample.scenario == scenario and metric in sample.figures:
                found.setdefault(sample.round, {})[sample.server] = sample.figures[metric]
        return [found[number] for number in sorted(found)]

    def figure(self, server: str, scenario: str, metric: str) -> float | None:
        """Return one figure, combined over the rounds. None where no round has it."""
        values = [by_server[server] for by_server in self.rounds(scenario, metric) if server in by_server]
        return COMBINE.get(metric, statistics.median)(values) if values else None

    def ratio(self, server: str, others: Sequence[str], scenario: str, metric: str, best: Best = min) -> float | None:
        """
        Return the ratio of a server's figure to the best figure of ``others``: the median over the rounds.

        ``best``: ``min`` or ``max``. None where no round has both figures.
        """
        ratios = []
        for by_server in self.rounds(scenario, metric):
            rivals = [by_server[other] for other in others if other in by_server]
            if server in by_server and rivals and best(rivals):
                ratios.append(by_server[server] / best(rivals))
        return statistics.median(ratios) if ratios else None

    def failures(self, server: str, scenario: str) -> list[str]:
        """Return the sentences of the rounds in which the server failed, each once."""
        return list(
            dict.fromkeys(
                sample.failure
                for sample in self.samples
                if sample.failure and sample.server == server and sample.scenario == scenario
            )
        )


Best = Callable[[Iterable[float]], float]


@dataclass(frozen=True)
class Column:
    """One column. ``form``: how a number is written. ``ratio``: show the ratio to the figure of BASE."""

    heading: str
    metric: str
    form: str = "{:,.0f}"
    ratio: bool = False


COLUMNS: tuple[Column, ...] = (
    Column("CPU/request, us", "cpu_us", "{:,.1f}"),
    Column("ratio", "cpu_us", "{:.2f}", ratio=True),
    Column("requests/s", "rate"),
    Column("ratio", "rate", "{:.2f}", ratio=True),
    Column("p50, ms", "p50_ms", "{:,.2f}"),
    Column("p99, ms", "p99_ms", "{:,.2f}"),
    Column("memory, MiB", "rss_mib"),
    Column("errors", "errors"),
)

MORE: dict[str, tuple[Column, ...]] = {
    "beside": (Column("slow requests/s", "slow_rate"),),
    "idle": (
        Column("kept open", "idle_held"),
        Column("KiB each", "idle_kib", "{:.2f}"),
        Column("CPU/request with : without", "idle_cpu", "{:.2f}"),
    ),
}
"""Further columns, for some scenarios."""

ABSENT = "-"


def cell(results: Results, server: str, scenario: str, column: Column) -> str:
    """Write the number of one server in one column."""
    if column.ratio:
        value = results.ratio(server, [BASE], scenario, column.metric)
    else:
        value = results.figure(server, scenario, column.metric)
    return ABSENT if value is None else column.form.format(value)


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table. The first column is text; the others are numbers, aligned to the right."""
    marks = ["---"] + ["--:"] * (len(heading) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (heading, marks, *rows))


def scenario_table(results: Results, scenario: str) -> str:
    """Write the table of one scenario with a row for each server. Below it stand the failures."""
    columns = COLUMNS + MORE.get(scenario, ())
    servers = [server for server in results.names("server") if results.figure(server, scenario, "rate") is not None]
    rows = [[server, *(cell(results, server, scenario, column) for column in columns)] for server in servers]
    table = markdown(["server", *(column.heading for column in columns)], rows) if rows else ""
    failures = [
        f"- {server} failed: {failure}"
        for server in results.names("server")
        for failure in results.failures(server, scenario)
    ]
    return "\n\n".join(filter(None, (table, "\n".join(failures))))


def summary_table(results: Results) -> str:
    """Write the table that a reader looks at first: CPU time per request of every server in every scenario."""
    servers = results.names("server")
    column = COLUMNS[0]
    rows = [
        [scenario, *(cell(results, server, scenario, column) for server in servers)]
        for scenario in results.names("scenario")
    ]
    return markdown([column.heading, *servers], rows)


def page(results: Results, titles: dict[str, str], verdicts: str) -> str:
    """Write the whole generated file: the description of the run, the summary, the targets, a table per scenario."""
    about = "\n".join(f"- {name}: {value}" for name, value in results.about.items())
    parts = [
        "<!-- Written by `make bench`. Not edited by hand. -->",
        about,
        "### CPU per request\n\n" + summary_table(results),
        "### Targets\n\n" + verdicts,
    ]
    for scenario in results.names("scenario"):
        parts.append(f"### {titles.get(scenario, scenario)}\n\n{scenario_table(results, scenario)}")
    return "\n\n".join(parts) + "\n"


def to_json(results: Results) -> str:
    """Write every sample as JSON, so that the tables can be made again without measuring."""
    return json.dumps({"about": results.about, "samples": [asdict(s) for s in results.samples]}, indent=1) + "\n"


def from_json(text: str) -> Results:
    """Read the samples that ``to_json`` wrote."""
    found = json.loads(text)
    return Results(found["about"], tuple(Sample(**sample) for sample in found["samples"]))


def write(path: str, text: str) -> None:
    """Write a file. If its folder does not exist, make it."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")

"""
Draw the phases of a worker from the table that the pool itself uses. So the picture cannot differ from the pool.

When Sphinx reads a page, this extension replaces three marks:

- ``<!-- the states diagram -->`` by an SVG;
- ``<!-- the states table -->`` by the table of phases and events;
- ``<!-- the statuses table -->`` by a table of the status that is shown for each phase, before and after its limit.

The position of each phase in the picture is set here, by hand. Its content and all arrows come from
``pastepool.core.states``. A phase without a position stops the build.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pastepool.core.policy import PoolPolicy
from pastepool.core.states import TRANSITIONS, Phase, Record, Status, TaskSummary, WorkerEvent, classify
from pastepool.settings.options import OPTIONS

Table = Mapping[Phase, Mapping[WorkerEvent, Phase]]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """The box of a phase in the picture: its centre and its size, in units of the picture."""

    x: float
    y: float
    width: float = 116
    height: float = 40

    @property
    def bottom(self) -> float:
        """The y coordinate of the lower edge."""
        return self.y + self.height / 2


PLACES: Mapping[Phase, Box] = {
    Phase.STARTING: Box(78, 60),
    Phase.IDLE: Box(270, 60),
    Phase.BUSY: Box(530, 60, 172, 78),
    Phase.RETIRING: Box(382, 206),
    Phase.DYING: Box(718, 206, 172, 64),
    Phase.GONE: Box(424, 340, 808),
}
WIDTH, HEIGHT = 848, 372

_APART = 11.0
"""Half the distance between two arrows that run side by side, in opposite directions."""

_FRAME = (
    f'class="states-diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
    ' role="img" aria-labelledby="states-title states-words"'
)
_TIP = 'id="states-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"'

_STYLE = """
.states-diagram { max-width: 100%; height: auto; font: 14px/1 ui-sans-serif, system-ui, sans-serif; }
.states-diagram rect { fill: none; stroke: currentColor; stroke-width: 1.4; rx: 7px; }
.states-diagram .late { fill: #d9480f; fill-opacity: .2; stroke-dasharray: 4 3; stroke-width: 1; }
.states-diagram text { fill: currentColor; text-anchor: middle; dominant-baseline: central; }
.states-diagram .status { font-weight: 600; }
.states-diagram .move text { font-size: 13px; font-style: italic; }
.states-diagram path { fill: none; stroke: currentColor; stroke-width: 1.4; }
.states-diagram marker path { fill: currentColor; stroke: none; }
"""


# ---------------------------------------------------------------------------------------------------------- the facts


def moves(table: Table = TRANSITIONS) -> list[tuple[Phase, WorkerEvent, Phase]]:
    """Return every cell of the table that is not empty, as phase, event and next phase."""
    return [(phase, event, after) for phase, row in table.items() for event, after in row.items()]


def statuses(phase: Phase) -> list[Status]:
    """Return the status that is shown for a phase at first, and the later status if there is another one."""
    record = Record(1, phase, 0.0, TaskSummary("", 1))
    told = [classify(record, now, PoolPolicy()) for now in (0.0, math.inf)]
    return told if told[0] is not told[1] else told[:1]


def all_statuses(phase: Phase) -> list[Status]:
    """Return every status of a phase: that of a worker which waits for its client stands before the later one."""
    told = statuses(phase)
    waiting = classify(Record(1, phase, 0.0, TaskSummary("", 1, sending_since=0.0)), 0.0, PoolPolicy())
    return told if waiting in told else [told[0], waiting, *told[1:]]


def limit_of(phase: Phase) -> str:
    """Return the option that says when a phase gets its later status. Empty if the phase has only one status."""
    for option in OPTIONS:
        field = option.field.partition("pool.")[2]
        if len(statuses(phase)) > 1 and isinstance(getattr(PoolPolicy(), field, None), float):
            endless: dict[str, Any] = {field: math.inf}
            patient = replace(PoolPolicy(), **endless)
            if classify(Record(1, phase, 0.0), 1e9, patient) is statuses(phase)[0]:
                return option.name
    return ""


# --------------------------------------------------------------------------------------------------------- the picture


def diagram(table: Table = TRANSITIONS) -> str:
    """Draw the table as an SVG for a page. It suits light and dark pages, and has a text for screen readers."""
    told = "; ".join(f"{phase.value}, {event.value}: {after.value}" for phase, event, after in moves(table))
    parts = [
        f"<svg {_FRAME}>",
        '<title id="states-title">What can happen to a worker</title>',
        f'<desc id="states-words">{escape(told)}.</desc>',
        f"<style>{_STYLE}</style>",
        f"<defs><marker {_TIP}><path d='M0 0.8 8 4 0 7.2z'/></marker></defs>",
        *(_phase(phase) for phase in table),
        *(_move(move, table) for move in moves(table)),
        "</svg>",
    ]
    return "\n".join(parts)


def _phase(phase: Phase) -> str:
    box, told = PLACES[phase], all_statuses(phase)
    left, top, each = box.x - box.width / 2, box.y - box.height / 2, box.height / len(told)
    parts = [f"<g class={quoteattr('phase ' + phase.value)}>", _rect(left, top, box.width, box.height)]
    for place, status in enumerate(told):
        if place:
            parts.append(_rect(left, top + place * each, box.width, each, "late"))
        parts.append(_text((box.x, top + (place + 0.5) * each), status.value, "status"))
    return "".join([*parts, "</g>"])


def _rect(left: float, top: float, width: float, height: float, kind: str = "box") -> str:
    return f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>'


def _text(at: Point, words: str, kind: str) -> str:
    return f'<text class="{kind}" x="{at[0]:.1f}" y="{at[1]:.1f}">{escape(words)}</text>'


def _move(move: tuple[Phase, WorkerEvent, Phase], table: Table) -> str:
    phase, event, after = move
    path, label = _route(phase, after, back=phase in table[after].values())
    names = f'data-phase="{phase.value}" data-event="{event.value}" data-after="{after.value}"'
    arrow = f'<path d="{path}" marker-end="url(#states-tip)"/>'
    return f'<g class="move" {names}>{arrow}{_text(label, event.value, "event")}</g>'


def _route(phase: Phase, after: Phase, *, back: bool) -> tuple[str, Point]:
    """Return the path of an arrow and the position of its label. ``back``: another arrow goes the other way."""
    here, there = PLACES[phase], PLACES[after]
    if phase is after:
        return _loop(here)
    if after is Phase.GONE:
        return _line((here.x, here.bottom), (here.x, there.y - there.height / 2), (here.x + 28, there.y - 46))
    along = math.hypot(there.x - here.x, there.y - here.y)
    across = ((there.y - here.y) / along, -(there.x - here.x) / along)
    shift = _APART if back else 0.0
    start = _border(here, there, across, shift)
    end = _border(there, here, across, shift)
    lift = 12.0 if abs(across[1]) > 0.9 else 24.0
    middle = ((start[0] + end[0]) / 2 + across[0] * lift, (start[1] + end[1]) / 2 + across[1] * lift)
    return _line(start, end, middle)


def _border(box: Box, other: Box, across: Point, shift: float) -> Point:
    """Return the point at which the line towards ``other``, moved sideways by ``shift``, leaves a box."""
    dx, dy = other.x - box.x, other.y - box.y
    x, y = box.x + across[0] * shift, box.y + across[1] * shift
    reach = min(
        ((box.width / 2 - (x - box.x) * math.copysign(1, dx)) / abs(dx)) if dx else math.inf,
        ((box.height / 2 - (y - box.y) * math.copysign(1, dy)) / abs(dy)) if dy else math.inf,
    )
    return x + dx * reach, y + dy * reach


def _line(start: Point, end: Point, label: Point) -> tuple[str, Point]:
    return f"M{start[0]:.1f} {start[1]:.1f} L{end[0]:.1f} {end[1]:.1f}", label


def _loop(box: Box) -> tuple[str, Point]:
    """Return the path of an arrow that begins and ends at the upper edge of a box, near its right corner."""
    x, y = box.x + box.width / 2 - 46, box.y - box.height / 2
    return f"M{x:g} {y:g} c-6 -38 46 -38 38 -2", (x + 20, y - 40)


# ---------------------------------------------------------------------------------------------------------- the tables


def states_table(table: Table = TRANSITIONS) -> str:
    """Write the table of phases and events as it is in the code. The event of an empty cell cannot happen there."""
    head = ["| phase |", *(f" {event.value} |" for event in WorkerEvent)]
    rows = [
        "".join(
            [f"| **{phase.value}** |", *(f" {row[event].value if event in row else ''} |" for event in WorkerEvent)]
        )
        for phase, row in table.items()
    ]
    return "\n".join(["".join(head), "|---" * (len(WorkerEvent) + 1) + "|", *rows])


def statuses_table() -> str:
    """Write the table of the status that is shown for each phase, and of the option after which it changes."""
    rows = []
    for phase in Phase:
        told = statuses(phase)
        later = f"*{told[1].value}*, from {{confval}}`{limit_of(phase)}` on" if len(told) > 1 else ""
        rows.append(f"| **{phase.value}** | *{told[0].value}* | {later} |")
    return "\n".join(["| phase | is shown as | and later as |", "|---|---|---|", *rows])


# ------------------------------------------------------------------------------------------------------------- Sphinx


def _figure() -> str:
    return f"```{{raw}} html\n<figure>{diagram()}</figure>\n```"


MARKS: Mapping[str, Callable[[], str]] = {
    "<!-- the states diagram -->": _figure,
    "<!-- the states table -->": states_table,
    "<!-- the statuses table -->": statuses_table,
}


def put_in(text: str) -> str:
    """Replace every mark in the source of a page."""
    for mark, make in MARKS.items():
        if mark in text:
            text = text.replace(mark, make())
    return text


def _on_source_read(app: Any, docname: str, source: list[str]) -> None:
    source[0] = put_in(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register this extension with Sphinx."""
    app.connect("source-read", _on_source_read)
    return {"parallel_read_safe": True}

"""The picture and the tables of states are the pool's own table: every cell of it, and nothing else."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from types import ModuleType

import pytest

from pastepool.core.states import TRANSITIONS, Phase, Status, WorkerEvent
from tests.meta.repository import ROOT, sphinx_extension

DOCS = ROOT / "docs"
SVG = "{http://www.w3.org/2000/svg}"
CELLS = [(phase.value, event.value, after.value) for phase, row in TRANSITIONS.items() for event, after in row.items()]


@pytest.fixture(scope="module")
def extension() -> Iterator[ModuleType]:
    """The Sphinx extension that draws."""
    with sphinx_extension("states_diagram") as module:
        yield module


def moves_in(svg: str) -> list[tuple[str, str, str]]:
    """Phase, event and next phase of each arrow; the event is the one a reader sees."""
    found = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        if group.get("class") == "move":
            (label,) = group.iter(f"{SVG}text")
            assert label.text == group.get("data-event")
            found.append((group.get("data-phase", ""), label.text or "", group.get("data-after", "")))
    return found


def test_diagram_has_an_arrow_for_each_cell(extension: ModuleType) -> None:
    """The arrows are the cells of the table, each once, and no others; the words for those who cannot see are, too."""
    svg = extension.diagram()
    assert len(CELLS) >= 11
    assert sorted(moves_in(svg)) == sorted(CELLS)
    words = ElementTree.fromstring(svg).findtext(f"{SVG}desc") or ""
    assert sorted(re.findall(r"(\w+), (\w+): (\w+)", words)) == sorted(CELLS)


def test_diagram_names_each_status_once(extension: ModuleType) -> None:
    """The boxes hold every status a person can be told, and no other word."""
    root = ElementTree.fromstring(extension.diagram())
    shown = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "status"]
    assert sorted(shown, key=str) == sorted(status.value for status in Status)
    assert len(list(root.iter(f"{SVG}text"))) == len(Status) + len(CELLS)


@pytest.mark.parametrize(("phase", "event"), [(phase, event) for phase, row in TRANSITIONS.items() for event in row])
def test_diagram_follows_the_table(extension: ModuleType, phase: Phase, event: WorkerEvent) -> None:
    """A table without one of the cells gives a picture without that arrow."""
    less = {p: {e: after for e, after in row.items() if (p, e) != (phase, event)} for p, row in TRANSITIONS.items()}
    left = moves_in(extension.diagram(less))
    assert len(left) == len(CELLS) - 1
    assert (phase.value, event.value) not in [cell[:2] for cell in left]


def test_boxes_and_arrows_stay_in_the_picture_and_apart(extension: ModuleType) -> None:
    """No box covers another, and every box and label lies within the frame."""
    boxes = list(extension.PLACES.values())
    assert set(extension.PLACES) == set(Phase)
    for one, other in itertools.combinations(boxes, 2):
        apart_x = abs(one.x - other.x) >= (one.width + other.width) / 2
        assert apart_x or abs(one.y - other.y) >= (one.height + other.height) / 2
    root = ElementTree.fromstring(extension.diagram())
    points = [(float(text.get("x", "nan")), float(text.get("y", "nan"))) for text in root.iter(f"{SVG}text")]
    assert all(20 < x < extension.WIDTH - 20 and 8 < y < extension.HEIGHT - 8 for x, y in points)


def test_labels_do_not_cover_each_other_or_a_box(extension: ModuleType) -> None:
    """Every event can be read: its letters touch neither another event's nor a box's."""
    root = ElementTree.fromstring(extension.diagram())
    labels = [
        (float(text.get("x", "nan")), float(text.get("y", "nan")), len(text.text or "") * 3.6)
        for text in root.iter(f"{SVG}text")
        if text.get("class") == "event"
    ]
    for (x, y, half), (other_x, other_y, other_half) in itertools.combinations(labels, 2):
        assert abs(x - other_x) > half + other_half or abs(y - other_y) > 12
    for (x, y, half), box in itertools.product(labels, extension.PLACES.values()):
        assert abs(x - box.x) > half + box.width / 2 or abs(y - box.y) > 5 + box.height / 2


def test_table_of_states_is_the_table(extension: ModuleType) -> None:
    """Read back, the Markdown table has the same cells as the code's."""
    head, _, *rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in extension.states_table().splitlines()
    ]
    assert head == ["phase", *(event.value for event in WorkerEvent)]
    assert [row[0] for row in rows] == [phase.value for phase in Phase]
    read = [(row[0], event, after) for row in rows for event, after in zip(head[1:], row[1:], strict=True) if after]
    assert sorted(read) == sorted(CELLS)


def test_table_of_statuses_names_the_limits(extension: ModuleType) -> None:
    """Busy becomes hung and dying becomes zombie, at the limits of these options; time changes nothing else."""
    later = [line for line in extension.statuses_table().splitlines() if ", from " in line]
    assert later == [
        "| **busy** | *busy* | *hung*, from {confval}`threadpool_hung_thread_limit` on |",
        "| **dying** | *dying* | *zombie*, from {confval}`threadpool_dying_limit` on |",
    ]


def test_page_of_states_is_made_from_all_of_it(extension: ModuleType) -> None:
    """The page has each mark once, nothing is left of them in what Sphinx reads, and every event is explained."""
    text = (DOCS / "reference" / "states.md").read_text(encoding="utf-8")
    assert [text.count(mark) for mark in extension.MARKS] == [1, 1, 1]
    made = extension.put_in(text)
    assert "<!--" not in made
    assert extension.diagram() in made
    explained = re.findall(r"^(\w+)\n: ", text, re.MULTILINE)
    assert explained == [event.value for event in WorkerEvent]

"""The picture of the packages shows every package, and only imports that the source files have; its arrows go down."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.meta.repository import ROOT, imported, module_name, sources, sphinx_extension

SVG = "{http://www.w3.org/2000/svg}"
PAGE = ROOT / "docs" / "discussion" / "design.md"


@pytest.fixture(scope="module")
def extension() -> Iterator[ModuleType]:
    """The Sphinx extension that draws."""
    with sphinx_extension("packages_diagram") as module:
        yield module


def arrows_in(svg: str) -> list[tuple[str, str]]:
    """The two ends of each arrow."""
    lines = ElementTree.fromstring(svg).iter(f"{SVG}line")
    return [(line.get("data-from", ""), line.get("data-to", "")) for line in lines]


def imports_of(extension: ModuleType) -> set[tuple[str, str]]:
    """Which package imports which, found with the reader of the other meta tests."""
    package_of = extension.package_of
    found = [(package_of(module_name(path)), name) for path in sources() for name in imported(path)]
    return {(own, package_of(name)) for own, name in found if name.startswith("pastepool.")}


def test_every_package_has_a_box(extension: ModuleType) -> None:
    """Each folder with modules and each module at the top of the package is in the picture once, and nothing else."""
    rooms = {extension.package_of(module_name(path)) for path in sources() if path.name != "__init__.py"} - {""}
    boxes = [group.get("data-package") for group in ElementTree.fromstring(extension.diagram()).iter(f"{SVG}g")]
    assert len(rooms) >= 20
    assert sorted(boxes, key=str) == sorted(rooms)
    assert set(extension.PLACES) == rooms, "a package needs a place in docs/_ext/packages_diagram.py"


def test_every_arrow_is_an_import(extension: ModuleType) -> None:
    """An arrow stands for an import statement in a module of its package; the words for those who cannot see say the same."""
    svg = extension.diagram()
    drawn = arrows_in(svg)
    assert len(drawn) == len(set(drawn)) >= 20
    assert set(drawn) <= imports_of(extension)
    words = ElementTree.fromstring(svg).findtext(f"{SVG}desc") or ""
    assert [tuple(said.strip(".").split(" imports ")) for said in words.split("; ")] == drawn


def test_every_import_is_an_arrow_or_a_way_of_arrows(extension: ModuleType) -> None:
    """Nothing is hidden: what one package imports of another can be followed along arrows."""
    drawn = arrows_in(extension.diagram())

    def reached(name: str) -> set[str]:
        nearest = {other for own, other in drawn if own == name}
        return nearest.union(*(reached(other) for other in nearest))

    for name, others in extension.imports().items():
        assert others <= reached(name), name


def test_arrows_go_down(extension: ModuleType) -> None:
    """Each arrow ends in a lower row than it begins."""
    rows = {name: box.row for name, box in extension.PLACES.items()}
    assert [arrow for arrow in arrows_in(extension.diagram()) if not rows[arrow[0]] < rows[arrow[1]]] == []


def test_boxes_stay_in_the_picture_and_apart(extension: ModuleType) -> None:
    """No box covers another; every box lies in the picture, and in the frame exactly where its package is in runtime."""
    left, top, width, height = extension.FRAME
    for one, other in itertools.combinations(extension.PLACES.values(), 2):
        assert abs(one.x - other.x) > (one.width + other.width) / 2 or one.row != other.row
    for name, box in extension.PLACES.items():
        assert box.width / 2 < box.x < extension.WIDTH - box.width / 2
        assert box.height / 2 < box.y < extension.HEIGHT - box.height / 2
        framed = left < box.x - box.width / 2 and box.x + box.width / 2 < left + width and top < box.y < top + height
        assert framed == name.startswith("runtime."), name
        beside = (
            abs(box.x - left - width / 2) > (box.width + width) / 2
            or abs(box.y - top - height / 2) > (box.height + height) / 2
        )
        assert framed or beside, name


def test_no_arrow_crosses_a_box(extension: ModuleType) -> None:
    """An arrow touches the two boxes it joins and no other."""
    for name, other in arrows_in(extension.diagram()):
        (x1, y1), (x2, y2) = extension.ends(name, other)
        points = [(x1 + (x2 - x1) * step / 200, y1 + (y2 - y1) * step / 200) for step in range(201)]
        for third, box in extension.PLACES.items():
            inside = [
                (x, y) for x, y in points if abs(x - box.x) < box.width / 2 + 4 and abs(y - box.y) < box.height / 2 + 4
            ]
            assert third in (name, other) or not inside, f"{name} -> {other} crosses {third}"


def test_picture_follows_the_imports(extension: ModuleType) -> None:
    """A table with one import less gives a picture without that arrow."""
    table = extension.imports()
    name, other = extension.arrows(table)[0]
    less = {**table, name: table[name] - {other}}
    assert (name, other) in arrows_in(extension.diagram(table))
    assert (name, other) not in arrows_in(extension.diagram(less))


def test_page_has_the_picture(extension: ModuleType) -> None:
    """The page of the design has the mark once, and nothing is left of it in what Sphinx reads."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(extension.MARK) == 1
    assert extension.diagram() in extension.put_in(text)
    assert extension.MARK not in extension.put_in(text)

"""
Draw the packages of pastepool and their imports from the source files. So the picture cannot differ from the code.

When Sphinx reads a page, this extension replaces ``<!-- the packages diagram -->`` by an SVG. Every package of
``pastepool``, of ``pastepool.runtime`` and of ``pastepool.core`` is a box. An arrow means "imports". If ``a`` imports
``b`` and ``c``, and ``b`` imports ``c``, there is no arrow from ``a`` to ``c``.

The position of each box is set here, by hand. A package without a position stops the build. Tests check that all arrows
go down and that no arrow crosses a box.
"""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

PACKAGE = Path(__file__).parent.parent.parent / "pastepool"
OPENED = ("runtime", "core")
"""Packages whose own packages have boxes too, because the imports between those have an order."""

MARK = "<!-- the packages diagram -->"

Imports = Mapping[str, frozenset[str]]
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """The box of a package: its centre and size, in units of the picture, and its row, counted from the top."""

    x: float
    row: int
    width: float = 104
    height: float = 32

    @property
    def y(self) -> float:
        """The y coordinate of the centre."""
        return 26 + 62 * self.row


PLACES: Mapping[str, Box] = {
    "entrypoints": Box(325, 0),
    "cli": Box(557, 0),
    "demo": Box(829, 0),
    "adapters": Box(285, 1),
    "embedding": Box(390, 2),
    "watch": Box(771, 3),
    "desk": Box(605, 1),
    "process": Box(442, 1),
    "worker": Box(828, 1),
    "server": Box(129, 3),
    "pooling": Box(215, 4),
    "runtime.watching": Box(443, 5),
    "runtime.supervision": Box(264, 6),
    "runtime.http": Box(528, 6),
    "runtime.family": Box(704, 5),
    "runtime.pool": Box(329, 7),
    "runtime.sockets": Box(681, 7),
    "runtime.window": Box(217, 8),
    "runtime.log": Box(335, 8),
    "runtime.mail": Box(612, 8),
    "runtime.inspection": Box(266, 9),
    "runtime.system": Box(399, 9),
    "testing": Box(62, 9),
    "settings": Box(746, 10),
    "wsgi": Box(488, 10),
    "core.telling": Box(458, 11),
    "core.landing": Box(123, 10),
    "core.generations": Box(843, 11, 150),
    "core": Box(60, 12),
    "http1": Box(574, 12),
    "types": Box(382, 13),
    "errors": Box(135, 13),
    "_fast": Box(845, 13),
}
PUBLIC = {
    "pastepool.CallableWork": "pastepool.pooling",
    "pastepool.ServerThread": "pastepool.embedding",
    "pastepool.Work": "pastepool.pooling",
    "pastepool.WorkerPool": "pastepool.embedding",
    "pastepool.subscribe": "pastepool.pooling",
}
"""The homes of the names that the package itself has."""

ASIDE = ("demo", "testing")
"""Packages that are no part of a running server. Their boxes have a broken line."""

WIDTH, HEIGHT = 920, 858
FRAME = (160.0, 304.0, 640.0, 312.0)
"""The frame around the packages of ``runtime``: left, top, width, height."""

_ROOT = (
    f'class="packages-diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
    ' role="img" aria-labelledby="packages-title packages-words"'
)
_TIP = 'id="packages-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
_STYLE = """
.packages-diagram { max-width: 100%; height: auto; font: 16px/1 ui-sans-serif, system-ui, sans-serif; }
.packages-diagram .box { fill: none; stroke: currentColor; stroke-width: 1.4; rx: 6px; }
.packages-diagram .aside .box { stroke-dasharray: 4 3; }
.packages-diagram .frame { fill: currentColor; fill-opacity: .05; rx: 10px; }
.packages-diagram text { fill: currentColor; text-anchor: middle; dominant-baseline: central; }
.packages-diagram .room { font-style: italic; text-anchor: start; }
.packages-diagram .arrow { stroke: currentColor; stroke-width: 1; stroke-opacity: .65; }
.packages-diagram marker path { fill: currentColor; }
"""


# ---------------------------------------------------------------------------------------------------------- the facts


def package_of(module: str) -> str:
    """
    Return the box of a module: ``runtime.pool`` for ``pastepool.runtime.pool.worker``, empty for ``pastepool`` and for
    its ``__main__``.
    """
    parts = [part for part in PUBLIC.get(module, module).split(".")[1:] if part != "__main__"]
    inner = parts[0] in OPENED and len(parts) > 1 and (PACKAGE / parts[0] / parts[1]).is_dir() if parts else False
    return ".".join(parts[: 2 if inner else 1])


@functools.cache
def imports(package: Path = PACKAGE) -> Imports:
    """Return which other packages each package imports. Imports for type checking count too."""
    found: dict[str, set[str]] = {}
    for path in sorted(package.rglob("*.py")):
        parts = ("pastepool", *path.relative_to(package).with_suffix("").parts)
        own = package_of(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        if own:
            found.setdefault(own, set()).update(package_of(name) for name in _imported(path))
    known = {name: frozenset(others & set(found) - {name}) for name, others in found.items()}
    return {name: others for name, others in known.items() if name not in OPENED or _has_modules(name)}


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        origin = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
        yield from (origin + name for name in names if (origin + name).startswith("pastepool."))


def _has_modules(name: str) -> bool:
    """Return whether a package in ``OPENED`` also has modules. Then it has a box of its own."""
    return any(path.name != "__init__.py" for path in (PACKAGE / name).glob("*.py"))


def arrows(table: Imports) -> list[tuple[str, str]]:
    """Return the imports to draw: those that no other way of arrows shows, in the order of the picture."""
    drawn = []
    for name, others in table.items():
        implied = {far for other in others for far in _reached(table, other)}
        drawn += [(name, other) for other in others - implied]
    return sorted(drawn, key=lambda arrow: (PLACES[arrow[0]].row, *arrow))


def _reached(table: Imports, name: str) -> set[str]:
    return set(table[name]).union(*(_reached(table, other) for other in table[name]))


def sentence_of(name: str) -> str:
    """Return the first paragraph of a package's docstring."""
    path = PACKAGE.joinpath(*name.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


# --------------------------------------------------------------------------------------------------------- the picture


def diagram(table: Imports | None = None) -> str:
    """Draw the packages and their imports as one SVG element."""
    table = imports() if table is None else table
    told = "; ".join(f"{name} imports {other}" for name, other in arrows(table))
    left, top, width, height = FRAME
    parts = [
        f"<svg {_ROOT}>",
        '<title id="packages-title">The packages of pastepool, and what they import</title>',
        f'<desc id="packages-words">{escape(told)}.</desc>',
        f"<style>{_STYLE}</style>",
        f"<defs><marker {_TIP}><path d='M0 0.8 8 4 0 7.2z'/></marker></defs>",
        f'<rect class="frame" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>',
        f'<text class="room" x="{left + 14:g}" y="{top + 20:g}">runtime</text>',
        *(_arrow(name, other) for name, other in arrows(table)),
        *(_package(name) for name in table),
        "</svg>",
    ]
    return "\n".join(parts)


def _package(name: str) -> str:
    box = PLACES[name]
    kind = "package aside" if name in ASIDE else "package"
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return (
        f"<g class={quoteattr(kind)} data-package={quoteattr(name)}><title>{escape(sentence_of(name))}</title>"
        f'<rect class="box" x="{left:g}" y="{top:g}" width="{box.width:g}" height="{box.height:g}"/>'
        f'<text x="{box.x:g}" y="{box.y:g}">{escape(name.removeprefix("runtime."))}</text></g>'
    )


def _arrow(name: str, other: str) -> str:
    (x1, y1), (x2, y2) = ends(name, other)
    names = f"data-from={quoteattr(name)} data-to={quoteattr(other)}"
    points = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="arrow" {names} {points} marker-end="url(#packages-tip)"/>'


def ends(name: str, other: str) -> tuple[Point, Point]:
    """Return where an arrow leaves its box and where it meets the other box, on the line between the two centres."""
    return _border(PLACES[name], PLACES[other]), _border(PLACES[other], PLACES[name])


def _border(box: Box, towards: Box) -> Point:
    dx, dy = towards.x - box.x, towards.y - box.y
    reach = min(box.width / 2 / abs(dx) if dx else math.inf, box.height / 2 / abs(dy) if dy else math.inf)
    return box.x + dx * reach, box.y + dy * reach


# ------------------------------------------------------------------------------------------------------------- Sphinx


def put_in(text: str) -> str:
    """Replace the mark in the source of a page."""
    return text.replace(MARK, f"```{{raw}} html\n<figure>{diagram()}</figure>\n```") if MARK in text else text


def _on_source_read(app: Any, docname: str, source: list[str]) -> None:
    source[0] = put_in(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register this extension with Sphinx."""
    app.connect("source-read", _on_source_read)
    return {"parallel_read_safe": True}

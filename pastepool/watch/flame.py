"""
Add up the stacks that a sampler saw into a tree, and draw the tree as a flame graph in SVG.

In the graph each box is a call and stands below the box of its caller. The width of a box is the share of the samples
in which the call was on a stack. The SVG uses attributes alone, because the page's policy allows no inline style and no
script.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from pastepool.core.ownership import Owner, owner_of
from pastepool.core.telling.report import CodePlace
from pastepool.core.telling.stack_view import short_name
from pastepool.core.wording import printable

NODE_LIMIT = 5000
"""
How many boxes one graph may have: a picture of some hundred kilobytes. After that a new call gets no box; its samples
count for its caller.
"""

WIDTH = 1200.0
ROW = 18.0
MARGIN = 10.0
HEADING = 34.0
NARROWEST = 0.6
"""A box narrower than this, in units of the picture, is left out: it is too small to see, and there would be many."""

_LETTER = 6.6
"""Width of a letter of the 11-unit monospace type. It decides where a label is cut, nothing else."""

_OPENING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:g} {:g}" role="img"'
    ' font-family="ui-monospace, monospace" font-size="11">'
)

_HUES = {Owner.OWN: (8, 40), Owner.LIBRARY: (200, 30), Owner.STDLIB: (265, 25), Owner.SERVER: (145, 25)}
"""The hue of each owner, and how far it may vary. The application's own code has a warm colour, to be seen first."""


@dataclass
class Node:
    """
    One call, reached by one path of callers. ``count``: in how many samples it was on a stack. ``below``: its callees.
    """

    place: CodePlace
    count: int = 0
    below: dict[tuple[str, str], Node] = field(default_factory=dict)


class FlameTree:
    """
    Adds up stacks. Two calls of the same function in the same file are one node; it keeps the line that came first.
    """

    def __init__(self, limit: int = NODE_LIMIT) -> None:
        self.root = Node(CodePlace("", 0, "all"))
        self._room = limit

    def add(self, frames: Sequence[CodePlace], weight: int = 1) -> None:
        """Count one stack, innermost call first, ``weight`` times."""
        node = self.root
        node.count += weight
        for place in reversed(frames):
            key = place.file, place.function
            known = node.below.get(key)
            if known is None:
                if self._room <= 0:
                    return
                self._room -= 1
                known = node.below[key] = Node(place)
            known.count += weight
            node = known


def svg(tree: FlameTree, title: str, app_root: str = "") -> str:
    """
    Draw a tree as a whole SVG document. A box shows its full text when the pointer rests on it.

    Args:
        title: one line above the boxes; this function escapes it, like every text from a stack.
        app_root: the application's folder; paths in it are shown relative to it.
    """
    boxes = list(_boxes(tree.root, MARGIN, 0, tree.root.count))
    depth = max((level for _, _, level, _ in boxes), default=0)
    height = HEADING + (depth + 1) * ROW + MARGIN
    parts = [
        _OPENING.format(WIDTH, height),
        f"<title>{_text(title)}</title>",
        f'<rect width="{WIDTH:g}" height="{height:g}" fill="#fbfaf7"/>',
        f'<text x="{MARGIN:g}" y="21" font-size="13" fill="#222">{_text(title)}</text>',
    ]
    parts += [
        _box(node, left, HEADING + level * ROW, width, tree.root.count, app_root) for node, left, level, width in boxes
    ]
    return "\n".join([*parts, "</svg>", ""])


def _boxes(node: Node, left: float, level: int, total: int) -> Iterator[tuple[Node, float, int, float]]:
    """
    Yield each box that is wide enough: its node, left edge, level and width.

    Callees of one node stand side by side. There is no recursion, because a stack may be 200 calls deep.
    """
    waiting = [(node, left, level)]
    unit = (WIDTH - 2 * MARGIN) / total if total else 0.0
    while waiting:
        one, at, row = waiting.pop()
        width = one.count * unit
        if width < NARROWEST:
            continue
        yield one, at, row, width
        for child in _in_order(one.below.values()):
            waiting.append((child, at, row + 1))
            at += child.count * unit


def _in_order(nodes: Iterable[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: (node.place.function, node.place.file))


def _box(node: Node, left: float, top: float, width: float, total: int, app_root: str) -> str:
    share = 100.0 * node.count / total
    where = f" ({short_name(node.place.file, app_root)})" if node.place.file else ""
    label = printable(node.place.function)
    room = int((width - 6) / _LETTER)
    shown = label if len(label) <= room else label[: max(0, room - 1)] + "\u2026"
    text = f'<text x="{left + 3:.1f}" y="{top + 13:.1f}" fill="#1c1c1c">{_text(shown)}</text>' if room >= 3 else ""
    return (
        f"<g><title>{_text(label + where)}: {share:.1f} %, {node.count} of {total} samples</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(0.1, width - 0.5):.1f}" height="{ROW - 1:g}" rx="2"'
        f' fill="{_colour(node.place)}"/>{text}</g>'
    )


def _colour(place: CodePlace) -> str:
    """Return the colour of a call: a hue of its owner, and the same colour in every graph."""
    if not place.file:
        return "#d9d4c7"
    hue, spread = _HUES[owner_of(place.file)]
    seed = zlib.crc32(f"{place.file}:{place.function}".encode("utf-8", "replace"))
    return f"hsl({hue + seed % spread}, 68%, {70 + seed % 9}%)"


def _text(text: str) -> str:
    return escape(printable(text, 300))

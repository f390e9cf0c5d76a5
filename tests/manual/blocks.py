"""Read the fenced blocks of a page of the manual: commands with what they print, files, and output of a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"^```(?:\{code-block\} )?(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CAPTION = re.compile(r":caption: (\S+)\n\n?")


@dataclass
class Typed:
    """A command of a ``console`` block, and the lines that the page shows below it."""

    command: str
    shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Saved:
    """A block with a caption: the reader saves it under that name."""

    name: str
    content: str


@dataclass(frozen=True)
class Seen:
    """A ``text`` block: lines that the reader sees next in the terminal of the server."""

    shown: tuple[str, ...]


Step = Typed | Saved | Seen


def steps(page: str) -> Iterator[Step]:
    """Yield what a reader of the page does, in order. Other blocks, such as a part of a file, are left out."""
    for language, content in _FENCE.findall(page):
        caption = _CAPTION.match(content)
        if caption:
            yield Saved(caption[1], content[caption.end() :])
        elif language == "console":
            yield from _typed(content)
        elif language == "text":
            yield Seen(tuple(content.splitlines()))


def _typed(content: str) -> list[Typed]:
    found: list[Typed] = []
    for line in content.splitlines():
        if line.startswith("$ "):
            found.append(Typed(line[2:]))
        else:
            assert found, f"a console block begins with a command: {line!r}"
            found[-1].shown.append(line)
    return found

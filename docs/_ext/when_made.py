"""
Include a measured table in a page, if it has been measured.

When Sphinx reads a page, this extension replaces ``<!-- when made: hang-table.md -->`` by the file of that name in
``docs/_generated``. A test writes the file. If the test has never run, there is no file: the page then has nothing at
this place, and the build does not fail.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

GENERATED = Path(__file__).parent.parent / "_generated"

_MARK = re.compile(r"<!-- when made: ([\w.-]+) -->")


def names(text: str) -> list[str]:
    """Return the names of the files that a page includes."""
    return _MARK.findall(text)


def put_in(text: str, generated: Path = GENERATED) -> str:
    """Replace every mark in the source of a page by its file, or by nothing if there is no file."""
    return _MARK.sub(lambda mark: _text_of(generated / mark[1]), text)


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip() if path.is_file() else ""


def _on_source_read(app: Any, docname: str, source: list[str]) -> None:
    for name in names(source[0]):
        app.env.note_dependency(str(GENERATED / name))
    source[0] = put_in(source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register this extension with Sphinx."""
    app.connect("source-read", _on_source_read)
    return {"parallel_read_safe": True}

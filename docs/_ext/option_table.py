"""
Write the reference of options from the table that the server itself uses. So the manual cannot differ from the server.

When Sphinx reads a page, this extension replaces the line ``<!-- the option table -->`` by the table.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from pastepool.settings import ReferenceRow, options, reference_rows, rows

MARK = "<!-- the option table -->"


def option_markdown() -> str:
    """Write every option under the heading of its group, in the order of the table."""
    groups = groupby(reference_rows(), key=attrgetter("group"))
    return "\n".join(f"## {group}\n\n" + "\n".join(_entry(row) for row in rows) for group, rows in groups)


def _entry(row: ReferenceRow) -> str:
    default = f"{row.default} {row.unit}".strip() if row.default.isdigit() else row.default
    lines = [f"```{{confval}} {row.name}", f":type: {json.dumps(row.expects)}", f":default: {json.dumps(default)}", ""]
    lines += [row.doc, "", f"*Why this default:* {_linked(row.why)}"]
    if row.aliases:
        lines += ["", "Also accepted as " + ", ".join(f"`{alias}`" for alias in row.aliases) + "."]
    if row.inherited:
        lines += ["", "May stand in `[DEFAULT]` as well."]
    return "\n".join([*lines, "", f"Since {row.since}.", "```", ""])


def _linked(text: str) -> str:
    """The clause of the contract that a sentence names becomes a link to it."""
    return re.sub(r"contract ([A-Z]\d+)", lambda found: f"[{found[0]}](contract.md#{found[1].lower()})", text)


def _put_in(app: Any, docname: str, source: list[str]) -> None:
    if MARK in source[0]:
        for file in (options.__file__, *Path(rows.__path__[0]).glob("*.py")):
            app.env.note_dependency(str(file))  # so that a build after a change of the table reads the page again
        source[0] = source[0].replace(MARK, option_markdown())


def setup(app: Any) -> dict[str, bool]:
    """Register this extension with Sphinx."""
    app.connect("source-read", _put_in)
    return {"parallel_read_safe": True}

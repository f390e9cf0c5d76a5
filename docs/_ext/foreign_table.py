"""
Write the tables of other servers' options from the tables that the server itself uses.

When Sphinx reads a page, this extension replaces the lines ``<!-- the foreign options of ... -->`` and
``<!-- the options taken from ... -->`` by the tables.
"""

from __future__ import annotations

import re
from typing import Any

from pastepool.settings.dialect import PASTE, ours_for
from pastepool.settings.foreign import FOREIGN

MARK = re.compile(r"<!-- the (?P<what>foreign options of|options taken from) (?P<server>\w+) -->")


def foreign_markdown(server: str) -> str:
    """Write the options of a server that stop the start, with what to do."""
    rows = [(", ".join(f"`{name}`" for name in row.names), row.remedy) for row in FOREIGN if server in row.server]
    return _table(("option", "what to do"), rows)


def taken_markdown(server: str) -> str:
    """Write the options of a server that are taken under their old names."""
    rows = [
        (f"`{option.name}`", f"{{confval}}`{ours_for(option.name)}`")
        for option in PASTE.options.values()
        if option.group == server
    ]
    return _table((server, "here"), rows)


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| {} | {} |".format(*head), "|---|---|", *("| {} | {} |".format(*row) for row in rows)])


def _put_in(app: Any, docname: str, source: list[str]) -> None:
    def table(found: re.Match[str]) -> str:
        return (foreign_markdown if found["what"].startswith("foreign") else taken_markdown)(found["server"])

    source[0] = MARK.sub(table, source[0])


def setup(app: Any) -> dict[str, bool]:
    """Register this extension with Sphinx."""
    app.connect("source-read", _put_in)
    return {"parallel_read_safe": True}

"""The table as rows of plain text, for the reference page, ``--help`` and whoever else wants to print it."""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.settings.options import OPTIONS


@dataclass(frozen=True)
class ReferenceRow:
    """One option in words. ``expects``: what a value looks like. ``inherited``: may stand in [DEFAULT]."""

    group: str
    name: str
    aliases: tuple[str, ...]
    expects: str
    default: str
    unit: str
    since: str
    doc: str
    why: str
    inherited: bool


def reference_rows() -> list[ReferenceRow]:
    """List every option in the order of the table, which is the order of the page."""
    return [
        ReferenceRow(
            group=option.group,
            name=option.name,
            aliases=option.names[1:],
            expects=option.parser.expects,
            default=option.show(option.default),
            unit=option.unit,
            since=option.since,
            doc=option.doc,
            why=option.why,
            inherited=option.inherited,
        )
        for option in OPTIONS
    ]

"""Write the option table as rows of plain text, for the reference page and for other code that prints it."""

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
    """Return one row of text for each option, in the order of the table. The reference page has the same order."""
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

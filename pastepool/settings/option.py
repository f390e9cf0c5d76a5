"""One row of the option table: what a row says, and nothing about any particular option."""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.settings.parsing import Parser

_UNSET = (None, "", ())


@dataclass(frozen=True)
class Option:
    """
    One INI option.

    ``names``: ours first, the rest are accepted spellings. ``parser``: from text to value and back. ``default``: what
    holds when the option is not set; None where something else decides. ``default_text``: words for an unset default.
    ``unit``: what the number counts. ``field``: where the value goes in ``Settings``, dotted (``reading`` makes each
    part); empty for an option that only acts on others or on nothing. ``since``: the first release that knew it.
    ``doc``: one sentence on what it does. ``why``: one sentence on why this default. ``group``: the heading it stands
    under in the reference. ``example``: a value to show in a remedy where the default would teach nothing.
    ``inherited``: may come from [DEFAULT], where all other server options are hidden by PasteDeploy. ``secret``: never
    shown.
    """

    names: tuple[str, ...]
    parser: Parser
    default: object
    unit: str
    field: str
    since: str
    doc: str
    why: str
    group: str
    default_text: str = ""
    example: str = ""
    inherited: bool = False
    secret: bool = False

    @property
    def name(self) -> str:
        """The spelling we print."""
        return self.names[0]

    def sample(self) -> str:
        """A value that would be accepted, for the remedy of an error; empty where there is none."""
        return self.example or ("" if self.default is None else self.show(self.default))

    def show(self, value: object) -> str:
        """Write a value of this option as an operator would; an unset one is shown as the words for it."""
        return self.default_text if value in _UNSET else self.parser.show(value)

"""The shape of one row of the option table. No particular option is described here."""

from __future__ import annotations

from dataclasses import dataclass

from pastepool.settings.parsing import Parser

_UNSET = (None, "", ())


@dataclass(frozen=True)
class Option:
    """
    One INI option.

    ``names``: the name that pastepool prints, then the other accepted names. ``parser``: turns text into a value and
    back. ``default``: the value when the option is not set; None when it depends on other options, or when there is
    none. ``default_text``: the words shown for a default that is None or empty. ``unit``: what the number counts.
    ``field``: the field of ``Settings`` that has the value, with dots (``reading`` makes each part); empty for an option
    that only changes other options or has no effect. ``since``: the first release that had the option. ``doc``: what it
    does, in one or two sentences. ``why``: why it has this default, in one or two sentences. ``group``: its heading in
    the reference.
    ``example``: a value to show in the remedy of an error, where the default is not a good example. ``inherited``: the
    option may stand in [DEFAULT]; PasteDeploy hides all other server options there. ``secret``: the value is never
    shown. ``blank``: the value that a blank line sets; None if a blank line means "not set".
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
    blank: str | None = None

    @property
    def name(self) -> str:
        """The name that pastepool prints."""
        return self.names[0]

    def sample(self) -> str:
        """Return a value that would be accepted, for the remedy of an error. Empty where there is none."""
        return self.example or ("" if self.default is None else self.show(self.default))

    def show(self, value: object) -> str:
        """Write a value of this option as an operator would. A value that is None or empty gives ``default_text``."""
        return self.default_text if value in _UNSET else self.parser.show(value)

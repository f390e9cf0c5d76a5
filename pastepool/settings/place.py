"""Write every error sentence about a configuration. Each one says where in the file the setting stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pastepool.errors import SettingsError
from pastepool.settings.foreign import Foreign
from pastepool.settings.option import Option
from pastepool.settings.options import BY_NAME, nearest
from pastepool.settings.origin import KeyLines
from pastepool.settings.parsing import Unfit, text_lines
from pastepool.settings.secrets import mask

_COMMENT = re.compile(r"\s[;#]")

_PLACEHOLDER = re.compile(r"\$\{|\{\{|<%|\$[A-Z][A-Z_]+")
"""What templates and shells have in the place of a value."""

_WRITE_IT = "write it like"

PLACES = "listen"
"""The option whose value has several parts. A sentence about two options that exclude each other is about one of them."""

LONGEST_SHOWN = 80
"""The most characters of a value that a sentence repeats, so that it can be read in one line of a log."""


Lines = Mapping[str, Mapping[str, KeyLines]]
"""The lines of each key, by section."""


@dataclass(frozen=True)
class SettingsPlace:
    """
    A section of a configuration file.

    Large because it has a method for each kind of sentence.

    ``config_file`` is empty if a program set the values without a file. ``lines``: the lines of each key, for
    each section whose lines are known (``origin.lines_of``). ``spelt``: the name and the text that the section has for
    an option, by ``Option.name``, where that name is another one.
    """

    section: str
    config_file: str
    lines: Lines = field(default_factory=dict, compare=False, repr=False)
    spelt: Mapping[str, tuple[str, str]] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return f"[{self.section}] of {self.config_file}" if self.config_file else f"[{self.section}]"

    def default(self) -> SettingsPlace:
        """Return the place of the [DEFAULT] section of the same file."""
        return SettingsPlace("DEFAULT", self.config_file, self.lines)

    def line_of(self, key: str, part: tuple[int, int] | None = None) -> int:
        """
        Return the number of the line of a key, 0 if it is not known.

        ``part``: which line of its value is meant, and how many it has. The last ones are those at the end of its lines.
        """
        numbers = self._lines_of(key).numbers
        at = len(numbers) - part[1] + part[0] if part else 0
        return numbers[max(at, 0)]

    def file_of(self, key: str) -> str:
        """Return the file in which a key stands."""
        return self._lines_of(key).file or self.config_file

    def at(self, key: str, part: tuple[int, int] | None = None) -> str:
        """Return the place of a key: with the number of its line, if it is known. ``part``: as for ``line_of``."""
        line, lines = self.line_of(key, part), self._lines_of(key)
        place = f"[{lines.section}] of {lines.file}" if lines.file else str(self)
        return f"{place}, line {line}" if line else place

    def _lines_of(self, key: str) -> KeyLines:
        return self.lines.get(self.section, {}).get(key, KeyLines((0,)))

    def unknown(self, key: str, value: str, also: Iterable[str] = ()) -> SettingsError:
        """Return the error for a key that is not an option. ``also``: names that are options only in this section."""
        close = nearest(key, also)
        problem = f"{self.at(key)}: {key!r} (value {_quoted(key, value)}) is not an option of pastepool"
        if close:
            remedy = f"the nearest one is {close!r}, so correct the name or delete the line"
        else:
            remedy = "delete the line, or move it to the section of the application if it belongs there"
        return self._error(f"{problem}; {remedy}.", key, value, close)

    def of_waitress(self, key: str, value: str, ours: str) -> SettingsError:
        """
        Return the error for a key that is an option only in a section that was written for waitress.

        ``ours``: the name of the same option in every section; empty if there is none.
        """
        problem = f"{self.at(key)}: {key!r} (value {_quoted(key, value)}) is not an option of egg:pastepool#http"
        remedy = "a section with use = egg:pastepool#main takes it, so change the line with use or "
        remedy += f"write {ours!r} in place of {key!r}" if ours else "delete this one"
        return self._error(f"{problem}; {remedy}.", key, value, ours)

    def foreign(self, key: str, value: str, row: Foreign) -> SettingsError:
        """Return the error for a key that is an option of another server only."""
        problem = f"{self.at(key)}: {key!r} (value {_quoted(key, value)}) is not an option of pastepool"
        return self._error(f"{problem} but of {row.server}; {row.remedy}.", key, value, row.ours)

    def unfit(self, key: str, option: Option, value: str, unfit: Unfit) -> SettingsError:
        """Return the error for a value that the parser of the option refuses: one mistake for each part of it."""
        lines = text_lines(value)
        mistakes = []
        for part in unfit.parts:
            if part.line is None or len(lines) < 2:
                mistakes.append(self._unfit(key, option, value, part.problem, None))
            else:
                mistakes.append(self._unfit(key, option, lines[part.line], part.problem, (part.line, len(lines))))
        return SettingsError.all_of(mistakes)

    def _unfit(self, key: str, option: Option, value: str, problem: str, part: tuple[int, int] | None) -> SettingsError:
        sentence = f"{self.at(key, part)}: {key} = {_quoted(key, value)} {problem}"
        if _COMMENT.search(value):
            remedy = "; a value runs to the end of its line, so put the comment on a line of its own"
        elif _PLACEHOLDER.search(value):
            remedy = f"; it looks like what a template or a shell fills in; {_WRITE_IT} {key} = {option.sample()}"
        elif option.sample() and _WRITE_IT not in problem and ";" not in problem:
            remedy = f"; {_WRITE_IT} {key} = {option.sample()}"
        else:
            remedy = ""
        return self._error(f"{sentence}{remedy}.", key, value, "", part=part)

    def twice(self, key: str, value: str, other: str, other_value: str) -> SettingsError:
        """Return the error for two names of the same option that have different values."""
        return self._error(
            f"{self.at(key)}: {key} = {_quoted(key, value)} and {other} = {_quoted(other, other_value)} are two names of one"
            " option and differ; delete one of the lines.",
            key,
            value,
            other,
        )

    def contradiction(self, key: str, value: str, other: str, other_value: str, because: str) -> SettingsError:
        """Return the error for two options that exclude each other. ``because``: the reason and the remedy."""
        (key, value), (other, other_value) = self._written(key, value), self._written(other, other_value)
        sentence = f"{self.at(key)}: {key} = {value} contradicts {other} = {other_value}; {because}."
        return self._error(sentence, key, value, other, contradicts=other)

    def unusable(self, key: str, value: str, problem: str) -> SettingsError:
        """Return the error for a value of the right form that cannot be used. ``problem``: with the remedy."""
        key, value = self._written(key, value)
        return self._error(f"{self.at(key)}: {key} = {value} {problem}.", key, value, "")

    def left_out(self, key: str, option: Option, value: str, problem: str) -> str:
        """Return the note about a value that is not used. ``problem``: why, as words that follow the value."""
        return f"{self.at(key)}: {key} = {_quoted(key, value)} {problem}, so {option.show(option.default)} is used."

    def hidden(self, key: str, value: str, effective: str) -> str:
        """Return the note about a server option that stands at a place from which PasteDeploy does not pass it on."""
        instead = f"{effective} is used" if effective else "it has no effect"
        return (
            f"{self}: {key} = {_quoted(key, value)} stands in [DEFAULT], on the command line or in a 'set' line, which"
            f" hides {key} from the server, so {instead}; write 'get {key} = {key}' into [{self.section}] to pull it"
            " in."
        )

    def _written(self, key: str, value: str) -> tuple[str, str]:
        """Return the name and the value of an option as the section has them. Of several places one is meant."""
        name, text = self.spelt.get(key, (key, value))
        return name, value if key == PLACES else text

    def _error(
        self,
        sentence: str,
        key: str,
        value: str,
        close: str,
        contradicts: str = "",
        part: tuple[int, int] | None = None,
    ) -> SettingsError:
        return SettingsError(
            sentence,
            section=self.section,
            key=key,
            value=mask(key, value),
            nearest=close if close in BY_NAME else "",
            contradicts=contradicts,
            line=self.line_of(key, part),
            file=self.file_of(key),
        )


def _quoted(key: str, value: str) -> str:
    shown = mask(key, value)
    return repr(shown if len(shown) <= LONGEST_SHOWN else shown[:LONGEST_SHOWN] + "...")

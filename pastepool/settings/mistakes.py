"""Collect the mistakes of a configuration, so that an operator sees all of them at the first start."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

from pastepool.errors import SettingsError


class Mistakes:
    """
    The mistakes found so far in one configuration.

    Reading goes on after a mistake, with the default of the option. So a contradiction with such an option is not
    reported: the operator has not seen the value that it speaks of.
    """

    def __init__(self) -> None:
        self._errors: list[SettingsError] = []

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Take note of an error that the block raises. The block ends there, and what follows it goes on."""
        try:
            yield
        except SettingsError as error:
            self.add(error)

    def add(self, error: SettingsError) -> None:
        """
        Take note of an error, or of each mistake that it is about, unless it is or follows from one that is noted already.
        """
        noted = {known.key for known in self._errors}
        if not (error.contradicts and {error.key, error.contradicts} & noted):
            said = set(map(str, self._errors))
            self._errors += [each for each in error.errors if str(each) not in said]

    def raise_all(self) -> None:
        """
        Raise one error for all mistakes: a line for each, in the order of each file. Do nothing if there are none.

        A mistake whose line in the file is not known comes after the others of that file.
        """
        if not self._errors:
            return
        files = list(dict.fromkeys(error.file for error in self._errors))
        ordered = sorted(self._errors, key=lambda error: (files.index(error.file), error.line or math.inf))
        raise SettingsError.all_of(ordered)

"""
Read the server section once more from the file, as Paste Deploy does, for a reload.

Variables of the command line win again over [DEFAULT], as they did at the start. Paste Deploy does not tell a factory
which these are, so they are found by comparing what it was given with what the file says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from paste.deploy import loadwsgi

from pastepool.errors import SettingsError
from pastepool.settings.dialect import Dialect
from pastepool.settings.origin import defaults_of, lines_of
from pastepool.settings.reading import read
from pastepool.settings.values import Settings

_OF_PASTE_DEPLOY = ("__file__", "here")


def variables_of(given: Mapping[str, object], config_file: str) -> dict[str, str]:
    """
    Return the variables that were given on the command line: what the file's [DEFAULT] does not say.

    ``given``: what the factory was given. A value of [DEFAULT] with a reference in it counts as the file's.
    """
    in_file = defaults_of(config_file)
    return {
        key: str(value)
        for key, value in given.items()
        if key not in _OF_PASTE_DEPLOY and "%" not in in_file.get(key, "") and in_file.get(key) != value
    }


def factory_of(config_file: str, section: str, variables: Mapping[str, str]) -> object:
    """Return the factory that a section names (``use``); None if the file cannot be read."""
    try:
        factory: object = _context(config_file, section, variables).object
    except Exception:  # a program may name a file that Paste Deploy does not know
        return None
    return factory


def read_again(
    config_file: str, section: str, variables: Mapping[str, str], dialect: Dialect, factory: object = None
) -> Settings:
    """
    Read and check a server section again. ``factory``: what it named at the start; None if that is not known.

    Raises: SettingsError: the file cannot be read, or the section has a mistake. The operator must edit it.
    """
    try:
        context = _context(config_file, section, variables)
    except Exception as error:  # Paste Deploy raises what its parsers raise
        raise SettingsError(f"{config_file} [{section}] cannot be read again: {error}", section=section) from error
    if factory is not None and context.object is not factory:
        raise SettingsError(
            f"{config_file} [{section}]: use names another server now; that needs a restart.", section=section
        )
    return read(context.local_conf, context.global_conf, section, dialect, lines_of(config_file))


def _context(config_file: str, section: str, variables: Mapping[str, str]) -> loadwsgi.LoaderContext:
    name = section.partition(":")[2] or "main"
    uri = f"config:{os.path.abspath(config_file)}"
    return loadwsgi.loadcontext(loadwsgi.SERVER, uri, name=name, global_conf=dict(variables) or None)

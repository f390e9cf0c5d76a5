"""
Read the keywords of a ``WorkerPool``: the options of an INI file that concern the pool, with or without ``threadpool_``.

An option of the server, such as ``port``, is refused: its host has such options itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from pastepool.errors import SettingsError
from pastepool.settings.options import BY_NAME
from pastepool.settings.reading import read
from pastepool.settings.values import Settings

_GROUPS = frozenset({"Pool", "Mail", "Watching"})
_PREFIX = "threadpool_"
_OF_THE_SERVER = frozenset({"use_threadpool", "daemon_threads"})
"""Options of these groups that say something about Paste's server alone."""


def read_keywords(given: Mapping[str, object], name: str) -> Settings:
    """
    Read the keywords of a pool, and check them. ``name``: of the pool, for the error sentences.

    Raises: SettingsError: a keyword is unknown, is no option of the pool, or has a bad value.
    """
    known = pool_options()
    full: dict[str, object] = {}
    for key, value in given.items():
        long = key if key in BY_NAME else _PREFIX + key
        if long not in BY_NAME:
            raise _refused(name, key, _nearest(key))
        if BY_NAME[long].name not in known:
            raise _refused(name, key, "it is an option of the server and not of its pool, so leave it out")
        full[long] = value
    return read(full, section=f"WorkerPool {name}")


def pool_options() -> frozenset[str]:
    """Return the names of the options that a pool takes."""
    of_pool = {option.name for option in BY_NAME.values() if option.group in _GROUPS and option.field}
    return frozenset(of_pool - _OF_THE_SERVER | {"queue_limit"})


def shown_of(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the values that the page shows: those of the pool."""
    known = pool_options()
    return tuple(pair for pair in settings.shown if pair[0] in known)


def _nearest(key: str) -> str:
    names = sorted(name.removeprefix(_PREFIX) for name in pool_options())
    close = difflib.get_close_matches(key.removeprefix(_PREFIX), names, n=1, cutoff=0.6)
    return f"the nearest one is {close[0]!r}" if close else f"it takes {', '.join(names)}"


def _refused(name: str, key: str, why: str) -> SettingsError:
    return SettingsError(f"[WorkerPool {name}]: {key!r} is not an option of a pool; {why}.", section=name, key=key)

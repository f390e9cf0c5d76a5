"""
The table of all options. Parsing, errors, ``Settings.shown`` and the reference page are made from it.

It has names, parsers, defaults and reasons; ``reading`` reads a file with it. The rows of each group are a file of
``settings.rows``. The defaults of pool, overload, timeouts and limits are defined in ``core.policy`` and
``http1.limits``. The rows take them from there.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from pastepool.settings.option import Option
from pastepool.settings.rows import address, http, limits, mail, overload, patience, pool, processes, tls, watching

OPTIONS: tuple[Option, ...] = (
    *address.ROWS,
    *tls.ROWS,
    *pool.ROWS,
    *processes.ROWS,
    *overload.ROWS,
    *patience.ROWS,
    *limits.ROWS,
    *http.ROWS,
    *mail.ROWS,
    *watching.ROWS,
)

BY_NAME: Mapping[str, Option] = {name: option for option in OPTIONS for name in option.names}
"""The option of every accepted name."""


def nearest(key: str, also: Iterable[str] = ()) -> str:
    """
    Return the accepted name that an unknown key probably means; ``""`` where none is similar.

    ``also``: names that are accepted beside those of the table.

    A name of which a word was left out is meant before one that only looks similar: ``threadpool_hung_limit`` is
    ``threadpool_hung_thread_limit`` and not ``threadpool_dying_limit``.

    Units: the cutoff is a ratio of ``difflib``. With 0.7, a name with one or two typing errors is found, and a name
    that is only somewhat similar is not.
    """
    plain = key.strip().lower().replace("-", "_")
    names = [*also, *BY_NAME]
    if plain in names:
        return plain
    if f"threadpool_{plain}" in BY_NAME:
        return f"threadpool_{plain}"
    words = set(plain.split("_"))
    longer = [name for name in names if words < set(name.split("_"))]
    if len(words) > 1 and len(longer) == 1:
        return longer[0]
    return next(iter(difflib.get_close_matches(plain, names, n=1, cutoff=0.7)), "")

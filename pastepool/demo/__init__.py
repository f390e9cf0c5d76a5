"""
The demonstration application (``egg:pastepool#demo``): one page of links to everything a server has to live with.

A WSGI application like any other: it knows nothing of pastepool and runs under every WSGI server. It hangs and crashes
when asked to, so it belongs on a developer's machine, not on the public net.
"""

from __future__ import annotations

from collections.abc import Mapping

from pastepool.demo.app import Demo
from pastepool.demo.numbers import BadNumber, number

DEFAULT_HANG_LIMIT = 600.0
"""Seconds after which even a hung route lets its worker go. Nothing derives it: long enough to look at, no leak."""


def make_app(global_conf: Mapping[str, str], hang_limit: str = str(DEFAULT_HANG_LIMIT), **unknown: str) -> Demo:
    """
    Build the demonstration from its section of an INI file.

    Args:
        global_conf: what Paste Deploy passes from ``[DEFAULT]``; not read.
        hang_limit: seconds, 0 to 86400; no route occupies its worker for longer.

    Raises:
        ValueError: a key that does not exist, or a limit that is no such number. The operator's to correct.

    Source: the ``paste.app_factory`` protocol of Paste Deploy.
    """
    if unknown:
        raise ValueError(
            f"The demonstration has one option, hang_limit; it does not know {', '.join(sorted(unknown))}."
        )
    try:
        return Demo(number(hang_limit, 0, 86400))
    except BadNumber as error:
        raise ValueError(f"hang_limit of the demonstration {error}.") from None

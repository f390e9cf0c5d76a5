"""
The demonstration application (``egg:pastepool#demo``): one page with links to everything applications do to a server.

It is an ordinary WSGI application: it imports nothing of the server and runs under every WSGI server. It hangs and
crashes on request, so run it on a developer's machine and not on the public net.
"""

from __future__ import annotations

from collections.abc import Mapping

from pastepool.demo.app import Demo
from pastepool.demo.numbers import BadNumber, number

DEFAULT_HANG_LIMIT = 600.0
"""Seconds after which a route that hangs ends by itself. Long enough to watch it hang; no worker is lost for good."""


def make_app(global_conf: Mapping[str, str], hang_limit: str = str(DEFAULT_HANG_LIMIT), **unknown: str) -> Demo:
    """
    Build the demonstration from its section of an INI file.

    Args:
        global_conf: what Paste Deploy passes from ``[DEFAULT]``. It is not read.
        hang_limit: seconds, 0 to 86400. No route occupies its worker for longer.

    Raises:
        ValueError: there is no such key, or the limit is not such a number. The operator must correct the file.

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

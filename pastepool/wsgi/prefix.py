"""Show an application below a path, where a proxy passes on the whole path (``url_prefix``). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pastepool.core.ownership import calls_application
from pastepool.wsgi.serving import Application


def under_prefix(application: Application, prefix: str) -> Application:
    """
    Return an application that calls this one below a prefix; without a prefix, the application itself.

    ``prefix``: begins with a slash and does not end in one. It becomes ``SCRIPT_NAME`` of every request. It is taken off
    ``PATH_INFO`` if the path is the prefix or is below it; another path stays whole, as with waitress: the proxy may have
    taken the prefix off already.
    """
    if not prefix:
        return application
    below = prefix + "/"

    @calls_application
    def prefixed(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = prefix
        path: str = environ["PATH_INFO"]
        if path == prefix or path.startswith(below):
            environ["PATH_INFO"] = path[len(prefix) :]
        parts: Iterable[bytes] = application(environ, start_response)
        return parts

    return prefixed

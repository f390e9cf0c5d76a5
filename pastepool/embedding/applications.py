"""The applications of a server: the one that it serves is checked, and the page of ``admin_listen`` is made."""

from __future__ import annotations

import contextlib
import inspect
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pastepool.errors import SettingsError
from pastepool.settings import AdminSettings, Settings, factory_named_in
from pastepool.settings.place import SettingsPlace

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def check_application(app: object, config_file: str) -> None:
    """
    Refuse what no WSGI application can be, instead of answering every request with 500.

    Raises: SettingsError: it cannot be called, or it is a coroutine function. The sentence names the factory.
    """
    if not callable(app):
        made = "None" if app is None else f"an object of type {type(app).__name__}, which cannot be called"
        remedy = "a WSGI application is a callable, so let the factory return one"
    elif inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        made = "an asynchronous application (ASGI)"
        remedy = "this server calls WSGI applications, so let the factory return one, or wrap it in an adapter"
    else:
        return
    section, line = factory_named_in(config_file)
    factory = "the application factory" + (f" ({line})" if line else "")
    place = f"{SettingsPlace(section, config_file)}: " if section else ""
    raise SettingsError(f"{place}{factory} returned {made}; {remedy}.", section=section)


def function_named(settings: Settings) -> Callable[[], object]:
    """
    Return what ``after_fork`` names, or a function that does nothing.

    Raises: SettingsError: there is no such function. What its module raises when it is imported.
    """
    if not settings.after_fork:
        return lambda: None
    place = SettingsPlace(settings.section, settings.config_file)
    try:
        found: Callable[[], object] = pkgutil.resolve_name(settings.after_fork)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"{place}: after_fork = {settings.after_fork} is not there: {error}.") from error
    if not callable(found):
        raise SettingsError(f"{place}: after_fork = {settings.after_fork} cannot be called; name a function.")
    return found


def admin_application(admin: AdminSettings) -> WSGIApplication | None:
    """Make the page of ``admin_listen``; None if that option is not set."""
    if not admin.listen:
        return None
    with warnings_ignored():
        from pastepool.watch.app import WatchApp  # imported here, so that WebOb is loaded only if the page is used
        from pastepool.watch.options import WatchOptions

    return WatchApp(WatchOptions(admin.allow_kill, admin.token, admin.allow_from))


@contextlib.contextmanager
def warnings_ignored() -> Iterator[None]:
    """Ignore warnings for a moment: WebOb 1.8 imports ``cgi``, which warns, and ``-W error`` would make it a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

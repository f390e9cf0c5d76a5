"""
Read what a program wants to serve: an INI file with its sections, or an application with options.

Everything is checked before the application is loaded, as under the commands of Paste Deploy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from paste.deploy import loadwsgi

from pastepool.errors import SettingsError
from pastepool.settings import Settings, lines_of, read
from pastepool.settings.dialect import PASTE, WAITRESS
from pastepool.settings.place import SettingsPlace

_DIALECTS = {"http": PASTE, "main": WAITRESS}
"""The entry points of our server, and the names that a section for each of them may use."""


class Source(NamedTuple):
    """Checked settings, and ``load``, which returns the application."""

    settings: Settings
    load: Callable[[], Any]


def source_of(
    config: str | os.PathLike[str] | Mapping[str, object],
    application: Callable[..., Any] | None,
    server: str,
    app: str,
    variables: Mapping[str, str],
) -> Source:
    """
    Read and check what to serve.

    Args:
        config: the path of an INI file, or options as in its section of the server.
        application: the application. None: the one of the file.
        server, app: the names of the sections [server:NAME] and [app:NAME] of a file.
        variables: as on the command line of ``paster serve``.

    Raises: SettingsError: the file cannot be read, its section is for another server or has a mistake, or there is no
    application. The operator must change the file, or the program its options.
    """
    if isinstance(config, Mapping):
        if application is None:
            raise SettingsError("An application is missing; give it beside the options, or name an INI file instead.")
        return _checked(read(config, section="options"), lambda: application)
    file = os.path.abspath(os.fspath(config))
    settings = _section(file, f"server:{server}", server, variables)
    if application is not None:
        return _checked(settings, lambda: application)
    uri, given = f"config:{file}", dict(variables) or None
    return _checked(settings, lambda: loadwsgi.loadapp(uri, name=app, global_conf=given))


def _section(file: str, section: str, name: str, variables: Mapping[str, str]) -> Settings:
    try:
        uri, given = f"config:{file}", dict(variables) or None
        context = loadwsgi.loadcontext(loadwsgi.SERVER, uri, name=name, global_conf=given)
    except Exception as error:  # Paste Deploy raises what its parsers raise
        raise SettingsError(f"{SettingsPlace(section, file)} cannot be read: {error}", section=section) from error
    distribution = getattr(context.distribution, "metadata", None)
    dialect = _DIALECTS.get(context.entry_point_name or "")
    if dialect is None or distribution is None or distribution["Name"] != "pastepool":
        raise SettingsError(
            f"{SettingsPlace(section, file)}: this is no section for the server of pastepool; let it say"
            " use = egg:pastepool#http.",
            section=section,
            key="use",
        )
    return read(context.local_conf, context.global_conf, section, dialect, lines_of(file))


def _checked(settings: Settings, load: Callable[[], Any]) -> Source:
    if settings.processes.processes:
        raise SettingsError(
            f"{SettingsPlace(settings.section, settings.config_file)}: processes = {settings.processes.processes};"
            " a server inside of another program cannot fork, so delete processes, or serve the file with its own command.",
            section=settings.section,
            key="processes",
        )
    return Source(settings, load)

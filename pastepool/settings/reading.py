"""
Build ``Settings`` from the options that PasteDeploy passes to the factory. Nothing else builds them.

This module knows the order of the steps, and what PasteDeploy does to a section: it removes from it every key that
[DEFAULT] also has. ``options`` has the table, ``parsing`` the parsers, ``place`` the error sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pastepool.core.policy import OverloadPolicy, PoolPolicy, ProcessPolicy, Timeouts
from pastepool.core.proxy_trust import TrustedProxies
from pastepool.errors import SettingsError
from pastepool.http1.limits import Limits
from pastepool.settings.addressing import check_addresses, endpoints_of, split_addresses
from pastepool.settings.dialect import PASTE, WAITRESS, Dialect, Translated, ours_for
from pastepool.settings.endpoint import Endpoint, names_this_machine
from pastepool.settings.foreign import BY_FOREIGN_NAME
from pastepool.settings.listeners import Listeners
from pastepool.settings.mistakes import Mistakes
from pastepool.settings.option import Option
from pastepool.settings.options import BY_NAME, OPTIONS
from pastepool.settings.parsing import Refused, Unfit, plain_text, text_lines
from pastepool.settings.place import PLACES, Lines, SettingsPlace
from pastepool.settings.relations import settle
from pastepool.settings.secrets import mask
from pastepool.settings.tls_parsing import ContextObject
from pastepool.settings.tls_relations import CERTIFICATES, guard_tls
from pastepool.settings.values import (
    AdminSettings,
    MailSettings,
    ProxyHeaderRules,
    PublicAddress,
    Settings,
    TlsSettings,
)

RECIPIENTS = "error_email"

PYTHON_NONE = "None"
"""A value that generated files have for an option of mail that is not set. It counts as blank."""

FACTORIES = ("paste.server_factory", "paste.server_runner")
"""Keys of Paste Deploy that name the server. Beside ``use`` it hands them on, as Plone's generated files have them."""

WITHOUT_EFFECT: Mapping[tuple[str, object], str] = {
    ("use_threadpool", False): "use_threadpool = false has no effect: requests always run in the pool.",
    ("daemon_threads", True): "daemon_threads has no effect: shutdown_timeout bounds the exit of the process.",
    ("daemon_threads", False): "daemon_threads has no effect: shutdown_timeout bounds the exit of the process.",
    ("socket_timeout", 0.0): "socket_timeout = 0 switches off every client timeout that is not set itself, so that a"
    " silent client may hold its connection for ever.",
}
"""Values that are accepted, but cause a note in the log at start."""


_PARTS: Mapping[str, Callable[..., object]] = {
    "listen": endpoints_of,
    "tls": TlsSettings,
    "pool": PoolPolicy,
    "processes": ProcessPolicy,
    "overload": OverloadPolicy,
    "timeouts": Timeouts,
    "limits": Limits,
    "public": PublicAddress,
    "trusted_proxies": TrustedProxies,
    "proxy_headers": ProxyHeaderRules,
    "mail": MailSettings,
    "admin.listen": endpoints_of,
    "admin": AdminSettings,
}
"""What makes each part of ``Settings`` out of the rows whose ``field`` begins with its name; a part's own parts first."""


def read(
    local: Mapping[str, object],
    global_conf: Mapping[str, object] | None = None,
    section: str = "server:main",
    dialect: Dialect = PASTE,
    lines: Lines | None = None,
) -> Settings:
    """
    Read and check a server section. All mistakes are reported together.

    Args:
        local: the options of the section, as text or as Python values. Blank or None means "not set".
        global_conf: [DEFAULT], command-line variables and ``__file__``. Only mail options are taken from it.
        section: the name of the section, for the error sentences.
        dialect: the names that the section may use.
        lines: the lines of each key, for each section of the file (``origin.lines_of``).

    Returns:
        the effective settings, without contradictions. ``notes`` says which values were changed or have no effect.
    Raises:
        SettingsError: unknown keys, values of the wrong shape, and contradictions. The operator must edit the file.
    Runs on:
        any thread; pure.
    Source:
        the option names of Paste 3.10 (contract P1, P5 to P12, P18) and the table.
    """
    inherited = dict(global_conf or {})
    place = SettingsPlace(section, str(inherited.get("__file__") or ""), lines or {}, _spelt(local, dialect))
    mistakes = Mistakes()
    factories = {key: _shown_raw(local[key]) for key in FACTORIES if key in local}
    local = {key: raw for key, raw in local.items() if key not in factories}
    values: dict[str, Any] = {option.name: option.default for option in OPTIONS}
    notes: list[str] = []
    translated = dialect.translate(_read_section(local, place, dialect, mistakes), place, mistakes)
    own = translated.values
    mail = _read_mail(inherited, own, place.default(), mistakes, notes)
    values.update(own | mail)
    values[PLACES] = _with_origins(values[PLACES], local, place, dialect)
    split_addresses(values, own, mail, place, mistakes)
    check_addresses(values, own, translated.family, dialect.narrow, place, mistakes)
    guard_tls(values, own, place, mistakes)
    notes += settle(values, frozenset(own), place, mistakes)
    mistakes.raise_all()
    notes += [f"{place}: {note}" for key, note in WITHOUT_EFFECT.items() if key[0] in own and own[key[0]] == key[1]]
    notes += _idle_admin(values, own, place) + _open_login(values, place)
    if "trusted_proxy_headers" in own and not own.get("trusted_proxies"):
        notes.append(f"{place}: trusted_proxy_headers has no effect: trusted_proxies is not set.")
    notes += [f"{place.at(key)}: {key} = {value} has no effect beside use." for key, value in factories.items()]
    notes += [f"{place}: {note}" for note in translated.notes]
    notes += _hidden(local, inherited, values, place, dialect)
    return _build(values, place, tuple(notes), dialect, translated)


def _spelt(local: Mapping[str, object], dialect: Dialect) -> dict[str, tuple[str, str]]:
    """Return the name and the text that a section has for an option, where that name is not ``Option.name``."""
    spelt = {}
    for key, raw in local.items():
        option = dialect.options.get(key) or BY_NAME.get(key)
        if option is not None and isinstance(raw, str) and raw:
            name = ours_for(option.name) if key in dialect.options else option.name
            if name and name != key:
                spelt[name] = key, raw
    return {name: written for name, written in spelt.items() if local.get(name) in (None, "")}


def _unknown(key: str, value: str, place: SettingsPlace, dialect: Dialect) -> SettingsError:
    """Return the error for a key that is not an option of the section."""
    row = WAITRESS.options.get(key)
    if row is not None and isinstance(row.parser, Refused):
        return place.unfit(key, row, value, Unfit(row.parser.problem))
    if row is not None:
        return place.of_waitress(key, value, ours_for(key))
    if key in BY_FOREIGN_NAME:
        return place.foreign(key, value, BY_FOREIGN_NAME[key])
    return place.unknown(key, value, dialect.options)


def _read_section(
    local: Mapping[str, object], place: SettingsPlace, dialect: Dialect, mistakes: Mistakes
) -> dict[str, Any]:
    """
    Parse every key that is set. Two names of the same option must have equal values. A blank line that another server
    knows asks for nothing here either; a blank one that nobody knows is a mistake.
    """
    own: dict[str, Any] = {}
    spelt: dict[str, str] = {}
    for key, raw in local.items():
        option = dialect.options.get(key) or BY_NAME.get(key)
        if option is None:
            if not (key in BY_FOREIGN_NAME and raw in (None, "")):
                mistakes.add(_unknown(key, _shown_raw(raw), place, dialect))
            continue
        if isinstance(option.parser, ContextObject) and option.parser.takes(raw):
            own[option.name] = raw
            continue
        with mistakes.noted():
            text = _text(key, option, raw, place)
            if not text and option.blank is None:
                continue
            if option.inherited and text == PYTHON_NONE:
                continue
            value = _parse(key, option, text, place) if text else option.blank
            if option.name in own and own[option.name] != value:
                other = spelt[option.name]
                raise place.twice(other, _shown_raw(local[other]), key, text)
            own[option.name] = value
            spelt[option.name] = key
    return own


def _read_mail(
    inherited: Mapping[str, object],
    own: Mapping[str, Any],
    place: SettingsPlace,
    mistakes: Mistakes,
    notes: list[str],
) -> dict[str, Any]:
    """
    Take from [DEFAULT] the mail options that are not set in the section.

    Paste reads none of them there but the recipients, and other programs read them too. So a value that does not fit is
    left out with a note, and does not stop the start.

    If [DEFAULT] has several names of one option, the first name of the row counts. Without recipients nothing is taken:
    the other keys in [DEFAULT] are then for another program.
    """
    taken: dict[str, Any] = {}
    for option in sorted(OPTIONS, key=lambda option: option.name != RECIPIENTS):
        if not option.inherited or option.name in own:
            continue
        if option.name != RECIPIENTS and not (RECIPIENTS in own or RECIPIENTS in taken):
            continue
        for key in option.names:
            try:
                text = plain_text(inherited.get(key))
                if text and text != PYTHON_NONE:
                    taken[option.name] = option.parser(text)
                    break
            except Unfit as unfit:
                shown = _shown_raw(inherited[key])
                if option.name == RECIPIENTS:
                    mistakes.add(place.unfit(key, option, shown, unfit))
                else:
                    notes.append(place.left_out(key, option, shown, unfit.problem))
    return taken


def _text(key: str, option: Option, raw: object, place: SettingsPlace) -> str:
    try:
        return plain_text(raw)
    except Unfit as unfit:
        if isinstance(option.parser, (Refused, ContextObject)):
            return _shown_raw(raw)
        raise place.unfit(key, option, _shown_raw(raw), unfit) from None


def _parse(key: str, option: Option, text: str, place: SettingsPlace) -> Any:
    try:
        return option.parser(text)
    except Unfit as unfit:
        raise place.unfit(key, option, text, unfit) from None


def _with_origins(
    endpoints: tuple[Endpoint, ...], local: Mapping[str, object], place: SettingsPlace, dialect: Dialect
) -> tuple[Endpoint, ...]:
    """Add to the places of ``listen`` the lines where they stand in the file."""
    key = place.spelt[PLACES][0] if PLACES in place.spelt else PLACES
    parser = (dialect.options.get(key) or BY_NAME[key]).parser
    text = local.get(key)
    if not (endpoints and place.line_of(key) and isinstance(text, str) and isinstance(parser, Listeners)):
        return endpoints
    count = len(text_lines(text))
    origins = {
        endpoint.place: f"line {place.line_of(key, (number, count))} of {place.file_of(key)}"
        for endpoint, number in parser.with_lines(text)
    }
    return tuple(replace(each, origin=origins.get(each.place, "")) for each in endpoints)


def _shown_raw(raw: object) -> str:
    return str(raw).strip()


def _idle_admin(values: Mapping[str, Any], own: Mapping[str, Any], place: SettingsPlace) -> list[str]:
    given = [] if values["admin_listen"] else [name for name in own if name.startswith("admin_")]
    return [f"{place}: {name} has no effect: admin_listen is not set." for name in given]


def _open_login(values: Mapping[str, Any], place: SettingsPlace) -> list[str]:
    """Note that a password would be sent to another machine as plain text."""
    host = values["smtp_server"]
    logs_in = values["error_email"] and values["smtp_username"] and not values["smtp_use_tls"]
    if not logs_in or names_this_machine(host):
        return []
    remedy = "set smtp_use_tls = true, or send through a mail server on this machine"
    return [f"{place}: smtp_username and smtp_password are sent to {host} as plain text; {remedy}."]


def _hidden(
    local: Mapping[str, object],
    inherited: Mapping[str, object],
    values: Mapping[str, Any],
    place: SettingsPlace,
    dialect: Dialect,
) -> list[str]:
    """Note the server options that PasteDeploy removed from the section because [DEFAULT] has the same key."""
    return [
        place.hidden(key, text, option.show(values[option.name]) if option.field else "")
        for key, option in (*BY_NAME.items(), *dialect.options.items())
        if not option.inherited and not any(name in local for name in option.names)
        for text in [_shown_raw(inherited.get(key) or "")]
        if text
    ]


def _build(
    values: Mapping[str, Any],
    place: SettingsPlace,
    notes: tuple[str, ...],
    dialect: Dialect,
    translated: Translated,
) -> Settings:
    """
    Build the settings: the ``field`` of each row says where its value goes.

    ``translated``: what the dialect of the section says beside these values.
    """
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("", *_PARTS)}
    tls = any(values[name] for name in CERTIFICATES)
    parts["listen"].update(family=translated.family, narrow=dialect.narrow, tls=tls)
    parts[""]["proxy_trust"] = translated.proxy_trust
    shown = []
    for option in OPTIONS:
        if option.field:
            outer, _, inner = option.field.rpartition(".")
            parts[outer][inner] = values[option.name]
            shown.append((option.name, _shown(option, values[option.name])))
    for name, make in _PARTS.items():
        outer, _, inner = name.rpartition(".")
        parts[outer][inner] = make(**parts[name])
    return Settings(
        **parts[""],
        config_file=place.config_file,
        section=place.section,
        notes=notes,
        shown=tuple(shown),
        spelt=place.spelt,
    )


def _shown(option: Option, value: object) -> str:
    return mask(option.name, option.show(value)) if value else option.show(value)

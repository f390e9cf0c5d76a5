"""
Read from the configuration file what Paste Deploy does not tell a factory: the section of a server's options, and the
packages of the application.

PasteDeploy tells a factory the file and the options, but not the section. A file may have several [server:...]
sections, and an error that names the wrong one would mislead. So the file is read once more, to compare its server
sections with the options.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

MAIN = "server:main"

UNKNOWN = "server:..."
"""The name that is shown for a section where the file has several and it is not known which of them is meant."""

_EGG = re.compile(r"\begg:\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_CALL = re.compile(r"\bcall:\s*([A-Za-z_][\w.]*)")
_CONFIG = re.compile(r"\bconfig:\s*([^#\s]+)(?:#(\S*))?")
_FACTORY = re.compile(r"paste\.\w+_factory\d*")
_APPLICATION_KINDS = ("app", "application", "composite", "composit", "pipeline", "filter-app")
_FILTER_KINDS = ("filter",)
"""How the names of the sections of applications and of filters may begin (Paste Deploy)."""

_MOST_SECTIONS = 5
_NOT_OF_APPLICATIONS = ("server", "logger", "handler", "formatter")
_HEADER = re.compile(r"\[([^\]]+)\]")
_SETTING = re.compile(r"(?:get\s+)?([^\s=:#;][^\s=:]*)\s*[=:](.*)")
_GOES_ON = re.compile(r"\s+[^\s#;]")
"""A line on which the value of the key before it goes on."""

_MOST_FILES = 20


def section_of(local: Mapping[str, object], global_conf: Mapping[str, object]) -> str:
    """
    Return the name of the server section whose lines best match ``local``.

    A section matches if all its lines are in ``local``. Among several, the section with most lines is chosen. A section
    that a matching section refers to by ``use`` is not considered. Of equally good sections ``server:main`` is chosen, or
    the first if it is not among them. If no section matches, it is the only one there is; of several, ``server:main``, or
    ``UNKNOWN`` if there is none of that name. The result is ``server:main`` too if the file has no server section or
    cannot be read. This function raises nothing, because its result is only used in messages.
    """
    parser = _parsed(str(global_conf.get("__file__") or ""))
    sections = [section for section in parser.sections() if section == "server" or section.startswith("server:")]
    scores = {section: _score(parser, section, local) for section in sections}
    for section in [section for section in sections if scores[section] >= 0]:
        scores.pop(f"server:{parser.get(section, 'use', fallback='')}", None)
    best = max(scores.values(), default=-1)
    leaders = [section for section, score in scores.items() if score == best]
    if not leaders or MAIN in leaders:
        return MAIN
    return leaders[0] if best >= 0 or len(leaders) == 1 else UNKNOWN


class KeyLines(NamedTuple):
    """
    The lines of a key: that with the key, and those on which its value goes on.

    ``file``, ``section``: where they stand, if that is another file, which the section names with ``use = config:...``.
    """

    numbers: tuple[int, ...]
    file: str = ""
    section: str = ""


_Sections = dict[str, dict[str, KeyLines]]


def lines_of(config_file: str) -> _Sections:
    """
    Return the lines of each key, for each section of a file. Empty for a file that cannot be read.

    A section has also the keys of the section that it refers to by ``use``, in this file or in another one. This function
    raises nothing, because its result is only used in messages.
    """
    return _lines_of(config_file, ())


def _lines_of(file: str, seen: tuple[str, ...]) -> _Sections:
    """``seen``: the files that have led to this one."""
    sections, uses = _own_lines_of(file)

    def whole(name: str, led_here: tuple[str, ...]) -> dict[str, KeyLines]:
        own, use = sections.get(name, {}), uses.get(name, "")
        kind = name.partition(":")[0]
        if not use or name in led_here:
            return own
        if elsewhere := _CONFIG.fullmatch(use):
            return {**_lines_elsewhere(file, elsewhere[1], f"{kind}:{elsewhere[2] or 'main'}", seen), **own}
        return {**whole(f"{kind}:{use}", (*led_here, name)), **own}

    return {name: whole(name, ()) for name in sections}


def _lines_elsewhere(file: str, path: str, section: str, seen: tuple[str, ...]) -> dict[str, KeyLines]:
    """Return the lines of a section of another file, which ``file`` names by a path."""
    here = os.path.dirname(file)
    other = os.path.join(here, path.replace("%(here)s", here))
    if other in seen or len(seen) >= _MOST_FILES:
        return {}
    found = _lines_of(other, (*seen, file)).get(section, {})
    return {key: lines if lines.file else KeyLines(lines.numbers, other, section) for key, lines in found.items()}


def _own_lines_of(file: str) -> tuple[_Sections, dict[str, str]]:
    """Return the lines of each key in each section, and the text behind ``use`` of each section that has one."""
    sections: _Sections = {}
    uses: dict[str, str] = {}
    section = key = ""
    for number, line in enumerate(_text_of(file).splitlines(), 1):
        if header := _HEADER.match(line):
            section, key = header[1], ""
        elif setting := _SETTING.match(line):
            key, text = setting[1], setting[2].strip()
            sections.setdefault(section, {})[key] = KeyLines((number,))
            if key == "use":
                uses[section] = text
        elif key and _GOES_ON.match(line):
            before = sections[section][key]
            sections[section][key] = before._replace(numbers=(*before.numbers, number))
    return sections, uses


def defaults_of(config_file: str) -> dict[str, str]:
    """Return the lines of [DEFAULT] as they stand in a file; empty for a file that cannot be read."""
    return dict(_parsed(config_file).defaults())


def named_in(config_file: str) -> tuple[frozenset[str], frozenset[str]]:
    """
    Return the distributions (``egg:shop``) and the modules (``call:shop.wsgi:main``, ``paste.app_factory = ...``) that a
    file names for its applications, also in files that it refers to. Both are empty for a file that cannot be read.
    """
    distributions: set[str] = set()
    modules: set[str] = set()
    seen: set[str] = set()
    waiting = [os.path.abspath(config_file)] if config_file else []
    while waiting and len(seen) < _MOST_FILES:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        for key, text in _lines_of_applications(file):
            distributions.update(_EGG.findall(text))
            modules.update(_CALL.findall(text))
            if _FACTORY.fullmatch(key):
                modules.add(text.partition(":")[0].strip())
            here = os.path.dirname(file)
            waiting += [os.path.join(here, name.replace("%(here)s", here)) for name, _ in _CONFIG.findall(text)]
    return frozenset(distributions), frozenset(modules)


def factory_named_in(config_file: str) -> tuple[str, str]:
    """
    Return the section that makes a file's main application, and the line in it that names the factory.

    The outermost filter of a pipeline makes what the server is given, so the section is that of the filter. Sections are
    followed inside of this file. Both texts are empty if there is no such section or the file cannot be read.
    """
    parser = _parsed(config_file)
    section, line = "", ""
    kinds: tuple[str, ...]
    kinds, name = _APPLICATION_KINDS, "main"
    for _ in range(_MOST_SECTIONS):
        found = _section_named(parser, kinds, name)
        if not found:
            break
        section, line = found, _naming_line(parser, found)
        key, _, name = line.partition(" = ")
        if key == "pipeline":
            names = name.split() or [""]
            kinds, name = _FILTER_KINDS if len(names) > 1 else _APPLICATION_KINDS, names[0]
        elif key == "filter-with" or section.startswith("filter-app"):
            kinds = _FILTER_KINDS
    return section, line


def _section_named(parser: configparser.RawConfigParser, kinds: tuple[str, ...], name: str) -> str:
    """Return the section with one of the kinds and a name; empty if there is none."""
    wanted = {f"{kind}:{name}" for kind in kinds} | (set(kinds) if name == "main" else set())
    return next((section for section in parser.sections() if section in wanted), "")


def _naming_line(parser: configparser.RawConfigParser, section: str) -> str:
    """Return the line of a section that decides what makes its application; empty if there is none."""
    lines = dict(parser.items(section))
    keys: list[str] = [key for key in ("filter-with", "pipeline", "use") if key in lines]
    keys += [key for key in lines if _FACTORY.fullmatch(key)]
    return f"{keys[0]} = {' '.join(lines[keys[0]].split())}" if keys else ""


def _lines_of_applications(file: str) -> list[tuple[str, str]]:
    parser = _parsed(file)
    sections = [name for name in parser.sections() if not name.startswith(_NOT_OF_APPLICATIONS)]
    return [line for section in sections for line in parser.items(section)]


def _parsed(file: str) -> configparser.RawConfigParser:
    """Read a file. The parser is empty if the file cannot be read."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(_text_of(file))
    except (ValueError, configparser.Error):
        return configparser.RawConfigParser()
    return parser


def _text_of(file: str) -> str:
    """Return the text of a file; empty for a file that cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except (OSError, ValueError):
        return ""


def _score(parser: configparser.RawConfigParser, section: str, local: Mapping[str, object]) -> int:
    """Count the lines of the section that are in ``local``. Returns -1 if a line is missing that should be there."""
    score = 0
    for key, text in parser.items(section):
        name = key[4:].strip() if key.startswith("get ") else key
        if key in parser.defaults() or key in ("use", "require") or key.startswith(("set ", "paste.server_")):
            continue
        if name not in local or ("%" not in text and name == key and local[name] != text):
            return -1
        score += 1
    return score

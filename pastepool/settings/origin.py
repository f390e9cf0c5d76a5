"""
Find out from which section of the file the options of a server came.

PasteDeploy tells a factory the file and the options, but not the section. A file may have several [server:...]
sections, and an error that names the wrong one would mislead. So the file is read once more, to compare its server
sections with the options.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping

MAIN = "server:main"


def section_of(local: Mapping[str, object], global_conf: Mapping[str, object]) -> str:
    """
    Return the name of the server section whose lines best match ``local``.

    A section matches if all its lines are in ``local``. Among several, the section with most lines is chosen. A section
    that a matching section refers to by ``use`` is not considered. If no section matches, all count as equally good.
    Of equally good sections ``server:main`` is chosen, or the first if it is not among them. The result is
    ``server:main`` too if the file has no server section or cannot be read. This function raises nothing, because its
    result is only used in messages.
    """
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        with open(str(global_conf.get("__file__") or ""), encoding="utf-8", errors="replace") as file:
            parser.read_file(file)
    except (OSError, configparser.Error):
        return MAIN
    sections = [section for section in parser.sections() if section == "server" or section.startswith("server:")]
    scores = {section: _score(parser, section, local) for section in sections}
    for section in [section for section in sections if scores[section] >= 0]:
        scores.pop(f"server:{parser.get(section, 'use', fallback='')}", None)
    best = max(scores.values(), default=-1)
    leaders = [section for section, score in scores.items() if score == best]
    return leaders[0] if leaders and MAIN not in leaders else MAIN


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

"""
Which section of the file a server's options came from.

PasteDeploy tells a factory the file and the options, not the section. A complaint that names the wrong one of several
[server:...] sections is worse than none, so the file is looked at once more, for its headings only.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping

MAIN = "server:main"


def section_of(local: Mapping[str, object], global_conf: Mapping[str, object]) -> str:
    """
    Name the server section whose own lines best match ``local``.

    The section every line of which arrived in ``local``, and of those the one with most lines; a section that another
    one builds on by ``use`` gives way to it. ``server:main`` where that is one of the best, or where the file cannot be
    read. Never raises: it only words a message.
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
    """Count the section's lines found in ``local``; -1 if one that should have arrived did not."""
    score = 0
    for key, text in parser.items(section):
        name = key[4:].strip() if key.startswith("get ") else key
        if key in parser.defaults() or key in ("use", "require") or key.startswith(("set ", "paste.server_")):
            continue
        if name not in local or ("%" not in text and name == key and local[name] != text):
            return -1
        score += 1
    return score

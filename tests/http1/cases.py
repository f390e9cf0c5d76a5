r"""
The corpus: messages as files, and beside each what has to come of it.

``corpus/valid/NNN-name.http`` holds bytes as they go over the wire, ``NNN-name.expect`` the requests in them:
paragraphs, each with a request line and then ``key: value`` lines for what is not the default (path and query of the
target, kept alive, no content). Keys in capitals are the fields, all of them. Values are latin-1, backslash escapes
and all. In ``corpus/invalid`` the last paragraph is ``refused: STATUS words of the reason``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tests.http1.feeding import Seen

CORPUS = Path(__file__).parent / "corpus"


class Case(NamedTuple):
    """``refused``: status and some words of the reason; None for a valid message."""

    data: bytes
    requests: tuple[Seen, ...]
    refused: tuple[int, str] | None


def names(kind: str) -> list[str]:
    """All cases of a kind ("valid", "invalid")."""
    return sorted(path.stem for path in (CORPUS / kind).glob("*.http"))


def load(kind: str, name: str) -> Case:
    """Read one case."""
    data = (CORPUS / kind / f"{name}.http").read_bytes()
    text = (CORPUS / kind / f"{name}.expect").read_text(encoding="ascii")
    paragraphs = [paragraph.strip("\n") for paragraph in text.split("\n\n")]
    refused = None
    if paragraphs[-1].startswith("refused: "):
        _, status, words = paragraphs.pop().split(" ", 2)
        refused = int(status), words
    return Case(data, tuple(_request(paragraph.split("\n")) for paragraph in paragraphs), refused)


def _request(lines: list[str]) -> Seen:
    method, rest = _unescaped(lines[0]).split(" ", 1)
    target, protocol = rest.rsplit(" ", 1)
    entries = dict(_entry(line) for line in lines[1:])
    fields = {key: entries.pop(key) for key in list(entries) if key.isupper()}
    path, _, query = target.partition("?")
    seen = Seen(
        method,
        target.encode("latin-1"),
        entries.pop("path", path).encode("latin-1"),
        entries.pop("query", query).encode("latin-1"),
        protocol.removeprefix("HTTP/"),
        entries.pop("keep-alive", "yes") == "yes",
        entries.pop("expects-continue", "no") == "yes",
        entries.pop("content", "").encode("latin-1"),
        fields,
    )
    assert not entries, f"unknown keys: {list(entries)}"
    return seen


def _entry(line: str) -> tuple[str, str]:
    key, colon, value = line.partition(":")
    assert colon, line
    return key, _unescaped(value[1:])


def _unescaped(text: str) -> str:
    return text.encode("ascii").decode("unicode_escape")

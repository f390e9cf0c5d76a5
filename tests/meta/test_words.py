"""One word, one meaning: what carries a word exists, no two types share a name, and rival words are no names."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from pastepool.settings.options import BY_NAME
from tests.meta.repository import PACKAGE, ROOT, module_name, sources, tree

WORDS = (ROOT / "docs" / "discussion" / "words.md").read_text(encoding="utf-8")
CODE = [path for path in sources() if not {PACKAGE / "demo", PACKAGE / "adapters"} & set(path.parents)]
"""
The demonstration is an application like any other: it is not the package's to name things. The adapters have the names
of the libraries that they stand for.
"""


def rows(columns: int) -> list[list[str]]:
    """The rows of all tables with so many columns, without their headings."""
    lines = [line for line in WORDS.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if len(row) == columns and row[0] not in ("word", "in the INI file")]


def in_code_letters(text: str) -> list[str]:
    """The names a cell has between backticks."""
    return re.findall(r"`([^`]+)`", text)


def assigned(node: ast.stmt) -> list[str]:
    """Names that a statement gives a value: constants, type aliases, fields, members of an enumeration."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def defined() -> Iterator[tuple[str, bool]]:
    """Every public name at the top of a module, ``Class.member`` too; and whether it is a class or a type alias."""
    for path in CODE:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                yield node.name, True
                for member in node.body:
                    names = [member.name] if isinstance(member, ast.FunctionDef) else assigned(member)
                    yield from ((f"{node.name}.{name}", False) for name in names)
            elif isinstance(node, ast.FunctionDef):
                yield node.name, False
            else:
                yield from ((name, bool(re.fullmatch(r"[A-Z][a-z]\w*", name))) for name in assigned(node))


def names_in_code() -> set[str]:
    """Every name of the package that is seen outside of the function it stands in, in words: ``KillLadder`` is two."""
    found = set()
    for path in CODE:
        found.update(module_name(path).split("."))
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                found.add(node.name)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
            else:
                found.update(assigned(node) if isinstance(node, ast.stmt) else ())
    return {"_".join(re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)).lower() for name in found}


@pytest.mark.parametrize("row", rows(4), ids=lambda row: row[0])
def test_word_is_carried_by_what_exists(row: list[str]) -> None:
    """Each word names at least one class or function, and each that it names is public and in the package."""
    carriers = in_code_letters(row[2])
    known = {name for name, _ in defined()}
    assert carriers
    assert [name for name in carriers if name not in known or name.startswith("_") or "._" in name] == []


def test_no_word_stands_twice() -> None:
    """A word has one row."""
    assert len(rows(4)) >= 50
    assert [word for word, count in Counter(row[0] for row in rows(4)).items() if count > 1] == []


def test_no_two_classes_or_types_share_a_name() -> None:
    """Each public class and type alias of the package has a name of its own."""
    counts = Counter(name for name, is_type in defined() if is_type and not name.startswith("_"))
    assert len(counts) >= 100
    assert [name for name, count in counts.items() if count > 1] == []


def test_rival_words_do_not_occur() -> None:
    """No module, class, function, field, attribute or parameter is called by a word that stands in the last column."""
    rivals = {word for row in rows(4) for word in in_code_letters(row[3])}
    assert {"job", "arbiter", "reaper", "executioner", "vantage", "chronicle"} <= rivals
    used = [(name, word) for name in names_in_code() for word in rivals if re.search(rf"(?:^|_){word}s?(?:_|$)", name)]
    assert used == []


def test_rival_words_would_be_found() -> None:
    """The names that are searched are those of the package, taken apart into words."""
    assert {"kill_ladder", "event_journal", "look_again_at", "window", "phase"} <= names_in_code()


@pytest.mark.parametrize("row", rows(2), ids=lambda row: row[0].strip("`"))
def test_option_is_translated_as_the_page_says(row: list[str]) -> None:
    """The name in the INI file leads to the field that the page names."""
    (name,), (field,) = in_code_letters(row[0]), in_code_letters(row[1])
    assert BY_NAME[name].field == field


def test_every_option_of_the_pool_is_on_the_page() -> None:
    """No number of the pool's policy has a translation that the page leaves out."""
    translated = {option.name for option in BY_NAME.values() if option.field.startswith("pool.")}
    assert translated <= {in_code_letters(row[0])[0] for row in rows(2)}

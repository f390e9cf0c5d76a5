"""References lead somewhere: the clauses that are cited, the tests that hold them, the pages and decisions that are named."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.meta.repository import ROOT, texts, tree

CONTRACT = ROOT / "docs" / "reference" / "contract.md"
CLAUSE = r"[PDCIF]\d+"
CITED = re.compile(rf"\bcontract\s+({CLAUSE}(?:(?:,\s|\sto\s|\sand\s){CLAUSE})*)", re.IGNORECASE)
NAMED = re.compile(r"_([pdcif])(\d+)(?=_)", re.IGNORECASE)
PAGE = re.compile(r"\b(docs/[\w/-]+\.md)(?:`*,\s\"([^\"]+)\")?")
FILE = re.compile(r"`((?:pastepool|tests|docs|benchmarks)/[\w./-]+\.\w+)(?:::(\w+))?`")
DECISION = re.compile(r"\b(?:decision|ADR) (\d+)\b")


def clauses() -> dict[str, str]:
    """Each clause of the contract by its number, with all that stands below its heading."""
    parts = re.split(rf"^### ({CLAUSE})\. .+$", CONTRACT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named_in(citation: str) -> list[str]:
    """``P1, P5 to P7`` as the clauses it means."""
    found: list[str] = []
    for first, last in re.findall(rf"({CLAUSE})(?:\sto\s({CLAUSE}))?", citation):
        letter, end = first[0], int((last or first)[1:])
        assert not last or last[0] == letter, citation
        found += [f"{letter}{number}" for number in range(int(first[1:]), end + 1)]
    return found


def prose() -> Iterator[tuple[Path, str]]:
    """Every text of the repository but the changelog and this test, with its path; comment signs do not break a citation."""
    for path in texts():
        if path not in (Path(__file__), ROOT / "CHANGELOG.md"):
            yield path, re.sub(r"\n[ #]*", "\n", path.read_text(encoding="utf-8", errors="replace"))


def functions_of(path: Path) -> set[str]:
    """The test functions of a file."""
    return {node.name for node in tree(path).body if isinstance(node, ast.FunctionDef)}


def test_contract_has_every_clause_and_an_anchor_for_each() -> None:
    """P1 to P18, D1 to D6, C1 to C5, I1 to I6 and F1 to F6, in this order, and each can be linked to by its number."""
    sizes = {"P": 18, "D": 6, "C": 5, "I": 6, "F": 6}
    expected = [f"{letter}{number}" for letter, size in sizes.items() for number in range(1, size + 1)]
    assert list(clauses()) == expected
    anchors = re.findall(r"^\((\w+)\)=\n### (\w+)\.", CONTRACT.read_text(encoding="utf-8"), re.MULTILINE)
    assert anchors == [(clause.lower(), clause) for clause in expected]


@pytest.mark.parametrize("clause", clauses())
def test_clause_is_held_by_tests_that_exist_or_says_not_yet(clause: str) -> None:
    """Each clause names a test function or a test file that is there, or says plainly that it is not kept yet."""
    text = clauses()[clause]
    assert "*Held by*" in text or "*Not yet*" in text
    held = re.findall(r"`(tests/[^`]+)`", text)
    assert bool(held) == ("*Held by*" in text)
    for name in held:
        path, _, function = name.partition("::")
        assert (ROOT / path).is_file(), name
        assert path.rpartition("/")[2].startswith("test_"), name
        assert not function or function in functions_of(ROOT / path), name


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "compat").glob("test_*.py")), ids=lambda path: path.stem)
def test_clauses_in_names_of_tests_exist(path: Path) -> None:
    """A test of compatibility that is named after a clause is named after one that is in the contract."""
    named = [f"{letter.upper()}{number}" for name in functions_of(path) for letter, number in NAMED.findall(name)]
    assert [clause for clause in named if clause not in clauses()] == []


def test_every_cited_clause_exists() -> None:
    """Each "contract P7" in code, tests and manual is a clause of the contract; so is every clause of a list or a range."""
    known = clauses()
    cited = [(path, citation) for path, text in prose() for citation in CITED.findall(text)]
    assert len(cited) >= 50
    assert [(path, citation) for path, citation in cited if not set(named_in(citation)) <= set(known)] == []


def test_ranges_of_clauses_are_read_whole() -> None:
    """What a citation means, where it names one clause, some, and a range."""
    assert named_in("P2") == ["P2"]
    assert named_in("D5, I3, P11") == ["D5", "I3", "P11"]
    assert named_in("P1, P5 to P7 and P18") == ["P1", "P5", "P6", "P7", "P18"]


def test_every_page_that_is_named_exists() -> None:
    """A page of the manual named by its path is there, and so is the heading that is quoted behind it."""
    named = {(path, page, heading) for path, text in prose() for page, heading in PAGE.findall(text)}
    assert len(named) >= 10
    for path, page, heading in named:
        assert (ROOT / page).is_file(), (path, page)
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
        assert not heading or heading in headings, (path, page, heading)


def test_every_file_and_test_that_a_page_names_exists() -> None:
    """A path between backticks on a page leads to a file, and a test named behind it is in that file."""
    pages = [(path, text) for path, text in prose() if path.suffix == ".md" and "_generated" not in path.parts]
    named = {(page, *found) for page, text in pages for found in FILE.findall(text)}
    assert len(named) >= 50
    for page, name, function in named:
        assert (ROOT / name).is_file(), (page, name)
        assert not function or function in functions_of(ROOT / name), (page, name, function)


def test_every_decision_that_is_named_exists() -> None:
    """ "Decision 7" has a page with that number."""
    numbers = {int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    named = {(path, int(number)) for path, text in prose() for number in DECISION.findall(text)}
    assert named
    assert [(path, number) for path, number in named if number not in numbers] == []


def test_nothing_cites_a_paper_that_is_not_here() -> None:
    """The project's own design papers are not in the repository, so nothing refers to them by a number of theirs."""
    assert [(path, text) for path, text in prose() for text in re.findall(r"\bDESIGN(?:\.md)?,? \d+", text)] == []

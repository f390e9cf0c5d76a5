"""The files of the page themselves, read and not run: what a reviewer would look for in each, and no browser needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.stage import STATIC
from tests.server.commands import ROOT

SCRIPTS = sorted(STATIC.glob("*.js"))
MARKUP_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTML|srcdoc"
    r"|\beval\(|new Function|javascript:|setAttribute\(\s*[\"'](style|on)"
)
SLOTS = (
    "head note strip processes workers stacks backlog latency series events slowest process settings flame actions"
    " taken".split()
)


def name_of(path: Path) -> str:
    """What a test is called after."""
    return path.name


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_script_makes_no_markup_from_text(script: Path) -> None:
    """No script has a way to turn a text into elements, code or a style attribute."""
    assert not MARKUP_FROM_TEXT.search(script.read_text(encoding="utf-8"))


@pytest.mark.parametrize("script", SCRIPTS, ids=name_of)
def test_script_is_small_and_says_what_it_is_for(script: Path) -> None:
    """Every script begins with what it is for, and can be read in one sitting."""
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("/*")
    assert len(lines) <= 250
    assert max(map(len, lines)) <= 120


def test_every_import_is_a_file_beside() -> None:
    """Scripts import from each other alone, by relative names that exist."""
    found = 0
    for script in SCRIPTS:
        for target in re.findall(r"from \"([^\"]+)\"|import\(\"([^\"]+)\"\)", script.read_text(encoding="utf-8")):
            name = "".join(target)
            assert name.startswith("./"), name
            assert (STATIC / name).is_file(), f"{script.name} imports {name}"
            found += 1
    assert found > 50


def test_frame_has_every_slot_once_and_nothing_inline() -> None:
    """The frame has the slots the server fills, in sections of the same name, and nothing inline that runs."""
    frame = (STATIC / "page.html").read_text(encoding="utf-8")
    assert re.findall(r"<!--slot:([a-z]+)-->", frame) != []
    assert sorted(re.findall(r"<!--slot:([a-z]+)-->", frame)) == sorted(SLOTS)
    for name in SLOTS:
        assert name == "head" or f'<section id="{name}"' in frame, name
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", frame)
    for address in re.findall(r'(?:src|href)="([^"#]+)"', frame):
        assert address == "." or (STATIC.parent / address).is_file(), address


def test_style_sheet_asks_for_nothing() -> None:
    """The style sheet loads no font, picture or other sheet."""
    sheet = (STATIC / "style.css").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|@font-face", sheet)


def test_colours_come_in_pairs() -> None:
    """Every colour is chosen once, light and dark, in the first rule; the rest refer to it."""
    sheet = (STATIC / "style.css").read_text(encoding="utf-8")
    first, rest = sheet.split("}", 1)
    assert first.count("light-dark(") > 15
    assert not re.search(r"#[0-9a-f]{3,8}\b", rest, re.IGNORECASE)


def test_pictures_of_the_manual_are_small_and_used() -> None:
    """Every photograph stands in a page of the manual or in the README, and loads quickly."""
    pages = "".join(page.read_text(encoding="utf-8") for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
    pictures = sorted((ROOT / "docs" / "_static").glob("*.png"))
    assert len(pictures) > 5
    for picture in pictures:
        assert f"_static/{picture.name}" in pages, picture.name
        assert picture.stat().st_size < 300_000, picture.name

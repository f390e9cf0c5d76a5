"""What the manual and the configuration files say is what the code does."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from paste.deploy import loadwsgi

from pastepool import entrypoints
from pastepool.settings import Settings, read
from pastepool.settings.endpoint import Endpoint
from pastepool.settings.options import OPTIONS
from pastepool.wsgi.environ import connection_prototype, listener_prototype
from tests.meta.repository import ROOT, sources, sphinx_extension, tree

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
INI_FILES = ("development.ini", "production.ini")


def page(name: str) -> str:
    """The source of one page of the manual."""
    return (DOCS / name).read_text(encoding="utf-8")


def strings_in_code() -> set[str]:
    """Every string constant of the package."""
    nodes = (node for path in sources() for node in ast.walk(tree(path)))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.fixture(scope="module")
def option_table() -> Iterator[ModuleType]:
    """The Sphinx extension that writes the reference of options."""
    with sphinx_extension("option_table") as module:
        yield module


def test_reference_has_every_option_once(option_table: ModuleType) -> None:
    """Each row of the table, and nothing else, is an entry of the reference, with its sentence and its aliases."""
    text = option_table.option_markdown()
    assert re.findall(r"^```\{confval\} (\S+)$", text, re.MULTILINE) == [option.name for option in OPTIONS]
    for option in OPTIONS:
        assert option.doc in text
        assert all(f"`{alias}`" in text for alias in option.names[1:])
    assert option_table.MARK in page("reference/options.md")


def test_manual_names_only_options_that_exist() -> None:
    """Every option another page refers to is in the table."""
    known = {option.name for option in OPTIONS}
    named = {name for path in PAGES for name in re.findall(r"\{confval\}`([^`]+)`", path.read_text(encoding="utf-8"))}
    assert len(named) >= 20
    assert named <= known


ASK_FOR_LOGGER = ("getLogger", "own_logger", "scribbled")


def test_manual_lists_every_logger() -> None:
    """The page of loggers has exactly the loggers the code asks for."""
    asked = {
        node.args[0].value
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ASK_FOR_LOGGER
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    asked |= {str(option.default) for option in OPTIONS if option.name == "threadpool_logger"}
    listed = set(re.findall(r"^\| `([^`]+)` \|", page("reference/loggers.md"), re.MULTILINE))
    assert listed == asked


def test_manual_lists_every_environ_key() -> None:
    """The page of environ keys has every key the server sets, and of ours no other."""
    text = page("reference/environ.md")
    listener = listener_prototype(scheme="http", server_name="a", server_port=1, software="b", errors=None, extra={})
    keys = set(connection_prototype(listener, "c", 2)) | {"CONTENT_TYPE", "CONTENT_LENGTH"}
    assert {key for key in keys if f"`{key}`" not in text} == set()
    ours = {text for text in strings_in_code() if re.fullmatch(r"(pastepool|paste\.httpserver)\.[a-z_]+", text)}
    listed = set(re.findall(r"^`([^`]+)`$", text, re.MULTILINE))
    assert listed <= ours


def test_manual_lists_the_exit_statuses() -> None:
    """The page of exit statuses has those of the entry point."""
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", page("reference/exit-statuses.md"), re.MULTILINE)}
    assert {0, entrypoints.SETTINGS_STATUS, entrypoints.START_STATUS} <= listed
    assert entrypoints.TRACEBACK_VARIABLE in page("reference/exit-statuses.md")


def test_manual_lists_every_field_of_the_state() -> None:
    """The page of the JSON names each field that the sample state has, at whatever depth."""
    sample = json.loads((ROOT / "tests" / "watch" / "sample-v1.json").read_text(encoding="utf-8"))
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", page("reference/watch-api.md")))))
    fields = set(fields_of(sample))
    assert len(fields) >= 100
    assert fields - named == set()


def fields_of(value: Any) -> Iterator[str]:
    """The names of all fields in a value of JSON."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from fields_of(each)


def test_decisions_are_numbered_and_listed() -> None:
    """Each decision has the next number and stands in the index."""
    names = sorted(path.stem for path in (DOCS / "adr").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    index = page("adr/index.md")
    assert [name for name in names if name not in index] == []
    for name in names:
        headings = re.findall(r"^## (.+)$", page(f"adr/{name}.md"), re.MULTILINE)
        assert headings == ["Context", "Choice", "Cost", "What would change our mind"], name


def test_links_of_the_readme_exist() -> None:
    """README, CONTRIBUTING and CHANGELOG link to files that are there."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
        assert [link for link in links if not (ROOT / link).exists()] == [], name


def test_commands_of_the_readme_exist() -> None:
    """Every ``make`` target that README and CONTRIBUTING name is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("README.md", "CONTRIBUTING.md"):
        named = set(re.findall(r"(?:`|\$ )make (\w+)", (ROOT / name).read_text(encoding="utf-8")))
        assert named
        assert [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == [], name


def loaded(name: str, **variables: str) -> Settings:
    """The settings a file at the top of the repository gives, with variables from the command line."""
    context: Any = loadwsgi.loadcontext(loadwsgi.SERVER, f"config:{ROOT / name}", global_conf=variables)
    return read(context.local_conf, context.global_conf)


@pytest.mark.parametrize("name", INI_FILES)
def test_configuration_files_are_clean(name: str) -> None:
    """Both files load without a remark, serve this machine alone, and move to another port by a variable."""
    settings = loaded(name)
    assert settings.notes == ()
    assert settings.listen == (Endpoint("127.0.0.1", 8080),)
    assert loaded(name, http_port="9999", http_host="::1").listen == (Endpoint("::1", 9999),)


def test_production_file_explains_every_option() -> None:
    """In production.ini each option of the server stands below a comment of its own."""
    lines = (ROOT / "production.ini").read_text(encoding="utf-8").splitlines()
    begin = lines.index("[server:main]") + 2
    end = lines.index("[app:main]")
    options = [number for number in range(begin, end) if lines[number] and not lines[number].startswith("#")]
    assert len(options) >= 12
    assert [lines[number] for number in options if not lines[number - 1].startswith("# ")] == []


@pytest.mark.parametrize("path", [Path(name) for name in INI_FILES], ids=str)
def test_configuration_files_name_real_loggers(path: Path) -> None:
    """Each logger a file configures is listed in the manual."""
    named = re.findall(r"^qualname = (\S+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert [name for name in named if f"`{name}`" not in page("reference/loggers.md")] == []

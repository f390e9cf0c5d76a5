"""
Name the tests that cannot pass on a Python that runs without the GIL, each with the reason. ``conftest`` skips them there.

There are no kills there unless an option switches them on, and then nothing is promised of where they land; and the stacks
of running threads are not read (docs/discussion/free-threading.md). A name that no test has is an error, so that the list
stays true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

KILLS = "nothing is killed without the GIL, unless an option says so"
STACKS = "stacks of running threads are not read without the GIL"
HELD = "there is no GIL to keep"

NEED_IT: dict[str, str] = {}
"""By a path below ``tests``, or a path and the name of a test without its parameters."""


def reason_for(node: str) -> str:
    """Return why a test is skipped; empty if it is not. ``node``: the id that pytest gives it."""
    path, _, name = node.removeprefix("tests/").partition("::")
    return NEED_IT.get(path) or NEED_IT.get(f"{path}::{name.partition('[')[0]}") or ""


def unknown(nodes: Iterable[str]) -> Iterator[str]:
    """Return the names of which no test is among these. Files that are not among them at all do not count."""
    tests = {node.removeprefix("tests/").partition("[")[0] for node in nodes}
    files = {test.partition("::")[0] for test in tests}
    for name in NEED_IT:
        if name.partition("::")[0] in files and name not in tests | files:
            yield name

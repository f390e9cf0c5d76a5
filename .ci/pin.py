"""
Write ``constraints.txt`` anew: the newest version of every dependency that setup.cfg allows, on each CPython.

Nothing is installed: pip only says what it would install. Where two CPythons need different versions, a marker tells
them apart. The libraries of the extra ``databases`` are asked for on one CPython only. The CPythons are those that
``pythons.py`` finds, and the one that runs this script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pythons

FILE = Path("constraints.txt")
HEAD = """\
# The versions with which everything has been tested. pip reads this file in every target of the Makefile and in tox.
# `make pins` writes it anew.
"""


def resolve(python: str, extras: str) -> dict[str, str]:
    """Return the version of each distribution that pip would install for these extras, by its name."""
    free = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", "--python", python, folder], check=True)
        command = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        answer = subprocess.run(
            [*command, "--report", "-", f".[{extras}]"], stdout=subprocess.PIPE, check=True, env=free
        )
    found = [each["metadata"] for each in json.loads(answer.stdout)["install"]]
    return {each["name"].lower().replace("_", "-"): each["version"] for each in found if each["name"] != "pastepool"}


def lines(resolved: dict[tuple[int, int], dict[str, str]]) -> list[str]:
    """
    Return the lines of the file.

    A version that holds for some CPythons only has a marker. The first one holds for all older ones too, the last one for
    all newer ones.
    """
    versions = sorted(resolved)
    told = []
    for name in sorted({name for each in resolved.values() for name in each}):
        spans: list[tuple[str, tuple[int, int]]] = []
        for version in versions:
            pinned = resolved[version].get(name)
            if pinned is not None and (not spans or spans[-1][0] != pinned):
                spans.append((pinned, version))
        for (pinned, since), (_, until) in zip(spans, [*spans[1:], ("", (0, 0))], strict=True):
            marks = [f'python_version >= "{since[0]}.{since[1]}"'] if (pinned, since) != spans[0] else []
            marks += [f'python_version < "{until[0]}.{until[1]}"'] if any(until) else []
            told.append(f"{name}=={pinned}" + (f" ; {' and '.join(marks)}" if marks else ""))
    return told


def main() -> int:
    """Ask pip on every CPython and write the file."""
    ours = {f"py{sys.version_info[0]}{sys.version_info[1]}": sys.executable, **pythons.find()}
    resolved = {}
    for name, python in ours.items():
        if not name.endswith("t"):
            print("asking pip for", python, flush=True)
            resolved[int(name[2]), int(name[3:])] = resolve(
                python, "dev,databases" if python == sys.executable else "dev"
            )
    FILE.write_text(HEAD + "\n".join(lines(resolved)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

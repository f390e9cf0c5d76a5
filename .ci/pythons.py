"""
Run tests, by tox, on every CPython of this machine that setup.cfg names and this one is not.

Which tests: pytest's arguments, or else what of the fast suite could differ.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from configparser import ConfigParser

QUESTION = (
    "import sys, sysconfig; print(sys.implementation.name, '%d%d' % sys.version_info[:2], "
    "sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
)
TESTS = (
    *("tests/core", "tests/http1", "tests/wsgi", "tests/runtime", "tests/testing", "tests/compat"),
    *(f"tests/server/test_{name}.py" for name in ("conversation", "overload", "stop", "drills")),
)
"""What could differ from one CPython to another; manual, commands, page and the longer rehearsals run on one of them."""

PLACES = (
    "~/.pyenv/versions/3.*/bin/python",
    "~/.local/share/uv/python/cpython-3.*/bin/python",
    "/opt/python/*/bin/python",
)


def wanted() -> list[str]:
    """The label ``pythons`` of tox: py310 and so on, without the one that runs this."""
    config = ConfigParser()
    config.read("setup.cfg")
    names = re.findall(r"py(3\d+)", config["tox:tox"]["labels"].split("pythons =")[1])
    own = "{}{}".format(*sys.version_info[:2])
    return [name for name in names if name != own]


def version(python: str) -> str | None:
    """What ``python`` is (``312``), or None when it does not run or is no ordinary CPython."""
    try:
        answer = subprocess.run([python, "-c", QUESTION], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    implementation, digits, free_threaded = (answer.stdout.split() or ["", "", "1"])[:3]
    return digits if implementation == "cpython" and free_threaded == "0" else None


def candidates(names: list[str]) -> list[str]:
    """Interpreters by the usual names on PATH, then where version managers put theirs."""
    on_path = [shutil.which(f"python{name[0]}.{name[1:]}") for name in names]
    managed = [path for place in PLACES for path in sorted(glob.glob(os.path.expanduser(place)))]
    return [path for path in on_path if path] + managed


def main() -> int:
    """Find them, say which, and hand over to tox."""
    names = wanted()
    found: dict[str, str] = {}
    for python in candidates(names):
        digits = version(python)
        if digits in names:
            found.setdefault(str(digits), python)
    if not found:
        print("no other CPython on this machine")
        return 0
    print("also on", ", ".join(path for _, path in sorted(found.items())), flush=True)
    command = [sys.executable, "-m", "tox", "run-parallel", "--parallel-no-spinner"]
    command += ["--skip-missing-interpreters", "false", "-e", ",".join(f"py{digits}" for digits in sorted(found))]
    return subprocess.run([*command, "--discover", *found.values(), "--", *(sys.argv[1:] or TESTS)]).returncode


if __name__ == "__main__":
    sys.exit(main())

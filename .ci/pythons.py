"""
Run tests with tox on every other CPython of this machine that setup.cfg names.

The arguments go to pytest. Without arguments, it runs the part of the fast suite that could differ between CPythons.
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
"""
The tests whose result could differ between CPythons. The tests of the manual, the commands, the page and the longer
drills run on one CPython only.
"""

PLACES = (
    "~/.pyenv/versions/3.*/bin/python",
    "~/.local/share/uv/python/cpython-3.*/bin/python",
    "/opt/python/*/bin/python",
)


def wanted() -> list[str]:
    """Return the versions in the label ``pythons`` of tox, such as 310, without the one that runs this script."""
    config = ConfigParser()
    config.read("setup.cfg")
    names = re.findall(r"py(3\d+)", config["tox:tox"]["labels"].split("pythons =")[1])
    own = "{}{}".format(*sys.version_info[:2])
    return [name for name in names if name != own]


def version(python: str) -> str | None:
    """Return the version of an interpreter (``312``). None when it does not run or is not a CPython with a GIL."""
    try:
        answer = subprocess.run([python, "-c", QUESTION], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    implementation, digits, free_threaded = (answer.stdout.split() or ["", "", "1"])[:3]
    return digits if implementation == "cpython" and free_threaded == "0" else None


def candidates(names: list[str]) -> list[str]:
    """Return the interpreters on PATH by their usual names, then those in the folders of version managers."""
    on_path = [shutil.which(f"python{name[0]}.{name[1:]}") for name in names]
    managed = [path for place in PLACES for path in sorted(glob.glob(os.path.expanduser(place)))]
    return [path for path in on_path if path] + managed


def main() -> int:
    """Find the interpreters, print which ones, and run tox on them. Returns the exit status of tox."""
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

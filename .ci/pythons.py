"""
Run tests with tox on every other CPython that setup.cfg names and that can be had.

Those on this machine are used as they are; the others are fetched from Debian's suite sid (``sid.py``). A line says which
could not be had, and why. A free-threaded build that is on this machine is taken too, from 3.14 on: for 3.13 there are no
wheels of what the tests need. ``PYTHONS`` names interpreters that lie elsewhere, as PATH names folders.

The arguments go to pytest. Without arguments, it runs the part of the fast suite that could differ between CPythons.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from configparser import ConfigParser
from pathlib import Path

import sid

QUESTION = (
    "import sys, sysconfig; print(sys.implementation.name, '%d%d' % sys.version_info[:2], "
    "sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
)
PROCESSES = {
    "desk": "kill_reaches_the_process_that_it_names_and_no_other",
    "failures": "workers_finish_and_leave_when_the_parent_is_killed",
    "preload": """
        workers_share_the_memory_of_the_application killed_mold_is_made_again_by_the_next_worker
        workers_and_mold_end_with_a_killed_parent
    """,
    "serving": "each_command_serves_with_several_processes reload_brings_new_code",
    "watchdog": "worker_that_stands_still_is_replaced_and_then_killed",
}
"""
Of the tests of several processes, by file, one for each thing that a CPython could do in another way: fork, preload,
reload, kill, stand still. All of them take six minutes.
"""

TESTS = (
    *(f"tests/adapters/test_{name}_pool.py" for name in ("cheroot", "flup", "twisted")),
    *("tests/core", "tests/http1", "tests/wsgi", "tests/runtime", "tests/testing", "tests/compat"),
    *("tests/fast/test_same_outcome.py", "tests/pooling"),
    *(
        f"tests/server/test_{name}.py"
        for name in ("conversation", "overload", "stop", "drills", "tls", "certificates_served")
    ),
    *(f"tests/process/test_{file}.py::test_{name}" for file, names in PROCESSES.items() for name in names.split()),
)
"""
The tests whose result could differ between CPythons. The tests of the manual, the commands, the page and the longer
drills run on one CPython only.
"""

PATIENCE = 120
"""Seconds for one question to an interpreter. It takes 0.1 s, and took 47 s on a machine with many busy processes."""

AT_ONCE = "2"
"""
How many interpreters run the tests at the same time. The tests of one wait half of their time, so two processors are
busy with two. With three, tests with real threads wait for a processor longer than they wait for the code.
"""

PLACES = (
    "~/.pyenv/versions/3.*/bin/python",
    "~/.local/share/uv/python/cpython-3.*/bin/python",
    "/opt/python/*/bin/python",
)


def wanted() -> list[str]:
    """Return the versions in the label ``pythons`` of tox, such as 3.10, without the one that runs this script."""
    config = ConfigParser()
    config.read("setup.cfg")
    names = re.findall(r"py3(\d+)", config["tox:tox"]["labels"].split("pythons =")[1])
    own = "{}.{}".format(*sys.version_info[:2])
    return [version for name in names if (version := f"3.{name}") != own]


def environment(python: str) -> str | None:
    """
    Return the name of tox's environment for an interpreter: ``py312``, ``py314t`` for one without a GIL.

    None when it does not run or is no CPython.
    """
    try:
        answer = subprocess.run([python, "-c", QUESTION], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    implementation, digits, free_threaded = (answer.stdout.split() or ["", "", "0"])[:3]
    return f"py{digits}{'t' * int(free_threaded)}" if implementation == "cpython" else None


def candidates(versions: Iterable[str]) -> list[str]:
    """Return the interpreters in ``PYTHONS``, those on PATH by their usual names, then those of version managers."""
    named = [path for path in os.environ.get("PYTHONS", "").split(os.pathsep) if path]
    on_path = [shutil.which(f"python{version}{kind}") for version in versions for kind in ("", "t")]
    managed = [path for place in PLACES for path in sorted(glob.glob(os.path.expanduser(place)))]
    return [*named, *(path for path in on_path if path), *managed]


def find() -> dict[str, str]:
    """Return one interpreter for each environment of tox, and print which CPythons could not be had, and why."""
    names = {f"py{version.replace('.', '')}": version for version in wanted()}
    own = "{}.{}".format(*sys.version_info[:2])
    every = {*names, f"py{own.replace('.', '')}"}
    welcome = {*names, *(f"{name}t" for name in every - {"py310", "py311", "py312", "py313"})}
    found: dict[str, str] = {}
    for python in candidates([*names.values(), own]):
        name = environment(python)
        if name in welcome:
            found.setdefault(str(name), python)
    missing = [version for name, version in names.items() if name not in found]
    had, refused = sid.fetch(missing)
    found.update((f"py{version.replace('.', '')}", str(path)) for version, path in had.items())
    for version, reason in refused.items():
        print(f"not on CPython {version}: it is not on this machine, and cannot be had from Debian sid: {reason}")
    return found


def is_outdated(name: str) -> bool:
    """Return whether an environment of tox was made before constraints.txt was written. tox itself does not notice."""
    made = Path(".tox", name, "pyvenv.cfg")
    return made.exists() and made.stat().st_mtime < Path("constraints.txt").stat().st_mtime


def main() -> int:
    """Find the interpreters, print which ones, and run tox on them. Returns the exit status of tox."""
    found = dict(sorted(find().items()))
    if not found:
        print("no other CPython")
        return 0
    print("also on", ", ".join(found.values()), flush=True)
    command = [sys.executable, "-m", "tox", "run-parallel", "--parallel", AT_ONCE, "--parallel-no-spinner"]
    command += ["--skip-missing-interpreters", "false", "-e", ",".join(found)]
    command += ["--recreate"] * any(map(is_outdated, found))
    command += ["--discover", *found.values(), "--", *(sys.argv[1:] or TESTS)]
    return subprocess.run(command, env={**os.environ, "PY_DISCOVERY_TIMEOUT": str(PATIENCE)}).returncode


if __name__ == "__main__":
    sys.exit(main())

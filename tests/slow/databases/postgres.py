"""A PostgreSQL of its own in a temporary directory, on a unix socket, run by a user who is not root."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NOBODY = "nobody"


def programs() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``; None if PostgreSQL is not installed."""
    found = [*sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb")), shutil.which("initdb") or ""]
    return next((Path(each).resolve().parent for each in reversed(found) if each), None)


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server, and yield the address of its database for psycopg2 (``host=... dbname=...``)."""
    binaries = programs()
    assert binaries is not None, "PostgreSQL is not installed: apt-get install postgresql"
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # in /tmp: the name of a unix socket may have 107 characters
    other: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
        shutil.chown(folder, _NOBODY)
        other = {"user": _NOBODY, "extra_groups": []}
    quiet: dict[str, Any] = {
        **other,
        "cwd": folder,
        "stdout": subprocess.DEVNULL,
        "env": {"LC_ALL": "C", "PATH": "/usr/bin"},
    }
    data = folder / "data"
    try:
        making = [str(binaries / "initdb"), "-D", str(data), "-U", "tester", "--auth=trust", "-N", "-E", "UTF8"]
        subprocess.run(making, check=True, **quiet)
        serving = [str(binaries / "postgres"), "-D", str(data), "-k", str(folder), "-c", "listen_addresses="]
        server = subprocess.Popen([*serving, "-c", "fsync=off"], stderr=subprocess.PIPE, text=True, **quiet)
        try:
            assert server.stderr is not None
            for line in server.stderr:
                if "ready to accept connections" in line:
                    break
            yield f"host={folder} user=tester dbname=postgres"
        finally:
            server.send_signal(signal.SIGINT)  # "fast": end what is connected
            server.communicate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)

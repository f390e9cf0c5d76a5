"""Run one library in a process of its own, and read what it says."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.server.commands import ROOT
from tests.slow.databases.killing import Account

_MEMORY = Path("/dev/shm")
"""Where files are in memory: a slow disk would only make the test slow."""


def run_apart(library: str, kills: int, *address: str) -> Account:
    """Kill requests of one library (the name of a class of ``libraries``), and return the account."""
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        command = [sys.executable, "-m", "tests.slow.databases", library, str(kills), folder, *address]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, f"status {ended.returncode}:\n{ended.stdout[-2000:]}\n{ended.stderr[-4000:]}"
    return Account(**json.loads(ended.stdout.splitlines()[-1]))


def check(account: Account, kills: int) -> None:
    """Nothing is left, each transaction is whole or not there, and nobody else noticed."""
    assert account.kills >= kills
    assert account.left
    assert not any(account.left.values()), account
    assert account.half == [], account
    assert account.failed == [], account

"""Importing pastepool does nothing: no thread, no descriptor, no handler, no hook."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LOOK = """
import atexit, gc, json, logging, os, signal, sys, threading

def facts():
    return {
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
        "signals": [repr(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "wakeup": signal.set_wakeup_fd(-1),
        "excepthooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.unraisablehook)],
        "switch": sys.getswitchinterval(),
        "stack": threading.stack_size(),
        "gc": [gc.isenabled(), gc.get_threshold()],
        "root": [repr(logging.root.handlers), logging.root.level],
        "exits": atexit._ncallbacks() - standard_exits,
        "output": [repr(sys.stdout), repr(sys.stderr)],
    }

import concurrent.futures.thread, email, multiprocessing.util, smtplib, socket, ssl, subprocess
import httptools, paste.deploy, webob
standard_exits = atexit._ncallbacks()
before = facts()
import importlib, pkgutil, pastepool
names = [module.name for module in pkgutil.walk_packages(pastepool.__path__, "pastepool.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"names": names, "before": before, "after": facts()}))
"""


def run(code: str) -> str:
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_every_module_changes_nothing() -> None:
    """After all modules were imported, threads, descriptors, signals, hooks and loggers are as they were."""
    seen = json.loads(run(LOOK))
    assert len(seen["names"]) >= 40
    assert seen["after"] == seen["before"]


@pytest.mark.parametrize("module", ["paste.deploy", "webob", "ssl", "smtplib", "pkg_resources"])
def test_importing_the_package_loads_little(module: str) -> None:
    """``import pastepool`` alone loads none of the heavy modules."""
    assert run(f"import sys, pastepool; print({module!r} in sys.modules)") == "False\n"


def test_serving_needs_no_pkg_resources() -> None:
    """The entry point and the server load without setuptools, which new environments do not have."""
    code = "import sys; sys.modules['pkg_resources'] = sys.modules['setuptools'] = None; "
    assert run(code + "import pastepool.entrypoints, pastepool.server, pastepool.demo; print('ok')") == "ok\n"

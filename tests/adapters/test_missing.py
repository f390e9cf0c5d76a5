"""Without the libraries of the adapters pastepool works, and an adapter says which extra it needs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from pastepool.adapters.missing import needs
from tests.meta.repository import lines_of, setup_cfg
from tests.waiting import PROGRAM_WATCHDOG

LIBRARIES = {"cheroot": "cheroot", "flup": "flup", "twisted": "twisted"}
"""The adapters, and the library of each."""


def run(code: str) -> str:
    """What a new interpreter prints for which no library of an adapter is installed."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({sorted(LIBRARIES.values())})); "
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", hidden + code],
        capture_output=True,
        text=True,
        timeout=PROGRAM_WATCHDOG,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(("adapter", "library"), LIBRARIES.items())
def test_adapter_without_its_library_names_the_extra(adapter: str, library: str) -> None:
    """The last line of the traceback is one sentence with the command that helps."""
    said = run(f"import pastepool.adapters.{adapter}")
    assert said.splitlines()[-1] == (
        f"ImportError: {library} is not installed, and its adapter needs it: pip install 'pastepool[{adapter}]'."
    )
    assert adapter in setup_cfg()["options.extras_require"]
    assert any(line.lower().startswith(library) for line in lines_of("options.extras_require", adapter))


def test_everything_else_works_without_them() -> None:
    """The package, the server, the entry points and the pool are imported."""
    code = "import pastepool.entrypoints, pastepool.server, pastepool.watch.app; from pastepool import WorkerPool; "
    assert run(code + "print(WorkerPool('shop').name)") == "shop\n"


def test_an_error_inside_of_a_library_stays_what_it_is() -> None:
    """What the library itself misses is not called a missing extra."""
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), needs("cheroot"):
        importlib.import_module("no_such_module")

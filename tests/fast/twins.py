"""The modules that use the accelerator, a second time, without it. So both run in one process on the same bytes."""

from __future__ import annotations

import importlib.util
import sysconfig
from types import ModuleType

import pytest

import pastepool._fast
from pastepool._fast import fast, pure

native = pytest.mark.skipif(fast is pure, reason="the accelerator is not used: PASTEPOOL_PURE, no compiler, or no GIL")

BUILDS = not sysconfig.get_config_var("Py_GIL_DISABLED")


def twin(name: str) -> ModuleType:
    """Load a module of pastepool once more, as if the accelerator were not there."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    pastepool._fast.fast = pure  # type: ignore[misc]
    try:
        spec.loader.exec_module(module)
    finally:
        pastepool._fast.fast = fast  # type: ignore[misc]
    return module

"""
The accelerator: the usual case of what decides nothing, in C, and the same in Python where there is no C.

``fast`` is the module that is used: ``_native`` where it was built, otherwise ``pure``. Everything works with either,
and every rule and every message is in Python. ``_native`` answers whatever a rule must see by calling the Python
function that has the rule, with the same arguments. So this package can be deleted together with its calls.

``PASTEPOOL_PURE=1`` in the environment keeps ``_native`` from being imported.

Source: ours, measured (docs/performance.md, docs/adr/0017).
"""

from __future__ import annotations

EDITION = 6
"""Raise it together with ``EDITION`` in module.c whenever Python and C change what they expect of each other."""

try:
    from pastepool._fast import _native as fast

    if getattr(fast, "EDITION", 0) != EDITION:
        raise ImportError("the accelerator was built from older files; install pastepool again")
except ImportError:
    from pastepool._fast import pure as fast  # type: ignore[no-redef]

__all__ = ["EDITION", "fast"]

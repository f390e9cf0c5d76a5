"""What is remembered of requests for all threads: a dict, or its like for a build without the GIL."""

from __future__ import annotations

import sys
import sysconfig

import pytest

from pastepool.http1.caches import InternedCache, make_cache


@pytest.mark.parametrize(("disabled", "kind"), [(0, dict), (None, dict), (1, InternedCache)])
def test_only_a_free_threaded_build_has_another_cache(
    disabled: int | None, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build counts, not whether its GIL is on: it reads a dict in the same way."""
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: disabled)
    assert type(make_cache()) is kind


def test_it_does_what_a_dict_does() -> None:
    """Any bytes are a name, and nothing is confused with anything else."""
    cache = InternedCache()
    names = [bytes([number]) for number in range(256)] + [b"Host", b"host", b""]
    for name in names:
        cache[name] = f"KEY {name!r}"
    assert dict(cache) == {name: f"KEY {name!r}" for name in names}
    assert (cache.get(b"Host"), cache[b"host"], cache.get(b"nothing")) == ("KEY b'Host'", "KEY b'host'", None)
    del cache[b"host"]
    assert b"host" not in cache and len(cache) == len(names) - 1


def test_what_it_returns_is_interned() -> None:
    """So that a free-threaded build takes it out of the dict without locking."""
    cache = InternedCache()
    cache[b"X-Made-Here"] = "_".join(("HTTP", "X", "MADE", "HERE"))
    assert cache.get(b"X-Made-Here") is sys.intern("HTTP_X_MADE_HERE")

"""The limit on open files: raised to what is allowed, put back at the end, and never an obstacle to the start."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest

from pastepool.runtime.system import open_files
from pastepool.runtime.system.open_files import OpenFiles, count_open


class Limit:
    """Stands for the kernel's limit. ``refuse``: the error of ``setrlimit``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, refuse: Exception | None = None) -> None:
        self.now = (soft, hard)
        self._refuse = refuse
        monkeypatch.setattr(open_files.resource, "getrlimit", lambda which: self.now)
        monkeypatch.setattr(open_files.resource, "setrlimit", self._set)

    def _set(self, which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        if self._refuse:
            raise self._refuse
        self.now = limits


@pytest.fixture
def real() -> Iterator[None]:
    """Put this process's own limit back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, 4096),
        (1024, 2**30, 1_048_576),
        (1024, resource.RLIM_INFINITY, 1_048_576),
        (4096, 4096, 4096),
        (2_000_000, 2**30, 2_000_000),
    ],
)
def test_soft_limit_becomes_the_hard_one(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int) -> None:
    """But not a thousand million, and it is never lowered; the hard limit stays; at the end the old one is back."""
    limit, files = Limit(monkeypatch, soft, hard), OpenFiles()
    files.raise_limit()
    assert (files.limit, limit.now) == (raised, (raised, hard))
    files.restore()
    files.restore()
    assert limit.now == (soft, hard)


def test_no_limit_is_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no soft limit nothing is changed."""
    limit, files = Limit(monkeypatch, resource.RLIM_INFINITY, resource.RLIM_INFINITY), OpenFiles()
    files.raise_limit()
    assert (files.limit, limit.now) == (1_048_576, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize("error", [ValueError("current limit exceeds maximum limit"), PermissionError(1, "no")])
def test_refusal_leaves_the_limit_as_it_is(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A system that does not let the limit be raised does not keep the server from starting."""
    limit, files = Limit(monkeypatch, 1024, 4096, error), OpenFiles()
    files.raise_limit()
    assert (files.limit, limit.now) == (1024, (1024, 4096))
    files.restore()


def test_limit_that_the_application_has_set_is_not_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other code has changed since is its own."""
    limit, files = Limit(monkeypatch, 1024, 4096), OpenFiles()
    files.raise_limit()
    limit.now = (2048, 4096)
    files.restore()
    assert limit.now == (2048, 4096)


@pytest.mark.usefixtures("real")
def test_real_limit_is_raised_and_put_back() -> None:
    """The kernel takes it, twice."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    files = OpenFiles()
    files.raise_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == files.limit > 256
    files.restore()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (256, hard)


def test_open_files_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is one more; where the system does not tell it is a guess."""
    before = count_open()
    with open(os.devnull):
        assert count_open() == before + 1
    monkeypatch.setattr(open_files.os, "listdir", lambda folder: (_ for _ in ()).throw(FileNotFoundError()))
    assert count_open() == 64

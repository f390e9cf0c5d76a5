"""One real Chromium for all tests of this directory, and a page that must leave its console empty."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.page import Page, start_browser
from tests.browser.stage import Stage
from tests.server.commands import ROOT

BINARIES = ("chromium", "chromedriver")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test here may wait for a whole watchdog several times, and for a browser and a server to start."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The browser, with an empty profile of its own; ``BROWSER_TESTS=required`` makes its absence a failure."""
    missing = [name for name in BINARIES if shutil.which(name) is None]
    if missing:
        said = f"no {' and no '.join(missing)}; on Debian: apt-get install chromium chromium-driver"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(said)
        pytest.skip(said)
    browser = start_browser(tmp_path_factory.mktemp("profile"))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """
    Where screenshots are kept: the directory ARTEFACTS names; where the browser is required, as on CI, in
    ``build/screenshots``; else in one pytest throws away after three runs.
    """
    kept = ROOT / "build" / "screenshots" if os.environ.get("BROWSER_TESTS") == "required" else tmp_path
    folder = Path(os.environ.get("ARTEFACTS") or kept)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(driver: object, artefacts: Path) -> Iterator[Page]:
    """A fresh page; whatever it says to its console that the test did not announce fails the test."""
    opened = Page(driver, artefacts)
    opened.reset()
    yield opened
    said = opened.console()
    opened.leave()
    assert not said, said


@pytest.fixture
def stage(page: Page) -> Iterator[Stage]:
    """The server that plays watch_threads in the main server: it polls. The page leaves before it closes."""
    with Stage() as playing:
        yield playing
        page.leave()


@pytest.fixture
def show(page: Page, stage: Stage) -> Callable[[], Page]:
    """Open the page of the stage and wait until its script has drawn it."""

    def opened() -> Page:
        page.open(stage.address)
        page.until("document.querySelector('table.workers > tbody.worker')", "the first drawing")
        return page

    return opened

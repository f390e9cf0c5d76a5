"""
Take the photographs of the manual: ``python -m tests.browser.photographs docs/_static``.

The demonstration runs from a copy of the package in a directory of its own, so that its calls are shown from there as
an application's are. It takes a minute, because a curve of a minute takes one. Not a test: nothing is checked.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from tests.browser.page import Page, start_browser
from tests.browser.test_served import CONFIGURATION, SERVING, SHOWN
from tests.server.commands import ROOT, Command, arguments
from tests.server.serving import Client

MINUTE = 55.0
"""Seconds of traffic before the first photograph."""

FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<alias binding="strong"><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
<alias binding="strong"><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
</fontconfig>
"""
"""What a desktop has for a face of its own, where Debian's fonts-inter is installed."""

MORE = ("admin_allow_kill = true", "threadpool_dying_limit = 1m")
TRAFFIC = ("/fast", "/slow?seconds=0.03", "/fast", "/slow?seconds=0.15", "/fast", "/fast?page=2", "/slow?seconds=0.4")
HANGING = ("socket", "loop", "lock", "socket", "lock", "lock")


def configuration() -> str:
    """The tests' own, with a pool of a production's size."""
    text = CONFIGURATION.format(more="\n".join(MORE))
    for name, value in (("workers", 6), ("max_workers", 24), ("spawn_if_under", 4), ("hung_thread_limit", "5s")):
        lines = [
            f"threadpool_{name} = {value}" if line.startswith(f"threadpool_{name} =") else line
            for line in text.splitlines()
        ]
        text = "\n".join(lines)
    return text + "\n"


class Traffic:
    """Asks for pages, a few at once, until it is told to stop."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(4)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        for turn in range(1_000_000):
            if self._stop.wait(0.02 + 0.03 * ((turn * (number + 1)) % 7)):
                break
            connection.request("GET", TRAFFIC[(turn + number) % len(TRAFFIC)])
            connection.getresponse().read()
        connection.close()


def take(page: Page, address: str, traffic_port: int, stack: contextlib.ExitStack) -> None:
    """The walk-through, photographed."""
    page.size(1280, 860, scale=1.25)
    page.open(address)
    page.until("document.querySelector('.live.live')", "the page")
    wait(page, MINUTE)
    for kind in HANGING:
        stack.enter_context(Client(traffic_port)).ask(f"/hanging?kind={kind}&seconds=300")
        wait(page, 1.2)
    wait(page, 12)
    for scheme in ("dark", "light"):
        page.prefers(scheme)
        page.keep(f"watch-threads-{scheme}")
    page.click("tr.status-hung .toggle")
    page.js("document.querySelector('#workers').scrollIntoView()")
    page.keep("watch-threads-stack")
    page.click("tr.status-hung .toggle")
    page.click("#stacks summary")
    page.js("document.querySelector('#stacks').scrollIntoView()")
    page.keep("watch-threads-groups")
    page.click("#flame .buttons button")
    wait(page, 8)
    page.js("document.querySelector('#flame').scrollIntoView()")
    page.keep("watch-threads-flame")
    page.js("scrollTo(0, 0)")
    loop = page.js(
        "[...document.querySelectorAll('tr.status-hung')].find((row) => row.textContent.includes('kind=loop')).id"
    )
    page.click(f"#{loop} .kill")
    page.keep("watch-threads-kill")
    page.click("dialog .danger")
    page.until("document.querySelector('.toast p')?.textContent.startsWith('Killed')", "the answer")
    page.until("!document.getElementById(args[0])?.classList.contains('status-hung')", "the end", loop)
    page.js("scrollTo(0, 0)")
    page.keep("watch-threads-killed")
    page.click(".toast button")
    page.size(390, 844, scale=1.5)
    page.js("scrollTo(0, 0)")
    page.prefers("dark")
    wait(page, 2)
    page.keep("watch-threads-phone")


def wait(page: Page, seconds: float) -> None:
    """Let time go by, in the page."""
    for _ in range(int(seconds // 5)):
        page.measure("setTimeout(done, 5000)")
    page.measure("setTimeout(done, args[0])", 1000 * (seconds % 5))


def main(folder: Path) -> None:
    """Take them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copytree(ROOT / "pastepool", home / "pastepool", ignore=shutil.ignore_patterns("__pycache__"))
        ini = home / "shop.ini"
        ini.write_text(configuration())
        command = stack.enter_context(Command(arguments("paster", ini), home, PYTHONPATH=str(home)))
        port, admin = (int(command.read_until(pattern)[1]) for pattern in (SERVING, SHOWN))
        stack.enter_context(Traffic(port))
        (home / "fonts.conf").write_text(FONTS)
        os.environ["FONTCONFIG_FILE"] = str(home / "fonts.conf")
        driver = start_browser(home / "profile")
        stack.callback(driver.quit)
        page = Page(driver, folder)
        page.reset()
        take(page, f"http://127.0.0.1:{admin}/", port, stack)
        page.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What a test does with a browser: open, look, click, wait, photograph. No test sleeps: waiting happens in the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import (
    WebDriverException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.waiting import PROGRAM_WATCHDOG

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1360,900",
)
DESKTOP = (1360, 900)
PHONE = (360, 760)


def start_browser(profile: Path) -> Any:
    """Start Chromium through Debian's driver, with an empty profile and nobody to telephone."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    browser.set_script_timeout(PROGRAM_WATCHDOG + 5)
    browser.set_page_load_timeout(PROGRAM_WATCHDOG + 5)
    return browser


class Page:
    """One tab. ``noise``: what the console may say in this test; anything else fails it."""

    def __init__(self, driver: Any, artefacts: Path) -> None:
        self._driver = driver
        self._artefacts = artefacts
        self.noise: re.Pattern[str] | None = None
        self._scripted = True

    # Circumstances.

    def reset(self) -> None:
        """Begin as a desktop with a light scheme, with JavaScript, and with nothing in the console."""
        self.scripted(True)
        self.size(*DESKTOP)
        self.prefers("light")
        self._driver.get_log("browser")

    def leave(self) -> None:
        """Go away from the page, so that it asks its server nothing more."""
        self.scripted(True)
        self._driver.get("about:blank")
        self._driver.delete_all_cookies()

    def size(self, width: int, height: int, scale: float = 1) -> None:
        """Change the window; below 500 pixels it is a phone."""
        values = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", values)

    def prefers(self, scheme: str, motion: str = "no-preference") -> None:
        """Say what the reader's system prefers."""
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def scripted(self, on: bool) -> None:
        """Switch JavaScript on or off, for pages opened from now on."""
        self._scripted = on
        self._driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    # Looking.

    def open(self, address: str) -> None:
        """Load a page."""
        self._driver.get(address)

    def js(self, body: str, *arguments: Any) -> Any:
        """Evaluate an expression in the page; ``args`` holds the arguments."""
        return self._driver.execute_script(f"const args = arguments; return ({body});", *arguments)

    def text(self, selector: str) -> str:
        """The text of the first element found, without the thin spaces of numbers."""
        found = self.js("document.querySelector(args[0])?.textContent ?? null", selector)
        assert found is not None, f"nothing matches {selector}"
        return str(found).replace("\u202f", " ")

    def texts(self, selector: str) -> list[str]:
        """The text of every element found."""
        found: list[str] = self.js("[...document.querySelectorAll(args[0])].map((each) => each.textContent)", selector)
        return [text.replace("\u202f", " ") for text in found]

    def style(self, selector: str, name: str) -> str:
        """A computed style."""
        script = "getComputedStyle(document.querySelector(args[0])).getPropertyValue(args[1])"
        return str(self.js(script, selector, name))

    def visible(self, selector: str) -> bool:
        """Whether the first element found is there and neither hidden nor folded away."""
        return bool(self.js("document.querySelector(args[0])?.checkVisibility() ?? false", selector))

    def find(self, selector: str) -> list[Any]:
        """The elements themselves, also where JavaScript is off."""
        found: list[Any] = self._driver.find_elements("css selector", selector)
        return found

    def source(self) -> str:
        """The address bar's page as HTML."""
        return str(self._driver.page_source)

    def address(self) -> str:
        """What the address bar says."""
        return str(self._driver.current_url)

    def until(self, condition: str, what: str, *arguments: Any, seconds: float = PROGRAM_WATCHDOG) -> None:
        """Wait, frame by frame in the page, until an expression is true."""
        script = """
            const done = arguments[arguments.length - 1];
            const args = [...arguments].slice(1, -1);
            const deadline = performance.now() + 1000 * arguments[0];
            (function look() {
              if (CONDITION) { done(true); }
              else if (performance.now() > deadline) { done(false); }
              else { setTimeout(look, 10); }
            })();
        """.replace("CONDITION", condition)
        came = self._driver.execute_async_script(script, seconds, *arguments)
        assert came, f"{what} did not come within {seconds:g} s: {condition}"

    def comes_to(self, condition: str, what: str) -> None:
        """Wait for an expression to be true, here or on the page that is about to take this one's place."""
        waiting = WebDriverWait(self._driver, PROGRAM_WATCHDOG, 0.05, (WebDriverException,))
        waiting.until(lambda driver: driver.execute_script(f"return Boolean({condition})"), f"{what} did not come")

    def reads(self, selector: str, text: str) -> None:
        """Wait until an element of this page or the next says something; works without JavaScript too."""
        # Chromedriver has more than one error for an element of a page that goes away at this moment.
        waiting = WebDriverWait(self._driver, PROGRAM_WATCHDOG, 0.02, (WebDriverException,))
        waiting.until(lambda driver: text in driver.find_element("css selector", selector).text, f"no {text!r}")

    def measure(self, script: str, *arguments: Any) -> Any:
        """Run an asynchronous script that calls ``done``; ``args`` holds the arguments."""
        head = "const args = [...arguments].slice(0, -1); const done = arguments[arguments.length - 1];"
        return self._driver.execute_async_script(head + script, *arguments)

    def worked_for(self) -> float:
        """
        How many milliseconds of processor time the page's main thread has used for scripts, styles and layout.

        Unlike ``performance.measure`` this does not count the time in which other programs had the processor.
        """
        self._driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        metrics = self._driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        found = {each["name"]: float(each["value"]) for each in metrics}
        return 1000 * sum(found[name] for name in ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration"))

    def module(self, name: str, expression: str, *arguments: Any) -> Any:
        """Evaluate an expression over one of the page's own modules, which is called ``it``."""
        script = f"import(new URL(args[0], location.href)).then((it) => done({expression}), (e) => done(String(e)));"
        return self.measure(script, f"static/{name}", *arguments)

    def console(self) -> list[str]:
        """Errors and warnings of the console since the last look, but for the noise that was announced."""
        entries = [entry for entry in self._driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
        said = [json.dumps([entry["level"], entry["message"]]) for entry in entries]
        return [line for line in said if self.noise is None or not self.noise.search(line)]

    # Doing.

    def click(self, selector: str) -> None:
        """Press what is there as a person would: it must be in sight and not covered."""
        element = self._driver.find_element("css selector", selector)
        unfolds = self._scripted and element.tag_name == "summary"
        if self._scripted:
            self._driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        if unfolds:  # what it unfolds is drawn when the page is told of it, a little later
            self.measure("requestAnimationFrame(() => setTimeout(done));")

    def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        self._driver.find_element("css selector", selector).send_keys(text)

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        self._driver.switch_to.active_element.send_keys(getattr(Keys, key))

    def keep(self, name: str, *, whole: bool = False) -> Path:
        """Photograph the window, or the whole page."""
        if whole:
            width = self.js("innerWidth")
            self.size(width, self.js("document.documentElement.scrollHeight"))
        path = self._artefacts / f"{name}.png"
        assert self._driver.save_screenshot(str(path)), path
        return path

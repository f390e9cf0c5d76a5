"""What a reload makes of the sections for ``logging``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.site import Site, ending
from tests.server.commands import SERVE

SECTIONS = """
[loggers]
keys = root, shop

[handlers]
keys = file

[formatters]
keys = plain

[logger_root]
level = {root}
handlers = file

[logger_shop]
level = {shop}
handlers =
qualname = shop

[handler_file]
class = {handler}
args = (r"%(here)s/{log}", "a")
level = NOTSET
formatter = plain

[formatter_plain]
format = {mark} %(name)s %(message)s
"""

TALKS = """
import logging

def talk(environ):
    logging.getLogger("shop").debug("a debug line")
    logging.getLogger("shop").info("an info line")
    return "said"

ROUTES = {"/talk": talk}
"""


class Talking(Site):
    """A site that logs, with sections for that from the start."""

    def configure(self, **options: object) -> None:
        """The first sections, unless a test has set others."""
        self.sections = self.sections or sections()
        super().configure(**options)


def sections(log: str = "old.log", shop: str = "INFO", handler: str = "FileHandler", mark: str = "OLD") -> str:
    """The sections of a file."""
    return SECTIONS.format(root="INFO", log=log, shop=shop, handler=handler, mark=mark)


@pytest.mark.parametrize("command", sorted(SERVE))
def test_new_workers_log_as_the_new_file_says(command: str, tmp_path: Path) -> None:
    """Under each command: level, handler and form are the new ones, for the application and for the server."""
    with ending(Talking(tmp_path, command, processes=1, boots=TALKS)) as site:
        site.serving(workers=1)
        site.text("/talk")
        site.sections = sections("new.log", "DEBUG", mark="NEW")
        site.configure(processes=1)
        site.hup()
        site.serving(generation=2, workers=1)
        site.await_line(r"generation 1\) ended with status 0")
        site.text("/talk")
    old, new = (tmp_path / "old.log").read_text(), (tmp_path / "new.log").read_text()
    assert "OLD shop an info line" in old
    assert "debug" not in old
    assert "NEW" not in old
    assert "NEW shop a debug line" in new
    assert "NEW pastepool stopping" in new
    assert "OLD" not in new


def test_sections_that_cannot_be_used_fail_the_reload(tmp_path: Path) -> None:
    """A handler that does not exist: the sentence is told, and the old worker serves."""
    with ending(Talking(tmp_path, processes=1, boots=TALKS)) as site:
        workers = site.serving(workers=1)
        site.sections = sections(handler="NoSuchHandler")
        site.configure(processes=1)
        site.hup()
        site.await_line(r"site\.ini: the sections for logging cannot be used \(.*NoSuchHandler.*\); correct them")
        site.await_line("reload failed: generation 2 does not load, and nothing is changed")
        assert site.answer()[0] == workers[1]

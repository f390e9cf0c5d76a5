"""
Several processes under Zope's ``runwsgi``.

A stand-in calls in the order of ``Zope2.Startup.serve``: server, application, pid file, serve, and no pid file.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.process.site import Site, ending
from tests.server.commands import alive
from tests.waiting import until

COMMAND = """\
import os
from App.config import getConfiguration
from paste.deploy import loadapp, loadserver


def main(file):
    server = loadserver("config:" + file, relative_to=os.getcwd())
    app = loadapp("config:" + file, relative_to=os.getcwd())
    path = getConfiguration().pid_filename
    with open(path, "w") as pid_file:
        pid_file.write(str(os.getpid()))
    try:
        server(app)
    finally:
        try:
            os.unlink(getConfiguration().pid_filename)
        except OSError:
            pass
"""

CONFIGURATION = """\
class Configuration:
    pid_filename = "Z4.pid"


ONLY = Configuration()


def getConfiguration():
    return ONLY
"""


class UnderZope(Site):
    """A site whose command is the stand-in."""

    def words(self, command: str, words: tuple[str, ...]) -> list[str]:
        for package in ("App", "Zope2", "Zope2/Startup"):
            (self.folder / package).mkdir()
            (self.folder / package / "__init__.py").touch()
        (self.folder / "App/config.py").write_text(CONFIGURATION)
        (self.folder / "Zope2/Startup/serve.py").write_text(COMMAND)
        return [sys.executable, "-c", "from Zope2.Startup.serve import main; main('site.ini')"]


@pytest.mark.parametrize("preload", ["false", "true"])
def test_pid_file_of_zope_names_the_parent(preload: str, tmp_path: Path) -> None:
    """Also after a reload and the death of a worker. It is removed at the end of all, and not when a worker ends."""
    file = tmp_path / "Z4.pid"
    with UnderZope(tmp_path, preload=preload) as site:
        old = site.serving()
        assert int(file.read_text()) == site.pid
        site.hup()
        site.serving(generation=2)
        until(lambda: not any(map(alive, old.values())), "the old workers have ended")
        assert int(file.read_text()) == site.pid
        os.kill(site.workers(generation=2)[1], signal.SIGKILL)
        site.await_line(r"worker process 1 \(pid \d+, generation 2\) serves")
        os.kill(int(file.read_text()), signal.SIGTERM)
        assert site.wait() == 0, site.said
        assert not file.exists()


def test_pid_file_of_another_server_is_left_alone(tmp_path: Path) -> None:
    """It was started while this one ended."""
    file = tmp_path / "Z4.pid"
    with ending(UnderZope(tmp_path)) as site:
        site.serving()
        file.write_text("1")
    assert file.read_text() == "1"

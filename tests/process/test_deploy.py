"""The page "Deploy without losing a request": a release in a folder of its own, and a link that leads to the newest."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from tests.process.test_hosts import pastepool
from tests.server.commands import Command, arguments, get

INI = """\
[server:main]
use = egg:pastepool#http
port = 0
processes = 1

[app:main]
paste.app_factory = shop:make_app
"""
SHOP = """\
from prices import PRICE


def make_app(global_conf):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [PRICE]

    return app
"""


def release(folder: Path, number: int, source: str = SHOP) -> None:
    """Write a release, and let the link lead to it in one step."""
    target = folder / "releases" / str(number)
    target.mkdir(parents=True)
    (target / "shop.py").write_text(source)
    (target / "prices.py").write_text(f"PRICE = b'{number}'\n")
    (folder / "next").symlink_to(target)
    (folder / "next").rename(folder / "current")


def test_file_of_the_settings_may_be_in_the_release(tmp_path: Path) -> None:
    """The command finds the server by the path with the link, though it leads elsewhere now; the new file is read."""
    for number in (2, 1):
        release(tmp_path, number)
        (tmp_path / "current/site.ini").write_text(INI.replace("processes = 1", f"processes = {number}"))
    words = [*arguments("paster", tmp_path / "site.ini")[:-1], "current/site.ini"]
    with Command(words, tmp_path, PYTHONPATH=str(tmp_path / "current")) as server:
        port = server.port()
        assert get(port) == (200, b"1")
        (tmp_path / "next").symlink_to(tmp_path / "releases/2")
        (tmp_path / "next").rename(tmp_path / "current")
        assert pastepool(tmp_path, "reload", "current/site.ini").returncode == 0
        assert get(port) == (200, b"2")
        assert pastepool(tmp_path, "status", "current/site.ini").stdout.count("ready") == 2
        assert pastepool(tmp_path, "stop", "releases/1/site.ini").returncode == 0
        assert server.wait() == 0


def test_new_processes_follow_the_link_and_no_request_fails(tmp_path: Path) -> None:
    """With one process; a release that does not load leaves the old one serving, and the command says why."""
    (tmp_path / "site.ini").write_text(INI)
    release(tmp_path, 1)
    over, answers = threading.Event(), []

    def ask() -> None:
        while not over.is_set():
            answers.append(get(port))

    with Command(arguments("paster", tmp_path / "site.ini"), tmp_path, PYTHONPATH=str(tmp_path / "current")) as server:
        port = server.port()
        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for number in (2, 3):
                release(tmp_path, number)
                assert pastepool(tmp_path, "reload", "site.ini").returncode == 0
                assert get(port) == (200, b"%d" % number)
            release(tmp_path, 4, SHOP + "raise RuntimeError('broken on purpose')\n")
            failed = pastepool(tmp_path, "reload", "site.ini")
            assert failed.returncode == 1
            assert "RuntimeError: broken on purpose" in failed.stderr
            assert re.search(r"releases/4/shop\.py|current/shop\.py", failed.stderr)
            assert get(port) == (200, b"3")
        finally:
            over.set()
            asking.join()
        assert server.end() == 0
    assert {status for status, _ in answers} == {200}
    assert {body for _, body in answers} == {b"1", b"2", b"3"}

"""The unit files of the manual are accepted by the programs they are for, and say what the manual says of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
from paste.deploy import loadwsgi

from pastepool import entrypoints
from pastepool.runtime.system import forced_exit
from pastepool.server import life
from pastepool.settings import Settings, read
from tests.meta.repository import ROOT

FILES = ROOT / "docs" / "how-to" / "files"
UNIT = FILES / "pastepool.service"
SECTION = FILES / "supervisord.conf"

NOT_A_FAILURE = {130, 143}
"""128 and the number of a signal: a second SIGINT, a second SIGTERM."""


def unit() -> ConfigParser:
    """The systemd unit; keys as they are written."""
    config = ConfigParser(interpolation=None, delimiters=("=",))
    config.optionxform = str  # type: ignore[assignment,method-assign]
    config.read_string(UNIT.read_text(encoding="utf-8"))
    return config


def program() -> dict[str, str]:
    """supervisord's section, read the way supervisord reads it."""
    config = ConfigParser(interpolation=None, inline_comment_prefixes=(";", "#"))
    config.read_string(SECTION.read_text(encoding="utf-8"))
    assert config.sections() == ["program:pastepool"]
    return dict(config["program:pastepool"])


def production() -> Settings:
    """The settings of production.ini, which both files start."""
    context = loadwsgi.loadcontext(loadwsgi.SERVER, f"config:{ROOT / 'production.ini'}")
    return read(context.local_conf, context.global_conf)


def longest_end() -> float:
    """How long the process may live after a drain: its own exit, the log, the last mail, the exit functions, the flush."""
    return 2 * life._EXIT_MARGIN + life._TELL_FOR + forced_exit._EXIT_FUNCTIONS_FOR + forced_exit._FLUSH_FOR


def longest_stop() -> float:
    """How long the process may live after the first SIGTERM."""
    return production().timeouts.shutdown + longest_end()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian: systemd)")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """systemd finds nothing to complain about, once the program it names exists; and it does find a mistake."""
    program = tmp_path / "paster"
    program.touch(0o755)
    text = UNIT.read_text(encoding="utf-8").replace(unit()["Service"]["ExecStart"].split()[0], str(program))
    good, bad = tmp_path / "good.service", tmp_path / "bad.service"
    good.write_text(text, encoding="utf-8")
    bad.write_text(text.replace("RestartSec=", "RestartSecs="), encoding="utf-8")
    accepted, refused = (verdict(path) for path in (good, bad))
    assert accepted == ""
    assert "RestartSecs" in refused


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze (Debian: systemd)")
def test_unit_exposes_little() -> None:
    """systemd's own judgement, from 0 (shut) to 10 (open): what is left is the network, and the files of the application."""
    words = ["systemd-analyze", "security", "--offline=yes", "--threshold=25", "--no-pager", str(UNIT)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd judges no files")
    assert done.returncode == 0, done.stdout


def verdict(path: Path) -> str:
    """What ``systemd-analyze verify`` says of one unit, without what it says of others on this machine."""
    done = subprocess.run(
        ["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    return "".join(line for line in done.stderr.splitlines(True) if path.name in line)


def test_unit_starts_again_and_never_gives_up() -> None:
    """Every failed end is followed by a start, after a pause; two stop signals in a row are no failure."""
    config = unit()
    assert config["Service"]["Restart"] == "on-failure"
    assert float(config["Service"]["RestartSec"]) >= 1
    assert config["Unit"]["StartLimitIntervalSec"] == "0"
    clean = {int(status) for status in config["Service"]["SuccessExitStatus"].split()}
    assert clean == NOT_A_FAILURE
    assert not clean & {entrypoints.SETTINGS_STATUS, entrypoints.START_STATUS, life._DIED_OF_ZOMBIES}
    assert "RestartPreventExitStatus" not in config["Service"]


def test_section_starts_again_and_never_gives_up() -> None:
    """supervisord starts again on every status but a clean stop and two stop signals in a row, and goes on trying."""
    config = program()
    assert config["autorestart"] == "unexpected"
    assert {int(status) for status in config["exitcodes"].split(",")} == {0} | NOT_A_FAILURE
    assert int(config["startretries"]) >= 10**6
    assert int(config["startsecs"]) >= 1
    assert config["stopsignal"] == "TERM"


def test_both_wait_longer_than_a_stop_takes() -> None:
    """Neither kills a server started from production.ini before that has ended by itself."""
    assert float(unit()["Service"]["TimeoutStopSec"]) > longest_stop()
    assert float(program()["stopwaitsecs"]) > longest_stop()


def test_manual_says_how_long_a_monitor_has_to_wait() -> None:
    """The ten seconds after ``shutdown_timeout``, wherever the manual names them, are enough."""
    text = " ".join((FILES.parent / "run-under-a-monitor.md").read_text(encoding="utf-8").split())
    assert text.count("{confval}`shutdown_timeout` plus ten seconds") == 2
    assert longest_end() < 10.0


def test_nobody_is_told_to_give_up_on_a_status() -> None:
    """No file and no block of the manual keeps systemd from starting again: status 1 may be a database that is late."""
    blocks = [
        block
        for path in (ROOT / "docs").rglob("*.md")
        for block in re.findall(r"^```.*?^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    assert len(blocks) > 30
    assert not [block for block in blocks if "RestartPreventExitStatus=" in block]


def test_both_start_the_plain_command() -> None:
    """No daemon, no second monitor and no shell stands between the monitor and the server."""
    commands = [unit()["Service"]["ExecStart"], program()["command"]]
    assert len(set(commands)) == 1
    assert re.fullmatch(r"/\S+/paster serve /\S+\.ini", commands[0])


def test_unit_gives_more_descriptors_than_connections() -> None:
    """Open files are not used up before ``connection_limit`` is reached."""
    assert int(unit()["Service"]["LimitNOFILE"]) > production().overload.connection_limit


def test_signals_reach_the_server_alone() -> None:
    """A stop asks the server, and only what is left of its children is killed."""
    assert unit()["Service"]["KillMode"] == "mixed"
    assert program()["killasgroup"] == "true"
    assert "stopasgroup" not in program()


def test_manual_shows_the_files_and_every_status() -> None:
    """The page shows both files as they are, and has a row for each exit status."""
    text = (FILES.parent / "run-under-a-monitor.md").read_text(encoding="utf-8")
    for path in (UNIT, SECTION):
        assert f"```{{literalinclude}} files/{path.name}" in text
        assert f"{{download}}`{path.name} <files/{path.name}>`" in text
    rows = re.findall(r"^\| (\d+|128\+n) \|", text, re.MULTILINE)
    assert set(rows) == {"0", "128+n", str(entrypoints.SETTINGS_STATUS), str(entrypoints.START_STATUS)}
    assert life._DIED_OF_ZOMBIES == entrypoints.START_STATUS

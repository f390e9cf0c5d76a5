"""Several processes under the real commands: they serve, they are reloaded, and they end together."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from tests.process.site import Site, ending
from tests.server.commands import SERVE, alive, get
from tests.server.programs import is_free
from tests.waiting import until

COMMANDS = sorted(SERVE)


def threads_of(pid: int) -> int:
    """How many threads a process has."""
    return len(os.listdir(f"/proc/{pid}/task"))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_serves_with_several_processes(command: str, tmp_path: Path) -> None:
    """A parent with one thread, and so many children, each of which answers. They alone have loaded the application."""
    loads = "(HERE / f'loaded-{os.getpid()}').touch()"
    with ending(Site(tmp_path, command, processes=3, boots=loads)) as site:
        workers = site.serving(workers=3)
        assert sorted(workers) == [1, 2, 3]
        site.answered_by_all(set(workers.values()))
        assert site.answer()[1] == site.pid
        assert threads_of(site.pid) == 1
        assert {path.name for path in tmp_path.glob("loaded-*")} == {f"loaded-{pid}" for pid in workers.values()}
        assert "3 processes x 2 workers" in site.said
    assert not any(map(alive, workers.values()))
    assert is_free(site.at)


def test_one_process_has_a_parent_too(tmp_path: Path) -> None:
    """``processes = 1`` asks for supervision."""
    with ending(Site(tmp_path, processes=1)) as site:
        assert site.serving(workers=1) == {1: site.answer()[0]}


def test_no_process_is_the_single_one(tmp_path: Path) -> None:
    """``processes = 0`` is as without the option: no parent."""
    with Site(tmp_path, processes=0) as site:
        status, body = get(site.at)
        assert (status, body.split()[-1]) == (200, b"False")
        assert int(body.split()[0]) == site.process.pid
        assert site.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_waits_for_requests_in_every_worker(number: signal.Signals, tmp_path: Path) -> None:
    """All are answered, then all processes are gone, the port is free and the pid file is removed."""
    answers: list[tuple[int, int, str]] = []
    with Site(tmp_path, words=("--pid-file=site.pid",), shutdown_timeout=60, threadpool_workers=4) as site:
        workers = site.serving()
        assert int((tmp_path / "site.pid").read_text()) == site.pid
        callers = [threading.Thread(target=lambda at=at: answers.append(site.answer(f"/held{at}"))) for at in range(8)]
        for caller in callers:
            caller.start()
        for at in range(8):
            site.hold(f"held{at}")
        os.kill(site.pid, number)
        site.await_line("finish their requests and end")
        site.open_gate()
        assert site.wait() == 0, site.said
        for caller in callers:
            caller.join()
    assert len(answers) == 8
    assert {pid for pid, _, _ in answers} == set(workers.values())
    assert not any(map(alive, workers.values()))
    assert is_free(site.at)
    assert not (tmp_path / "site.pid").exists()


def test_second_sigterm_ends_at_once(tmp_path: Path) -> None:
    """The operator has no patience, and the status says which signal it was."""
    with Site(tmp_path, shutdown_timeout=600) as site:
        workers = site.serving()
        caller = threading.Thread(target=lambda: _ask(site.at, "/held"))
        caller.start()
        site.hold("held")
        os.kill(site.pid, signal.SIGTERM)
        site.await_line("finish their requests and end")
        os.kill(site.pid, signal.SIGTERM)
        assert site.wait() == 128 + signal.SIGTERM
        caller.join()
    assert not any(map(alive, workers.values()))


def test_reload_brings_new_code(tmp_path: Path) -> None:
    """The first worker of the new generation is ready before any old one goes; in the end all are new."""
    with ending(Site(tmp_path)) as site:
        old = site.serving()
        site.boot("VERSION = 2")
        site.hup()
        new = site.serving(generation=2)
        until(lambda: not any(map(alive, old.values())), "the old workers have ended")
        site.answered_by_all(set(new.values()))
        assert {site.answer()[2] for _ in range(10)} == {"2"}
        assert site.answer()[1] == site.pid


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("VERSION = = 2", "SyntaxError"),
        ("raise RuntimeError('broken on purpose')", "RuntimeError: broken on purpose"),
        ("sys.exit(0)", "ended with status 0 before it was ready"),
        ("os._exit(1)", "ended with status 1 before it was ready"),
        ("time.sleep(3600)", "is killed: it was not ready within startup_timeout = 5 s"),
    ],
    ids=["syntax", "raises", "exits", "exits hard", "hangs"],
)
def test_reload_of_broken_code_changes_nothing(source: str, said: str, tmp_path: Path) -> None:
    """The old workers serve on, one line says why, and a later reload of whole code succeeds."""
    with ending(Site(tmp_path, startup_timeout=60)) as site:
        old = site.serving()
        if "sleep" in source:
            site.configure(processes=2, startup_timeout=5)  # on a busy machine two seconds were too few for whole code
            site.hup()
            old = site.serving(generation=2)
        generation = 2 if "sleep" not in source else 3
        site.boot(source)
        site.hup()
        site.await_line(f"reload failed: generation {generation} does not load")
        assert len(re.findall(said, site.said)) == 1, site.said
        site.answered_by_all(set(old.values()))
        site.boot("VERSION = 3")
        site.hup()
        site.serving(generation=generation + 1)
        until(lambda: site.answer()[2] == "3", "the new code answers")


def test_reload_with_a_mistake_in_the_file_is_refused(tmp_path: Path) -> None:
    """The sentence of the settings is told, and nothing is forked."""
    with ending(Site(tmp_path)) as site:
        old = site.serving()
        site.configure(processes="many")
        site.hup()
        site.await_line("reload refused, nothing is changed: .*processes = 'many'")
        site.answered_by_all(set(old.values()))
        site.configure()
        site.hup()
        site.await_line("reload refused, nothing is changed: .*processes is not set any more; that needs a restart")
        site.configure(processes=2)
        text = (tmp_path / "site.ini").read_text()
        (tmp_path / "site.ini").write_text(text.replace("pastepool#http", "pastepool#main"))
        site.hup()
        site.await_line("reload refused, nothing is changed: .*use names another server now; that needs a restart")
        (tmp_path / "site.ini").write_text(text)
        site.hup()
        site.serving(generation=4 + 1)


def test_reload_changes_the_number_of_processes(tmp_path: Path) -> None:
    """Two, four, one."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        site.configure(processes=4)
        site.hup()
        four = site.serving(generation=2, workers=4)
        assert sorted(four) == [1, 2, 3, 4]
        site.configure(processes=1)
        site.hup()
        one = site.serving(generation=3, workers=1)
        until(lambda: not any(map(alive, four.values())), "the others have ended")
        assert {site.answer()[0] for _ in range(5)} == set(one.values())


def test_reload_moves_to_another_port(tmp_path: Path, unused_port: int) -> None:
    """The new one listens before the old one is closed. A port that is taken fails the reload, and nothing changes."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        first = site.at
        text = (tmp_path / "site.ini").read_text()
        (tmp_path / "site.ini").write_text(text.replace("port = 0", f"port = {unused_port}"))
        site.hup()
        site.serving(generation=2)
        until(lambda: is_free(first), "the old port is closed")
        assert get(unused_port)[0] == 200
        with Site(_folder(tmp_path, "other")) as other:
            other.serving()
            (tmp_path / "site.ini").write_text(text.replace("port = 0", f"port = {other.at}"))
            site.hup()
            site.await_line("reload refused, nothing is changed: cannot listen on .*the port is taken")
            assert get(unused_port)[0] == 200
            assert other.end() == 0


def test_second_reload_supersedes_the_first(tmp_path: Path) -> None:
    """The candidate that still boots is given up, and never serves."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        site.boot("VERSION = 2\n(HERE / 'second-boots').touch()\ntime.sleep(3600)")
        site.hup()
        until((tmp_path / "second-boots").exists, "the first candidate boots")
        site.boot("VERSION = 3")
        site.hup()
        site.serving(generation=3)
        assert site.workers(generation=2) == {}
        assert "reload failed" not in site.said
        until(lambda: site.answer()[2] == "3", "the newest code answers")


def test_the_end_while_a_candidate_boots(tmp_path: Path) -> None:
    """It is killed, the others drain, and the status is 0."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        site.boot("(HERE / 'boots').touch()\ntime.sleep(3600)")
        site.hup()
        until((tmp_path / "boots").exists, "the candidate boots")


def _ask(port: int, path: str) -> None:
    try:
        get(port, path)
    except OSError:
        pass


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name

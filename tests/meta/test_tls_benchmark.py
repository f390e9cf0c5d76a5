"""The benchmark of TLS: it can be run, its servers answer, and what is written of them is right."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import tls, tls_peers
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.serve_tls import BEHIND_NGINX, configuration
from benchmarks.tls_hostile import hostile_clients
from benchmarks.tls_peers import COMMANDS, OURS, in_der, missing, served
from tests.certificates import issue, server_pem, write


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_server_does_whole_handshakes_of_tls_1_3_with_its_certificate(name: str) -> None:
    """Those that are installed; each request costs some time of the processor."""
    if problem := missing(name):
        pytest.skip(problem)
    assert tls.Row(name, name, tls.new_connections).cost(Path(server_pem()), 3) > 0


def test_both_parts_of_nginx_before_pastepool_keep_the_connection() -> None:
    """Beyond the 1,000 requests after which nginx closes by default."""
    if problem := missing(BEHIND_NGINX):
        pytest.skip(problem)
    with served(BEHIND_NGINX, Path(server_pem())) as server:
        tls.kept_over_tls(server, 1_001)


def test_another_certificate_fails_the_measurement(tmp_path: Path) -> None:
    """A server that uses another key could look cheaper than it is."""
    other = in_der(write(issue(), tmp_path / "other.pem").read_text(encoding="ascii"))
    with served(OURS, Path(server_pem())) as server, pytest.raises(ServerFailed, match="another certificate"):
        tls.new_connections(server._replace(certificate=other), 1)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (("TLSv1.3", False, True), ""),
        (("TLSv1.2", False, True), "the handshake was of TLSv1.2, not of TLSv1.3"),
        (("TLSv1.3", True, True), "the handshake resumed a session"),
        (("TLSv1.3", False, False), "the server has another certificate than it was given"),
    ],
)
def test_handshake_that_cannot_be_compared_is_a_sentence(found: tuple[str, bool, bool], sentence: str) -> None:
    """An older version, a resumed session and another certificate are cheaper."""
    assert tls.amiss(*found) == sentence


def test_servers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second round has them in reverse order, and the figures stay with their rows."""
    order: list[str] = []

    def cost(row: tls.Row, pem: Path, amount: int) -> float:
        order.append(row.label)
        return len(order)

    monkeypatch.setattr(tls.Row, "cost", cost)
    rows = [tls.Row(label, OURS, tls.kept_plain) for label in "abc"]
    assert tls.in_turns(rows, Path(), 1, 2) == {"a": [1, 6], "b": [2, 5], "c": [3, 4]}
    assert "".join(order) == "abccba"


def test_ratios_are_of_one_round() -> None:
    """So a slow round changes one ratio and not the result."""
    lines = list(tls.costs("a request", {"pastepool": [10.0, 40.0, 10.0], "granian": [20.0, 80.0, 30.0]}))
    assert lines[0] == "| a request | CPU, us | least to most | a second and core | times pastepool's |"
    assert lines[2] == "| pastepool | 10.0 | 10.0 to 40.0 | 100,000 | 1.00 |"
    assert lines[3] == "| granian | 30.0 | 20.0 to 80.0 | 33,333 | 2.00 |"


def test_other_servers_get_their_options_of_tls() -> None:
    """And the flags with which they are measured otherwise."""
    assert COMMANDS["granian"](1, 2, "a.pem")[-4:] == ["--ssl-certificate", "a.pem", "--ssl-keyfile", "a.pem"]
    assert COMMANDS["gthread"](1, 2, "a.pem")[-4:] == ["--certfile", "a.pem", "--keyfile", "a.pem"]
    for name in ("granian", "gthread"):
        assert COMMANDS[name](1, 2, "a.pem")[:-4] == tls_peers.ROWS[name].command(2)


def test_nginx_resumes_no_session_and_keeps_its_connections() -> None:
    """With one process and no access log, as the others."""
    text = configuration(1, 2, "a.pem")
    for line in ("worker_processes 1;", "access_log off;", "ssl_session_cache off;", "keepalive 16;"):
        assert line in text
    assert "server 127.0.0.1:1;" in text
    assert "listen 127.0.0.1:2 ssl" in text


def test_missing_server_is_left_out_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are measured."""
    monkeypatch.setattr(tls_peers, "NGINX", "")
    monkeypatch.setitem(sys.modules, "granian", None)
    assert tls.present()[:2] == ["pastepool", "bare"]
    said = capsys.readouterr().out
    assert "granian is left out: no module granian here; install the extra bench.\n" in said
    assert "nginx + pastepool is left out: no program nginx here; install it (Debian: apt-get install nginx).\n" in said


def test_hostile_clients_come_and_go() -> None:
    """Beside them a kept connection is answered."""
    with served(OURS, Path(server_pem())) as server, hostile_clients(server.tls, 2):
        tls.kept_over_tls(server, 5)
        tls.kept_plain(server, 5)


def test_missing_trustme_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(BenchError, match=r"trustme.*install the extra bench"):
        tls_peers.certificate(tmp_path, "ECDSA")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_cost_of_tls_can_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, as short as it can be."""
    table = tmp_path / "tls.md"
    words = ["--rounds", "1", "--new", "5", "--kept", "20", "--seconds", "1", "--hostile-of-each", "2"]
    assert tls.main([*words, "--table", str(table)]) == 0
    text = table.read_text()
    assert capsys.readouterr().out.endswith(text)
    there = len(tls.present())
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 4 * 2 + 4 * there + 5

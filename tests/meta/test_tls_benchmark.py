"""The benchmark of TLS: it can be run, and its servers answer."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import tls
from benchmarks.errors import BenchError
from tests.certificates import server_pem


@pytest.mark.parametrize("name", sorted(tls.SERVE))
def test_both_servers_answer_over_tls(name: str) -> None:
    """The one that is measured and the one beside it; each request costs some time of the processor."""
    with tls.served(name, Path(server_pem())) as server:
        assert tls.cost(server.session, 3, lambda: tls.new_connections(server.tls, 3)) > 0


def test_hostile_clients_come_and_go() -> None:
    """Beside them a kept connection is answered."""
    with tls.served(tls.OURS, Path(server_pem())) as server, tls.hostile_clients(server.tls, 2):
        tls.kept_connection(server.tls, 5, tls.trusting())
        tls.kept_connection(server.plain, 5, None)


def test_missing_trustme_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the remedy."""
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(BenchError, match=r"trustme.*install the extra bench"):
        tls.certificate(tmp_path, "ECDSA")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_cost_of_tls_can_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, as short as it can be."""
    table = tmp_path / "tls.md"
    words = ["--rounds", "1", "--new", "5", "--kept", "20", "--seconds", "1", "--hostile-of-each", "2"]
    assert tls.main([*words, "--table", str(table)]) == 0
    assert capsys.readouterr().out == table.read_text()
    lines = table.read_text().splitlines()
    assert len(lines) == 12
    assert all(line.count("|") == 4 for line in lines)

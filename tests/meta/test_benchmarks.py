"""The pure parts of the benchmarks: what is read, how rounds become ratios, how targets are judged, what is written."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from benchmarks import __main__ as command
from benchmarks import idle, instructions, life, load, measure, profile, report, tab, targets
from benchmarks.app import LARGE, ROUTES, app
from benchmarks.errors import BenchError, ServerFailed
from benchmarks.load import BROWSER_HEADERS, Load
from benchmarks.report import Results, Sample
from benchmarks.scenarios import SCENARIOS, Plan
from benchmarks.servers import ROOT, SERVERS, Server
from benchmarks.targets import TARGETS, Target, Verdict

STAT = (
    "4711 (a (strange) name) S 12 4711 4700 0 -1 4194560 100 200 0 0 "
    "150 50 30 20 20 0 10 0 12345 99999999 2560 18446744073709551615 1 1"
)


def results(*samples: Sample) -> Results:
    """Wrap samples as a run."""
    return Results({"machine": "a test"}, samples)


def cell(server: str, number: int, **figures: float) -> Sample:
    """Make a sample of the scenario hello."""
    return Sample(server, "hello", number, figures)


TWO_ROUNDS = results(
    cell("pastepool", 0, cpu_us=10.0, rate=100.0, errors=0),
    cell("granian", 0, cpu_us=20.0, rate=80.0, errors=0),
    cell("waitress", 0, cpu_us=300.0, rate=9.0, errors=0),
    cell("granian", 1, cpu_us=80.0, rate=20.0, errors=3),
    cell("pastepool", 1, cpu_us=60.0, rate=25.0, errors=0),
    Sample("waitress", "hello", 1, failure="waitress ended with status 1: it said nothing"),
)


# --- /proc


def test_stat_of_a_name_with_parentheses_is_read() -> None:
    """Fields of /proc/PID/stat are counted from the last parenthesis of the command's name."""
    stat = measure.parse_stat(STAT)
    assert (stat.pid, stat.session) == (4711, 4700)
    assert (stat.user, stat.kernel) == (150 * measure.TICK, 50 * measure.TICK)
    assert stat.reaped_cpu == pytest.approx(50 * measure.TICK)
    assert stat.rss_kib == 2560 * measure.PAGE_KIB


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_cpu_and_memory_of_this_process_are_what_the_kernel_says() -> None:
    """The CPU clock made of a pid is that process's own, and its session's sums are not below it."""
    mine = measure.parse_stat(Path("/proc/self/stat").read_text(encoding="utf-8"))
    before = time.process_time()
    seen = measure.exact_cpu(mine)
    assert before <= seen <= time.process_time()
    session = os.getsid(0)
    assert os.getpid() in [stat.pid for stat in measure.tree(session)]
    assert measure.cpu_seconds(session) >= before
    assert measure.rss_kib(session) > 1024


# --- wrk


def test_result_line_of_wrk_is_read_among_its_other_words() -> None:
    """The last line that carries the mark is the result; microseconds become seconds and milliseconds."""
    answered = load.parse(
        "Running 1s test\n  64 connections\n"
        'RESULT {"requests": 500, "microseconds": 2000000, "p50": 1500, "p99": 9000, "max": 12000, "errors": 2}\n'
    )
    assert answered == load.Answered(requests=500, seconds=2.0, p50_ms=1.5, p99_ms=9.0, errors=2, max_ms=12.0)
    assert answered.rate == 250.0


def test_output_without_a_result_is_the_servers_failure() -> None:
    """When wrk cannot connect its own words are in the failure."""
    with pytest.raises(ServerFailed, match="unable to connect"):
        load.parse("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_script_carries_headers_method_and_body() -> None:
    """The Lua script quotes header values and posts a body of the length asked for."""
    text = load.script(Load("/upload", headers=(("X-Quote", 'say "hi"'),), body=65536))
    assert 'wrk.headers["X-Quote"] = "say \\"hi\\""' in text
    assert 'wrk.method = "POST"' in text
    assert 'string.rep("x", 65536)' in text
    assert load.MARK in text


def test_browser_sends_twelve_headers() -> None:
    """With the Host that wrk adds itself the browser scenario has twelve different headers."""
    assert len({"Host", *BROWSER_HEADERS}) == 12


def test_missing_wrk_is_one_sentence_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without wrk on PATH the message names it and says how to install it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchError, match=r"wrk.*apt-get install wrk"):
        load.find_wrk()


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_wrk_takes_the_script_and_a_refused_port_is_a_failure() -> None:
    """The script is valid Lua for the real wrk, which then cannot connect: nobody listens on the port."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(ServerFailed, match="unable to connect"):
            load.run(Load("/hello", connections=1, headers=(("A", "b"),), body=1), nobody.getsockname()[1], 1)


# --- ratios


def test_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A slow second round changes both figures but hardly their ratio: 0.5 and 0.75, not 35 / 50."""
    assert TWO_ROUNDS.ratio("pastepool", ["granian"], "hello", "cpu_us") == pytest.approx(0.625)


def test_ratio_is_to_the_best_of_several() -> None:
    """Best is the lowest by default and the highest when told so; a rival without a figure is left out."""
    rivals = ["granian", "waitress"]
    assert TWO_ROUNDS.ratio("pastepool", rivals, "hello", "cpu_us") == pytest.approx(0.625)
    assert TWO_ROUNDS.ratio("pastepool", rivals, "hello", "cpu_us", max) == pytest.approx((10 / 300 + 60 / 80) / 2)


def test_ratio_without_a_common_round_is_none() -> None:
    """Where the rival was never measured there is no ratio rather than a wrong one."""
    assert TWO_ROUNDS.ratio("pastepool", ["bjoern"], "hello", "cpu_us") is None
    assert TWO_ROUNDS.ratio("pastepool", ["granian"], "idle", "cpu_us") is None


def test_figure_is_the_median_and_errors_are_the_worst_round() -> None:
    """An error in one of many rounds does not vanish in a median."""
    assert TWO_ROUNDS.figure("granian", "hello", "cpu_us") == 50.0
    assert TWO_ROUNDS.figure("granian", "hello", "errors") == 3
    assert TWO_ROUNDS.figure("bjoern", "hello", "errors") is None


# --- targets


def judged(bound: float, *, at_most: bool, rivals: tuple[str, ...] = (), ideal: float = 1.0) -> Verdict:
    """Judge the two rounds by one target on requests per second."""
    target = Target("t", "hello", "rate", bound, at_most=at_most, rivals=rivals, ideal=ideal)
    return targets.judge(TWO_ROUNDS, [target])[0]


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (judged(1.25, at_most=False, rivals=("granian",)), "reached"),
        (judged(1.26, at_most=False, rivals=("granian",)), "missed"),
        (judged(1.25, at_most=True, rivals=("granian",)), "reached"),
        (judged(1.24, at_most=True, rivals=("granian",)), "missed"),
        (judged(0.625, at_most=False, ideal=100.0), "reached"),
        (judged(1.0, at_most=False, rivals=("bjoern",)), "not measured"),
    ],
)
def test_target_is_reached_at_its_bound_and_missed_beyond(verdict: Verdict, word: str) -> None:
    """Bounds include themselves, in both directions; what was not measured is neither reached nor missed."""
    assert verdict.word == word


def test_every_target_names_a_scenario_and_servers_that_exist() -> None:
    """A target that no run could judge is a mistake in the table."""
    scenarios = {scenario.name for scenario in SCENARIOS}
    servers = {server.name for server in SERVERS}
    for target in TARGETS:
        assert target.scenario in scenarios, target.sentence
        assert set(target.rivals) <= servers, target.sentence


# --- tables


def test_scenario_table_shows_figures_ratios_and_failures() -> None:
    """A row per server with its ratios to pastepool, and a sentence for what failed."""
    text = report.scenario_table(TWO_ROUNDS, "hello")
    assert "| granian | 50.0 | 1.67 | 50 | 0.80 | - | - | - | 3 |" in text
    assert "| pastepool | 35.0 | 1.00 | 62 | 1.00 |" in text
    assert "- waitress failed: waitress ended with status 1: it said nothing" in text


def test_scenario_in_which_all_failed_has_sentences_and_no_table() -> None:
    """No figures, no empty table."""
    failed = results(Sample("bjoern", "hello", 0, failure="bjoern did not answer within 15 s"))
    assert report.scenario_table(failed, "hello") == "- bjoern failed: bjoern did not answer within 15 s"


def test_page_holds_machine_summary_verdicts_and_titles() -> None:
    """The generated file is whole: every part of it is there under its heading."""
    text = report.page(TWO_ROUNDS, {"hello": "hello, keep-alive"}, "THE VERDICTS")
    assert "- machine: a test" in text
    assert "| CPU/request, us | pastepool | granian | waitress |" in text
    assert "THE VERDICTS" in text
    assert "### hello, keep-alive" in text
    assert text.endswith("\n")


def test_samples_survive_the_json_file() -> None:
    """A table made from the file is the table of the run."""
    assert report.from_json(report.to_json(TWO_ROUNDS)) == TWO_ROUNDS


def test_verdicts_are_a_table() -> None:
    """Bound, ratio and verdict stand in one row."""
    assert "| t | at least 1.25 | 1.250 | reached |" in targets.table(
        [judged(1.25, at_most=False, rivals=("granian",))]
    )


# --- profile


def test_self_time_is_counted_by_innermost_frame() -> None:
    """Stacks that end in the same place are one row, by package, by file or by line; an empty line is none."""
    raw = (
        "run (a/b.py:1);send (pkg/net/out.py:7) 3\nsend (pkg/net/out.py:7) 2\nrun (a/b.py:1);poll (pkg/poll.py:2) 5\n\n"
    )
    assert profile.self_time(raw, 1) == {"pkg": 10}
    assert profile.self_time(raw, 9) == {"pkg/net/out.py": 5, "pkg/poll.py": 5}
    assert profile.self_time(raw, profile.ALL_FRAMES) == {"send (pkg/net/out.py:7)": 5, "poll (pkg/poll.py:2)": 5}
    page = profile.page(raw, kernel=0.25)
    assert "25% of the CPU time is spent in the kernel." in page
    assert "By file:\n\n| where | share |\n| --- | --: |\n| `pkg/net/out.py` | 50.0% |" in page


# --- the command


def test_unknown_name_is_one_sentence_with_the_known_ones() -> None:
    """A server or scenario that does not exist is refused, with the list of those that do."""
    with pytest.raises(BenchError, match="'apache' is not one of pastepool, granian"):
        command.chosen(SERVERS, "apache")
    assert [row.name for row in command.chosen(SERVERS, "bjoern,pastepool")] == ["pastepool", "bjoern"]
    assert command.chosen(SCENARIOS, None) == list(SCENARIOS)


def test_only_a_run_of_everything_writes_the_manuals_table_unasked() -> None:
    """A partial or quick run never overwrites the figures of a whole one."""
    assert command.arguments([]).table == str(command.TABLE)
    for partial in (["--quick"], ["--servers", "granian"], ["--scenarios", "hello"], ["--read", "x"]):
        assert command.arguments(partial).table is None, partial
    assert command.arguments(["--quick", "--table", "t"]).table == "t"


def test_quick_is_pastepool_alone_for_a_second() -> None:
    """The smoke mode stays small."""
    quick = command.arguments(["--quick"])
    assert (quick.servers, quick.seconds, quick.rounds, quick.idle) == ("pastepool", 1, 1, 1000)


def test_server_that_is_not_installed_is_skipped_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing rival is a line that says how to get it; with none at all there is nothing to measure."""
    absent = Server("absent", "no_such_module.at_all", "no-such-distribution", "pip install it", lambda port: [])
    here = Server("here", "json", "no-such-distribution", "", lambda port: [])
    assert command.present([absent, here]) == [here]
    assert "absent is left out: no module no_such_module.at_all here; pip install it." in capsys.readouterr().out
    with pytest.raises(BenchError, match="None of the servers"):
        command.present([absent])


def test_read_makes_the_table_again_and_fails_on_errors_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier run's samples give the same page; exit status 1 only when pastepool itself had errors."""
    samples = tmp_path / "samples.json"
    samples.write_text(report.to_json(TWO_ROUNDS), encoding="utf-8")
    table = tmp_path / "deep" / "table.md"
    assert command.main(["--read", str(samples), "--table", str(table)]) == 0
    assert table.read_text(encoding="utf-8") in capsys.readouterr().out
    samples.write_text(report.to_json(results(cell("pastepool", 0, rate=1.0, errors=1))), encoding="utf-8")
    assert command.main(["--read", str(samples)]) == 1


def test_failing_server_gives_a_sample_that_says_why() -> None:
    """A server that dies at the start is a sentence with its last words, and not the end of the run."""
    dying = Server(
        "dying", "json", "none", "", lambda port: [sys.executable, "-c", "print('no luck'); raise SystemExit(7)"]
    )
    sample = command.measured(dying, SCENARIOS[0], Plan(seconds=1, idle_connections=1), 0)
    assert sample.failure == "dying ended with status 7: no luck"
    assert sample.figures == {}


def test_importing_the_command_measures_nothing() -> None:
    """``--help`` answers without wrk, servers or /proc."""
    asked = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--quick" in asked.stdout


# --- the application


def called(path: str, **extra: Any) -> tuple[str, bytes]:
    """Call the application under PEP 3333's validator; gives status and body."""
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ.update(extra)
    told: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        told.append(status)
        return lambda data: None

    body: Any = validator(app)(environ, start_response)
    try:
        sent = b"".join(body)  # first: a generator tells its status only once it is asked for something
        return "".join(told), sent
    finally:
        body.close()


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_is_a_valid_application(path: str) -> None:
    """wsgiref's validator finds nothing, so a server that fails on a route fails by itself."""
    assert called(path)[1]


@pytest.mark.parametrize(("path", "length"), [("/large", len(LARGE)), ("/stream", 100 * 1024)])
def test_large_answers_are_as_large_as_the_titles_say(path: str, length: int) -> None:
    """100 KB at once, and 100 KB in a hundred pieces."""
    assert len(called(path)[1]) == length


def test_upload_is_read_whole_and_unknown_paths_are_404() -> None:
    """The upload's answer is its length; a 404 is what wrk counts as an error."""
    assert called("/upload", CONTENT_LENGTH="5", **{"wsgi.input": io.BytesIO(b"12345")}) == ("200 OK", b"5\n")
    assert called("/elsewhere") == ("404 Not Found", b"")


def test_every_scenario_asks_for_a_route_that_exists() -> None:
    """A misspelt path would measure how fast a 404 is."""
    asked: Iterable[Load] = [row.load for row in SCENARIOS] + [row.beside for row in SCENARIOS if row.beside]
    assert {one.path for one in asked} <= set(ROUTES)


def test_servers_with_processes_are_started_with_as_many() -> None:
    """Each in its own words; a server that cannot have several is told, and left out if none is named."""
    rows = {server.name: server for server in SERVERS}
    for name, words in (("pastepool", ["80", "3"]), ("granian", ["--workers", "3"]), ("gthread", ["--workers", "3"])):
        started = rows[name].with_processes(3).command(80)
        assert any(started[place : place + 2] == words for place in range(len(started)))
        assert len(started) - len(rows[name].command(80)) == (name == "pastepool")
    with pytest.raises(BenchError, match="bjoern cannot serve with 3 processes"):
        rows["bjoern"].with_processes(3)
    assert command.arguments(["--processes", "2"]).servers == "pastepool,granian,gthread"


# --- idle connections


def test_idle_connections_are_spread_over_source_addresses() -> None:
    """10,000 connections need two of loopback's addresses, whose ports are enough for each."""
    assert {idle.source_address(number) for number in range(10_000)} == {"127.0.1.1", "127.0.1.2"}


def test_connection_is_still_open_until_the_server_ends_it() -> None:
    """Silence is an open connection, an end of input is a closed one."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        assert idle.still_open(ours)
        theirs.close()
        assert not idle.still_open(ours)


# --- the open tab


def test_fixed_number_of_requests_ends_the_load() -> None:
    """The script counts answers, and those that are not 200, and ends wrk at the last."""
    text = load.script(Load("/hello", requests=5))
    assert "wanted = 0, 0, 5" in text and "os.exit" in text and "\\n" in text
    assert "response =" not in load.script(Load("/hello"))


def test_tab_is_judged_round_by_round() -> None:
    """The ratio is the median of the rounds' own, so that a machine that slows down slows both."""
    found = [
        {tab.NO_LISTENER: 10 * slow, tab.NO_TAB: 10 * slow, tab.ONE_TAB: 10.1 * slow, tab.OWN_THREAD: 0.02 * slow}
        for slow in (1.0, 1.5, 9.0)
    ]
    assert tab.spread(tab.ratios(found, tab.ONE_TAB, tab.NO_TAB)) == pytest.approx((1.01, 1.01, 1.01))
    written = tab.tables(found)
    assert "| admin_listen, one tab / admin_listen, no tab | 1.0100 | 1.0100 to 1.0100 |" in written
    assert "| admin_listen, one tab | 15.15 | 12.62 to 53.02 |" in written
    assert tab.spread([2.0]) == (2.0, 2.0, 2.0)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
def test_cost_of_a_tab_can_be_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way, as short as it can be: two servers, a stream, a load, and a server whose workers hang."""
    status = tab.main(["--rounds", "1", "--requests", "200", "--workers", "3", "--seconds", "0.1"])
    said = capsys.readouterr()
    assert status in (0, 1) and said.err == ""
    assert "1 round of 200 requests each." in said.out
    assert "| workers, all hung |" in said.out and "| 3 |" in said.out


# --- instructions


def test_request_of_a_load_is_what_wrk_would_send() -> None:
    """With its fields and as much content as it says."""
    loads = {row.name: row.load for row in SCENARIOS}
    assert instructions.request(loads["hello"], 80) == b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"
    head, _, content = instructions.request(loads["upload"], 80).partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: 65536" in head
    assert len(content) == 65536


@pytest.mark.parametrize(
    "framed", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
)
def test_answer_is_read_to_its_end(framed: bytes) -> None:
    """Framed by its length or in chunks, in whatever pieces it comes; an error and an early end are told."""
    mine, peer = socket.socketpair()
    with mine, peer:
        mine.settimeout(5.0)
        peer.sendall(b"HTTP/1.1 200 OK\r\n" + framed)
        instructions.read_answer(mine)
        peer.sendall(b"HTTP/1.1 404 Not Found\r\n" + framed)
        with pytest.raises(ServerFailed, match="404"):
            instructions.read_answer(mine)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        peer.close()
        with pytest.raises(ServerFailed, match="the connection ended"):
            instructions.read_answer(mine)


def test_scenario_that_cannot_be_counted_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Its count would depend on the scheduler. The error names those that can be."""
    assert instructions.main(["block-10ms"]) == 1
    assert "block-10ms: not one of hello, browser" in capsys.readouterr().err


# --- several processes


def test_event_that_a_server_has_no_means_for_is_a_row() -> None:
    """Nothing is started for it."""
    granian = next(fleet for fleet in life.FLEETS if fleet.name == "granian")
    row = life.disturbed(granian, life.DEADLOCK, life.arguments([]))
    assert row == "| deadlock | granian | does not notice it | | | |"


def test_both_loads_are_put_together() -> None:
    """Errors are added up; the worse of the two counts for the rest."""
    both = [load.Answered(10, 1.0, 1.0, 5.0, 1, 9.0), load.Answered(10, 1.0, 1.0, 4.0, 2, 30.0)]
    cost = life.Cost.of(both)
    assert cost == life.Cost(3, 5.0, 30.0)
    assert cost.beside(life.Cost(0, 4.0, 8.0)).ratio == 1.25


def test_rounds_of_an_event_are_their_medians_and_the_worst_of_them() -> None:
    """No error and no slow answer vanishes in a median."""
    rounds = [life.Cost(0, 10.0, 12.0, 1.0), life.Cost(2, 11.0, 40.0, 1.1), life.Cost(0, 90.0, 95.0, 9.0)]
    assert life.cells(rounds) == "2 | 11.0 | 1.10 | 95"


def test_servers_with_processes_are_those_of_the_other_benchmark() -> None:
    """An unknown one is refused with those that are known; one that is not installed is left out with a sentence."""
    assert {fleet.name for fleet in life.FLEETS} <= {server.name for server in SERVERS}
    assert [fleet.name for fleet in life.present("pastepool")] == ["pastepool"]
    with pytest.raises(BenchError, match="apache: not one of pastepool, gthread"):
        life.present("apache")


@pytest.mark.slow
@pytest.mark.skipif(not life.PASTER.exists(), reason="needs PasteScript")
def test_requests_in_progress_survive_the_parent() -> None:
    """All are answered, and the port is free; so the row of pastepool is whole."""
    row = life.orphaned(life.FLEETS[0])
    assert re.fullmatch(r"\| pastepool \| 8 of 8 \| \d+\.\d\d s \|", row), row


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
@pytest.mark.parametrize("event", [life.RELOAD, life.KILL])
def test_cost_of_an_event_can_be_measured(event: str) -> None:
    """A reload makes no error; that of a killed worker is bounded by the requests that it had."""
    row = life.disturbed(life.FLEETS[0], event, life.arguments(["--seconds", "4"]))
    errors = int(row.split("|")[3])
    assert errors == 0 if event == life.RELOAD else errors <= life.KEPT.connections + life.NEW.connections

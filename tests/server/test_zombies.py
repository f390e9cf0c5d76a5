"""One zombie too many: the process ends in good order (contract P10). What cannot keep it: ``test_end_by_zombies``."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from tests.server.zombies import CRITICAL, HELD_FOR_EVER, Dying
from tests.waiting import WATCHDOG


def test_what_runs_is_finished(tmp_path: Path) -> None:
    """A request that can end is answered to its end, and only then the process ends, with status 3."""
    with Dying(tmp_path, HELD_FOR_EVER, shutdown_timeout=WATCHDOG) as program, contextlib.ExitStack() as stack:
        held = stack.enter_context(program.client())
        held.ask("/held")
        program.await_call("/held")
        asked = program.hang(stack)
        assert [client.response().status for client in asked] == [504, 504]
        program.await_line(CRITICAL)
        program.await_line("stopping: ")
        assert program.process.poll() is None
        program.open_gate()
        assert held.response().body == b"/held"
        assert program.wait() == 3


def test_what_cannot_be_finished_is_given_up_at_shutdown_timeout(tmp_path: Path) -> None:
    """A request that does not end either costs ``shutdown_timeout``; its stack is logged; the status is 3 all the same."""
    with Dying(tmp_path, HELD_FOR_EVER, shutdown_timeout=0.3) as program, contextlib.ExitStack() as stack:
        held = stack.enter_context(program.client())
        held.ask("/held")
        program.await_call("/held")
        program.hang(stack)
        assert program.wait() == 3
        assert held.ended()
    assert re.search(r"ERROR .* did not stop: GET /held\n(.*\n)*.*in wait_at_gate", program.said)


def test_one_zombie_less_is_left_alone(tmp_path: Path) -> None:
    """As many as allowed are not too many: the process serves on."""
    with Dying(tmp_path) as program, contextlib.ExitStack() as stack:
        [client] = program.hang(stack, 1)
        assert client.response().status == 504
        program.await_line(r"again \(attempt 2\)")
        with program.client() as other:
            assert other.get("/fine").body == b"/fine"
        assert program.process.poll() is None

"""What cannot keep a process that ends by its zombies, and cannot change its status (contract P11)."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from tests.server.post_office import PostOffice
from tests.server.zombies import Dying
from tests.waiting import WATCHDOG

PREPARED = """
from pastepool.runtime.system import forced_exit
from pastepool.server import life
life._EXIT_MARGIN = forced_exit._EXIT_FUNCTIONS_FOR = 0.3  # so that a test may wait for them
born = time.monotonic()


def tell_age():
    say("lived for %.6f s" % (time.monotonic() - born))


def fails(*arguments, **keywords):
    say("this fails")
    raise OSError("it fails")


class Broken(logging.Handler):
    broken = False

    def handle(self, record):
        self.broken = self.broken or record.levelno == logging.CRITICAL
        if self.broken:
            fails()


"""

BEHAVIOURS = {
    "behaves": """
        atexit.register(tell_age)
        """,
    "threads": """
        from concurrent.futures import ThreadPoolExecutor
        ThreadPoolExecutor(1).submit(hang)
        threading.Thread(target=hang).start()
        atexit.register(say, "goodbye")
        """,
    "exit function hangs": """
        from logging.handlers import MemoryHandler
        target = logging.StreamHandler(sys.stdout)
        target.setFormatter(logging.Formatter("held back: %(message)s"))
        logging.getLogger().addHandler(MemoryHandler(10_000, flushLevel=1000, target=target))
        atexit.register(hang)
        """,
    "mails": "",
    "mail server hangs": "",
}
"""What is done in a process before its server is made, and what it has to live with."""

FAILURES = {
    "listener": "from pastepool.runtime.sockets.acceptor import Acceptor; Acceptor.close = fails",
    "poller": "from pastepool.runtime.http.poller import Poller; Poller.close = fails",
    "pool": "from pastepool.runtime.pool.pool import Pool; Pool.close = fails",
    "sampler": "from pastepool.runtime.watching.sampler import Sampler; Sampler.close = fails",
    "mail that is asked for": "from pastepool.runtime.mail.mailer import Mailer; Mailer.submit = fails",
    "mail that is waited for": "from pastepool.runtime.mail.mailer import Mailer; Mailer.close = fails",
    "wake of the main thread": "from pastepool.runtime.pool.caretaker import Caretaker; Caretaker.finish = fails",
    "main thread": """
        from pastepool.runtime.pool.caretaker import Caretaker
        take_care = Caretaker.take_care
        Caretaker.take_care = lambda self, poller: fails(take_care(self, poller))
        """,
    "log": "logging.getLogger().addHandler(Broken())",
    "exit function": "atexit.register(fails)",
}

FORCED = {"listener", "wake of the main thread"}
"""Failures after which nothing but the end of ``shutdown_timeout`` ends the process."""


class End(NamedTuple):
    """How a process ended, what it said, and the subjects of what it mailed."""

    status: int
    said: str
    mails: list[str]


Ends = Callable[[str], End]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """How each of them ended; they live at the same time, because each lives for a second at least."""
    scenes = {**BEHAVIOURS, **FAILURES}
    listener = socket.create_server(("127.0.0.1", 0))
    with listener as silent, PostOffice() as office, ThreadPoolExecutor(6) as executor:
        silent.settimeout(WATCHDOG)
        post = {"mails": office.port, "mail server hangs": silent.getsockname()[1]}

        def end(name: str, folder: Path) -> End:
            options: dict[str, object] = {"shutdown_timeout": 0.5 if name in FORCED else WATCHDOG}
            if name in post:
                options |= {"error_email": "ops@example.org", "smtp_server": f"127.0.0.1:{post[name]}"}
            with Dying(folder, PREPARED + dedent(scenes[name]), **options) as program:
                status = program.end_by_zombies()
            if name == "mail server hangs":
                silent.accept()[0].close()  # it did knock
            return End(status, program.said, office.mails if name == "mails" else [])

        futures = {name: executor.submit(end, name, tmp_path_factory.mktemp("end")) for name in scenes}
    return lambda name: futures[name].result()


def test_process_is_slow_to_die_early(ends: Ends) -> None:
    """Too many zombies within half a second after it began to serve: it ends, but not before a second has passed."""
    end = ends("behaves")
    assert end.status == 3
    [lived] = re.findall(r"lived for (\S+) s", end.said)
    assert float(lived) >= 1.0


def test_exit_functions_run_and_threads_are_not_joined(ends: Ends) -> None:
    """Exit functions run; a thread that is no daemon and one of an executor, both of which hang, keep nobody."""
    end = ends("threads")
    assert end.status == 3
    assert "goodbye\n" in end.said


def test_exit_function_that_hangs_does_not_keep_the_process(ends: Ends) -> None:
    """It costs its time limit."""
    assert ends("exit function hangs").status == 3


def test_last_lines_of_the_log_are_flushed(ends: Ends) -> None:
    """What a handler holds back is written, although logging's own exit function never comes to it."""
    assert "held back: end the process: 2 zombies" in ends("exit function hangs").said


def test_mail_says_that_the_process_dies(ends: Ends) -> None:
    """It is out before the process ends (contract P12)."""
    end = ends("mails")
    assert end.status == 3
    assert any("the process dies: 2 zombies" in subject for subject in end.mails)


def test_mail_server_that_hangs_does_not_keep_the_process(ends: Ends) -> None:
    """It takes the connection and never answers: the wait for it is bounded."""
    assert ends("mail server hangs").status == 3


@pytest.mark.parametrize("failure", FAILURES)
def test_status_is_3_whatever_fails_at_the_end(failure: str, ends: Ends) -> None:
    """A monitor that starts again on 3 does so, also where a part of the server, the log or an exit function failed."""
    end = ends(failure)
    assert "this fails" in end.said
    assert end.status == 3, end.said

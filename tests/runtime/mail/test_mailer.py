"""Mail to operators: against a real mail server, against ones that fail, and against too much of it."""

from __future__ import annotations

import logging
import os
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from pastepool.core.telling.notices import BecameHung, HungKilled, MailRate, Notice, Origin, ProcessDies, TaskReport
from pastepool.runtime.mail import mailer, smtp
from pastepool.runtime.mail.mailer import ATTEMPTS, OUTBOX_LIMIT, QUEUE_LIMIT, RETRY_AFTER, Mailer, envelope
from pastepool.runtime.mail.smtp import Route, deliver, tls_context
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.settings.values import MailSettings
from pastepool.testing import FakeClock
from pastepool.types import Clock
from tests.waiting import WATCHDOG

if TYPE_CHECKING:
    import trustme

CLOCK = MonotonicClock()
SETTINGS = MailSettings(
    recipients=("ops@example.com", "dba@example.com"),
    sender="errors@example.com",
    subject_prefix="[shop]",
    host="127.0.0.1",
    port=25,
    username="",
    password="",
    use_tls=False,
)
ORIGIN = Origin("web1.example.com", 4711, "shop.ini")


def killed(title: str = "GET /slow") -> HungKilled:
    """Make a notice about one killed request."""
    return HungKilled((TaskReport(worker=3, title=title, ran_for=1800.0, diagnosis="blocked"),))


class PostOffice(Controller):
    """A real mail server on a port of the kernel's choosing, which keeps what it is given."""

    def __init__(self, **options: Any) -> None:
        self.received: list[tuple[Envelope, EmailMessage]] = []
        self.arrived = threading.Event()
        self.logins: list[LoginPassword] = []
        super().__init__(self, hostname="127.0.0.1", port=0, authenticator=self.login, **options)

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        """Let in everybody who knows the password."""
        self.logins.append(data)
        return AuthResult(success=data == LoginPassword(b"pool", b"s3cret"), handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep the mail."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.received.append((envelope, mail))
        self.arrived.set()
        return "250 kept"

    def only_mail(self) -> tuple[Envelope, EmailMessage]:
        """Return the one mail that has come."""
        assert self.arrived.wait(WATCHDOG), "no mail came"
        assert len(self.received) == 1
        return self.received[0]


@contextmanager
def post_office(**options: Any) -> Iterator[PostOffice]:
    """Run a mail server."""
    office = PostOffice(**options)
    office.start()
    try:
        yield office
    finally:
        office.stop()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority nobody knows but who is told."""
    maker = pytest.importorskip(
        "trustme", reason="trustme needs cffi, which has no build for free-threaded CPython 3.13"
    )
    made: trustme.CA = maker.CA()
    return made


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server for 127.0.0.1 needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> Callable[[str], ssl.SSLContext]:
    """Trust one authority, and verify everything."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return lambda address: context


@contextmanager
def silent_server() -> Iterator[int]:
    """Listen on a port where connections succeed and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class Recorder:
    """Delivers by writing down; fails while told to."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.tries = 0
        self.failure: Exception | None = None

    def __call__(self, mail: EmailMessage, route: Route, clock: Clock) -> None:
        """Take one mail."""
        self.tries += 1
        if self.failure is not None:
            raise self.failure
        self.mails.append(mail)

    @property
    def subjects(self) -> list[str]:
        """What the mails delivered so far are about, without prefix and host."""
        return [str(mail["Subject"]).partition(": ")[2] for mail in self.mails]


class Desk:
    """A mailer that runs on a clock that stands still, and the server it delivers to."""

    def __init__(self, rate: MailRate | None = None) -> None:
        self.clock = FakeClock()
        self.server = Recorder()
        self.mailer = Mailer(SETTINGS, self.clock, rate=rate or MailRate(collect=0.0), deliver=self.server)

    def submit(self, *notices: Notice) -> None:
        """Hand notices in, and wait until the mailer has done with them what it can do now."""
        for notice in notices:
            self.mailer.submit(notice)
        self.clock.settle()


@contextmanager
def desk(rate: MailRate | None = None, start: bool = True) -> Iterator[Desk]:
    """Run a mailer against a clock and a server of the test's own."""
    made = Desk(rate)
    if start:
        made.mailer.start()
        made.clock.settle()
    try:
        yield made
    finally:
        made.server.failure = None
        made.mailer.close(0.0)


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as a warning on the mailer's logger."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "pastepool.mail" and record.levelno == logging.WARNING
    ]


# ------------------------------------------------------------------------------------------------- to a real server


def test_a_notice_arrives_as_a_complete_mail() -> None:
    """A mail has every header a mail must have, all recipients, the prefix, and says who is speaking."""
    with post_office() as office:
        sender = Mailer(replace(SETTINGS, port=office.port), CLOCK, config_file="shop.ini")
        sender.start()
        sender.submit(killed())
        envelope, mail = office.only_mail()
        assert sender.close(WATCHDOG)
    assert envelope.rcpt_tos == ["ops@example.com", "dba@example.com"]
    assert envelope.mail_from == "errors@example.com"
    assert mail["To"] == "ops@example.com, dba@example.com"
    assert mail["From"] == "errors@example.com"
    assert mail["Subject"] == f"[shop] {socket.gethostname()}: killed GET /slow after 1800 s"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].startswith("<")
    assert parsedate_to_datetime(mail["Date"]) is not None
    body = mail.get_content()
    for fact in (socket.gethostname(), str(os.getpid()), "shop.ini", "GET /slow", "blocked"):
        assert fact in body


def test_a_mail_in_any_script_arrives_unharmed() -> None:
    """Subject, path and recipients' words outside of ASCII come out as they went in, over a 7-bit line."""
    title = "GET /größe/日本語/🐍"
    with post_office() as office:
        route = replace(SETTINGS, port=office.port, subject_prefix="[Büro]")
        deliver(envelope(killed(title), route, ORIGIN), route, CLOCK)
        received, mail = office.only_mail()
    assert isinstance(received.content, bytes)
    assert received.content.isascii()
    assert mail["Subject"] == f"[Büro] web1.example.com: killed {title} after 1800 s"
    assert title in mail.get_content()


def test_what_no_mail_can_hold_is_escaped() -> None:
    """A path with a line break or a lone surrogate neither breaks the headers nor loses the mail."""
    with post_office() as office:
        route = replace(SETTINGS, port=office.port)
        deliver(envelope(killed("GET /a\r\nBcc: x@evil\udcff"), route, ORIGIN), route, CLOCK)
        received, mail = office.only_mail()
    assert mail["Bcc"] is None
    assert received.rcpt_tos == list(SETTINGS.recipients)
    assert mail["Subject"].endswith("killed GET /a\\r\\nBcc: x@evil\\udcff after 1800 s")


def test_a_host_name_that_is_no_domain_does_not_spoil_the_message_id() -> None:
    """The Message-ID is well formed whatever the machine is called."""
    named = envelope(killed(), SETTINGS, Origin("web1.example.com", 1))
    odd = envelope(killed(), SETTINGS, Origin("büro rechner", 1))
    assert named["Message-ID"].endswith("@web1.example.com>")
    assert odd["Message-ID"].endswith("@localhost>")


def test_starttls_and_login_work_together(server_tls: ssl.SSLContext, authority: trustme.CA) -> None:
    """The line is encrypted first, the certificate verified, and only then the password sent."""
    with post_office(tls_context=server_tls, require_starttls=True, auth_required=True) as office:
        route = replace(SETTINGS, port=office.port, use_tls=True, username="pool", password="s3cret")
        deliver(envelope(killed(), route, ORIGIN), route, CLOCK, context_for=trusting(authority))
        office.only_mail()
        assert office.logins == [LoginPassword(b"pool", b"s3cret")]


def test_on_the_loopback_interface_any_certificate_does(server_tls: ssl.SSLContext) -> None:
    """A relay on the same machine with a certificate nobody signed takes mail over STARTTLS."""
    with post_office(tls_context=server_tls, require_starttls=True) as office:
        route = replace(SETTINGS, port=office.port, use_tls=True)
        deliver(envelope(killed(), route, ORIGIN), route, CLOCK)
        office.only_mail()


@pytest.mark.parametrize(("address", "verified"), [("10.0.0.5", True), ("2001:db8::1", True), ("mail", True)])
def test_elsewhere_certificates_are_verified(address: str, verified: bool) -> None:
    """Away from the loopback interface a certificate must be signed and bear the server's name."""
    context = tls_context(address)
    assert (context.verify_mode is ssl.CERT_REQUIRED, context.check_hostname) == (verified, verified)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_addresses_are_recognised(address: str) -> None:
    """Every address of the loopback interface is exempt, by number and never by name."""
    assert tls_context(address).verify_mode is ssl.CERT_NONE


def test_a_server_that_cannot_prove_who_it_is_gets_no_mail_and_no_password(server_tls: ssl.SSLContext) -> None:
    """With an unknown authority the delivery fails before anything is given away."""
    with post_office(tls_context=server_tls, require_starttls=True) as office:
        route = replace(SETTINGS, port=office.port, use_tls=True, username="pool", password="s3cret")
        with pytest.raises(ssl.SSLCertVerificationError):
            deliver(
                envelope(killed(), route, ORIGIN),
                route,
                CLOCK,
                context_for=lambda address: ssl.create_default_context(),
            )
        assert (office.received, office.logins) == ([], [])


def test_encryption_is_never_given_up_quietly() -> None:
    """A server that offers no STARTTLS is an error when TLS was asked for."""
    with post_office() as office:
        route = replace(SETTINGS, port=office.port, use_tls=True)
        with pytest.raises(smtplib.SMTPNotSupportedError):
            deliver(envelope(killed(), route, ORIGIN), route, CLOCK)
        assert office.received == []


def test_tls_from_the_first_byte_is_spoken_where_servers_expect_it(
    server_tls: ssl.SSLContext, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the port for implicit TLS the same setting means TLS at once."""
    with post_office(ssl_context=server_tls) as office:
        monkeypatch.setattr(smtp, "IMPLICIT_TLS_PORT", office.port)
        route = replace(SETTINGS, port=office.port, use_tls=True)
        deliver(envelope(killed(), route, ORIGIN), route, CLOCK, context_for=trusting(authority))
        office.only_mail()
        with pytest.raises(ssl.SSLCertVerificationError):
            deliver(
                envelope(killed(), route, ORIGIN),
                route,
                CLOCK,
                context_for=lambda address: ssl.create_default_context(),
            )


def test_a_wrong_password_is_an_error(server_tls: ssl.SSLContext) -> None:
    """A login that is refused fails the delivery."""
    with post_office(tls_context=server_tls, require_starttls=True, auth_required=True) as office:
        route = replace(SETTINGS, port=office.port, use_tls=True, username="pool", password="wrong")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            deliver(envelope(killed(), route, ORIGIN), route, CLOCK)
        assert office.received == []


def test_what_the_server_says_to_a_goodbye_changes_nothing() -> None:
    """Once the server has taken a mail it is delivered, whatever happens to the connection afterwards."""

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 here\r\n")
            for line in lines:
                verb = line[:4].upper()
                if verb == b"QUIT":
                    return
                if verb == b"DATA":
                    connection.sendall(b"354 go on\r\n")
                    while next(lines) != b".\r\n":
                        pass
                connection.sendall(b"250 fine\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer, args=(listener,))
        server.start()
        route = replace(SETTINGS, port=listener.getsockname()[1])
        deliver(envelope(killed(), route, ORIGIN), route, CLOCK)
        server.join(WATCHDOG)


# ----------------------------------------------------------------------------------------- to a server that fails


def test_a_server_that_never_answers_is_given_up() -> None:
    """Every step has a timeout."""
    with silent_server() as port:
        route = replace(SETTINGS, port=port)
        with pytest.raises(OSError, match="timed out"):
            deliver(envelope(killed(), route, ORIGIN), route, CLOCK, operation_timeout=0.05)


def test_a_step_that_ends_with_the_whole_says_so() -> None:
    """Whichever limit is reached is named, also by a server that says nothing."""
    with silent_server() as port:
        route = replace(SETTINGS, port=port)
        with pytest.raises(OSError, match=r"longer than 0\.05 s in all"):
            deliver(envelope(killed(), route, ORIGIN), route, CLOCK, delivery_timeout=0.05)


def test_a_server_that_never_ends_its_answer_is_given_up() -> None:
    """The whole has a limit too: a server that always says a little more would never miss a step's timeout."""

    def chatter(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                while True:
                    connection.sendall(b"220-and another thing\r\n")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=chatter, args=(listener,))
        server.start()
        route = replace(SETTINGS, port=listener.getsockname()[1])
        with pytest.raises(OSError, match=r"longer than 0\.1 s in all"):
            deliver(envelope(killed(), route, ORIGIN), route, CLOCK, delivery_timeout=0.1)
        server.join(WATCHDOG)
        assert not server.is_alive()


def test_a_server_that_hangs_up_is_an_error() -> None:
    """An end of the connection in the middle of a line is no answer."""

    def hang_up(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"220 hel")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=hang_up, args=(listener,))
        server.start()
        route = replace(SETTINGS, port=listener.getsockname()[1])
        with pytest.raises(smtplib.SMTPException):
            deliver(envelope(killed(), route, ORIGIN), route, CLOCK)
        server.join(WATCHDOG)


def test_nobody_waits_for_a_server_that_hangs() -> None:
    """While a delivery hangs, notices are taken at once, and ``close`` waits no longer than it was told."""
    entered, given_up = threading.Event(), threading.Event()

    def hanging(mail: EmailMessage, route: Route, clock: Clock) -> None:
        entered.set()
        try:
            deliver(mail, route, clock)
        finally:
            given_up.set()

    with silent_server() as port:
        sender = Mailer(replace(SETTINGS, port=port), CLOCK, deliver=hanging)
        sender.start()
        sender.submit(killed())
        assert entered.wait(WATCHDOG)
        for _ in range(QUEUE_LIMIT + 50):
            sender.submit(killed())
        assert not sender.close(0.05)
        assert not given_up.is_set()
    # The server's end resets the connection: that ends the wait.
    assert given_up.wait(WATCHDOG)


def test_a_refused_connection_costs_one_warning_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """However many notices come, a server that is not there is asked once a minute, and the log says so once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    clock = FakeClock()
    sender = Mailer(replace(SETTINGS, port=port), clock, rate=MailRate(collect=0.0))
    sender.start()
    for minute in range(3):
        for _ in range(4):
            sender.submit(killed())
            clock.settle()
            clock.advance(RETRY_AFTER / 4)
        assert len(warnings_in(caplog)) == minute + 1 + 1
    assert f"could not mail ops@example.com, dba@example.com through 127.0.0.1:{port}: " in warnings_in(caplog)[0]
    assert warnings_in(caplog)[0].endswith("1 mail waiting, next try in 60 s")
    sender.close(0.0)


def test_the_password_is_in_no_warning(caplog: pytest.LogCaptureFixture, server_tls: ssl.SSLContext) -> None:
    """A failed login is reported without what was tried."""
    with post_office(tls_context=server_tls, require_starttls=True, auth_required=True) as office:
        route = replace(SETTINGS, port=office.port, use_tls=True, username="pool", password="hunter2")
        sender = Mailer(route, CLOCK)
        sender.start()
        sender.submit(killed())
        assert not sender.close(WATCHDOG)
    assert len(warnings_in(caplog)) == 2
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(route)


def test_a_server_that_comes_back_gets_what_waited() -> None:
    """Mails that could not be sent are sent a minute later, oldest first."""
    with desk() as at:
        at.server.failure = ConnectionRefusedError("refused")
        at.submit(killed("GET /1"))
        at.submit(killed("GET /2"))
        at.server.failure = None
        at.clock.advance(RETRY_AFTER - 1)
        assert at.server.subjects == []
        at.clock.advance(1)
        assert at.server.subjects == ["killed GET /1 after 1800 s", "killed GET /2 after 1800 s"]


def test_a_mail_nobody_takes_is_given_up_and_counted() -> None:
    """After ten tries a mail makes room for the next one; the digest counts it."""
    with desk() as at:
        at.server.failure = smtplib.SMTPDataError(554, b"no")
        at.submit(killed())
        at.clock.advance(RETRY_AFTER * (ATTEMPTS + 1))
        assert at.server.tries == ATTEMPTS
        at.server.failure = None
        at.clock.advance(MailRate().window)
        assert at.server.subjects == ["1 more in the last 5 minutes"]


def test_while_the_server_fails_mails_do_not_pile_up() -> None:
    """The outbox is bounded; what finds no room in it is counted in the digest."""
    with desk(MailRate(mails=1000, window=300.0, collect=0.0)) as at:
        at.server.failure = OSError("down")
        at.submit(*(killed(f"GET /{number}") for number in range(OUTBOX_LIMIT + 7)))
        at.server.failure = None
        at.clock.advance(RETRY_AFTER)
        assert len(at.server.mails) == OUTBOX_LIMIT
        at.clock.advance(300)
        assert at.server.subjects[-1] == "7 more in the last 5 minutes"


def test_a_notice_that_cannot_be_written_does_not_stop_the_mailer(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in one mail's text costs that mail, says so with a traceback, and the next one is sent."""
    with desk() as at:
        with monkeypatch.context() as broken:
            broken.setattr(mailer, "compose", lambda *_: 1 / 0)
            at.submit(killed())
        at.submit(killed("GET /next"))
        assert at.server.subjects == ["killed GET /next after 1800 s"]
    assert warnings_in(caplog) == ["could not write a mail about HungKilled"]
    assert "ZeroDivisionError" in caplog.text


# --------------------------------------------------------------------------------------------------- too much of it


def test_a_flood_becomes_a_few_mails_and_a_digest() -> None:
    """Beyond the rate notices are held back, and one mail says how many came."""
    with desk(MailRate(mails=2, window=300.0, collect=0.0)) as at:
        at.submit(*(killed(f"GET /{number}") for number in range(19)))
        assert len(at.server.mails) == 2
        at.clock.advance(299)
        assert len(at.server.mails) == 2
        at.clock.advance(1)
        assert at.server.subjects[2:] == ["17 more in the last 5 minutes"]


def test_thirty_kills_in_two_seconds_are_one_mail() -> None:
    """Five seconds after the first one it goes out, with all of them, and the next kill begins a new collection."""
    with desk(MailRate()) as at:
        for number in range(30):
            at.submit(killed(f"GET /{number}"))
            at.clock.advance(2 / 30)
        at.clock.advance(2.9)
        assert at.server.mails == []
        at.clock.advance(0.2)
        assert at.server.subjects == ["killed GET /0 after 1800 s and 29 other requests"]
        assert "and 20 more workers, see the log" in at.server.mails[0].get_content()
        at.submit(killed("GET /later"))
        at.clock.advance(5.1)
        assert at.server.subjects[1:] == ["killed GET /later after 1800 s"]


def test_the_end_of_the_process_is_not_collected() -> None:
    """It is mailed at once, and what was collected goes out at the stop, after it."""
    with desk(MailRate()) as at:
        at.submit(killed("GET /1"), ProcessDies("4 zombies", "10 workers"))
        assert at.server.subjects == ["the process dies: 4 zombies"]
        assert at.mailer.close(3.0)
        assert at.server.subjects[1:] == ["killed GET /1 after 1800 s"]


def test_notice_that_a_stuck_server_keeps_from_being_mailed_is_logged_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The mail that is being sent, and what came after it: each once, even if the mailer is closed twice."""
    entered, go_on = threading.Event(), threading.Event()

    def stuck(mail: EmailMessage, route: Route, clock: Clock) -> None:
        entered.set()
        go_on.wait(WATCHDOG)

    sender = Mailer(SETTINGS, CLOCK, rate=MailRate(collect=0.0), deliver=stuck)
    sender.start()
    sender.submit(killed("GET /sending"))
    assert entered.wait(WATCHDOG)
    sender.submit(killed("GET /queued"))
    sender.submit(killed("GET /queued-too"))
    assert not sender.close(0.05)
    assert not sender.close(0.05)
    go_on.set()
    said = [text.partition(": ")[2].partition("\n")[0].partition(": ")[2] for text in warnings_in(caplog)]
    assert said == [
        "killed GET /sending after 1800 s",
        "killed GET /queued after 1800 s and 1 other request",
    ]


def test_a_full_queue_drops_and_counts() -> None:
    """What finds the queue full is dropped, and the next digest counts it."""
    with desk(MailRate(mails=1, window=300.0, collect=0.0), start=False) as at:
        for number in range(QUEUE_LIMIT + 5):
            at.mailer.submit(killed(f"GET /{number}"))
        at.mailer.start()
        at.clock.settle()
        at.clock.advance(300)
        assert at.server.subjects[1:] == [f"{QUEUE_LIMIT + 5 - 1} more in the last 5 minutes"]


def test_becoming_hung_is_mailed_like_anything_else() -> None:
    """Every kind of notice goes the same way."""
    with desk() as at:
        at.submit(BecameHung(killed().tasks))
        assert at.server.subjects == ["hung: GET /slow after 1800 s"]


# ------------------------------------------------------------------------------------------------- start and close


def test_closing_mails_what_waits_and_the_end_first() -> None:
    """At the end everything held back is mailed without waiting for its time; why the process dies goes first."""
    with desk(MailRate(mails=1, window=300.0, collect=0.0)) as at:
        at.server.failure = OSError("down")
        at.submit(*(killed(f"GET /{number}") for number in range(3)))
        at.server.failure = None
        at.mailer.submit(ProcessDies("4 zombies", "10 workers"))
        assert at.mailer.close(3.0)
        assert at.server.subjects == [
            "the process dies: 4 zombies",
            "killed GET /0 after 1800 s",
            "2 more in the last 0.0 s",
        ]


def test_closing_tries_once_and_says_that_it_failed(caplog: pytest.LogCaptureFixture) -> None:
    """A server that fails at the end is not asked again and again: the process wants to die."""
    with desk() as at:
        at.server.failure = OSError("down")
        at.submit(killed("GET /1"), killed("GET /2"))
        assert at.server.tries == 1
        assert not at.mailer.close(3.0)
        assert at.server.tries == 2
    failures, unsent = warnings_in(caplog)[:2], warnings_in(caplog)[2:]
    assert all(text.startswith("could not mail ") for text in failures)
    assert [text.partition("after")[0] for text in unsent] == [
        f"not mailed before the end: [shop] {socket.gethostname()}: killed GET /{number} " for number in (1, 2)
    ]
    assert all("Worker 3: GET /" in text for text in unsent)


def test_closing_waits_no_longer_than_told() -> None:
    """``close`` comes back at its own deadline, whatever the server does, by the injected clock."""
    entered, go_on = threading.Event(), threading.Event()
    clock = FakeClock()

    def stuck(mail: EmailMessage, route: Route, clock: Clock) -> None:
        entered.set()
        go_on.wait(WATCHDOG)

    sender = Mailer(SETTINGS, clock, rate=MailRate(collect=0.0), deliver=stuck)
    sender.start()
    sender.submit(killed())
    assert entered.wait(WATCHDOG)
    answers: list[bool] = []
    closing = threading.Thread(target=lambda: answers.append(sender.close(2.0)))
    closing.start()
    clock.settle()
    clock.advance(1.5)
    assert answers == []
    clock.advance(0.5, settle=False)
    closing.join(WATCHDOG)
    assert answers == [False]
    go_on.set()


def test_after_the_end_notices_are_not_taken() -> None:
    """A notice after ``close`` is neither an error nor mailed."""
    with desk() as at:
        assert at.mailer.close(3.0)
        at.mailer.submit(killed())
        assert at.server.mails == []


def test_nothing_is_started_before_start() -> None:
    """Making a mailer and handing it notices starts no thread; closing it then loses what it holds, and says so."""
    with desk(start=False) as at:
        assert at.mailer.close(3.0)
    before = threading.active_count()
    with desk(start=False) as at:
        at.mailer.submit(killed())
        assert threading.active_count() == before
        assert not at.mailer.close(3.0)


def test_starting_twice_is_starting_once() -> None:
    """A second ``start`` adds no thread."""
    with desk() as at:
        running = threading.active_count()
        at.mailer.start()
        assert threading.active_count() == running


def test_without_recipients_mail_is_off() -> None:
    """Nobody to be mailed means no thread, and notices that vanish."""
    before = threading.active_count()
    sender = Mailer(replace(SETTINGS, recipients=()), CLOCK, deliver=partial(pytest.fail, "delivered"))
    sender.start()
    sender.submit(killed())
    assert threading.active_count() == before
    assert sender.close(3.0)


def test_a_mail_that_was_sent_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The log says who was told what."""
    caplog.set_level(logging.INFO, "pastepool.mail")
    with desk() as at:
        at.submit(killed())
    host = socket.gethostname()
    assert f"mailed ops@example.com, dba@example.com: [shop] {host}: killed GET /slow after 1800 s" in caplog.text

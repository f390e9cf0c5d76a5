"""Certificates that are renewed while the server runs: what is taken, what is not, and what the log says."""

from __future__ import annotations

import logging
import os
import ssl
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pastepool.errors import InternalError, SettingsError
from pastepool.runtime.sockets.certificates import LOOK_EVERY, SETTLES_IN, Certificates
from pastepool.settings.place import SettingsPlace
from pastepool.settings.values import TlsSettings
from pastepool.testing import FakeClock
from tests.certificates import issue, shaken, trusting, write
from tests.runtime.sockets.test_tls_context import BROKEN
from tests.waiting import WATCHDOG

PLACE = SettingsPlace("server:main", "shop.ini")
DAY = timedelta(days=1)


class Kept:
    """Certificates of one file, with a clock of the test. ``today``: POSIX time."""

    def __init__(self, pem: Path) -> None:
        self.clock = FakeClock()
        self.today = datetime.now(timezone.utc).timestamp()
        self.pem = pem
        self.kept = Certificates(TlsSettings(pem=str(pem)), True, PLACE, self.clock, lambda: self.today)
        self.kept.load()

    def serial(self) -> bytes:
        """What a new client is shown."""
        shown: list[bytes] = []
        context = trusting()
        context.sslobject_class = type("Client", (ssl.SSLObject,), {})
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.kept.context_for("").wrap_bio(to_server, to_client, server_side=True)
        client = context.wrap_bio(to_client, to_server, server_hostname="shop.example")
        for side in (client, server) * 3:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        shown.append(client.getpeercert(True) or b"")
        return shown[0]

    def look(self) -> float:
        """Let the time of the next look come, and look."""
        wait = self.kept.look()
        self.clock.advance(wait, settle=False)
        return wait

    def settle(self) -> None:
        """Look until a change was seen, and was found to be over."""
        assert self.look() == SETTLES_IN
        assert self.look() == LOOK_EVERY


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """One certificate."""
    return Kept(write(issue(), tmp_path / "shop.pem"))


def by_rename(new: Path, pem: Path) -> None:
    """The new file takes the name of the old one."""
    new.rename(pem)


def in_place(new: Path, pem: Path) -> None:
    """The old file gets a new content."""
    pem.write_bytes(new.read_bytes())


def by_link(new: Path, pem: Path) -> None:
    """A symbolic link is pointed elsewhere, as Kubernetes does it with a directory."""
    new.rename(pem.parent / "elsewhere.pem")
    (pem.parent / "link").symlink_to(pem.parent / "elsewhere.pem")
    (pem.parent / "link").rename(pem)


@pytest.mark.parametrize("how", [by_rename, in_place, by_link])
def test_a_new_certificate_is_taken(
    kept: Kept, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: Callable[[Path, Path], None]
) -> None:
    """A second after the change was seen; until then new clients get the old one."""
    caplog.set_level(logging.INFO, "pastepool.tls")
    assert kept.look() == LOOK_EVERY
    before = kept.serial()
    how(write(issue(), tmp_path / "new.pem"), kept.pem)
    assert kept.look() == SETTLES_IN
    assert kept.serial() == before
    assert kept.look() == LOOK_EVERY
    assert kept.serial() != before
    assert kept.look() == LOOK_EVERY
    assert [record.getMessage() for record in caplog.records] == ["New certificates are served: 1 certificate."]
    assert kept.kept.failures == 0


def test_a_file_that_changes_again_and_again_is_left_alone_until_it_rests(kept: Kept) -> None:
    """A program may write for a while; an early look waits for the rest of the second."""
    before = kept.serial()
    for number in range(3):
        kept.pem.write_text("half" * number)
        assert kept.look() == SETTLES_IN
    write(issue(), kept.pem)
    assert kept.kept.look() == SETTLES_IN
    kept.clock.advance(SETTLES_IN / 4, settle=False)
    assert kept.kept.look() == pytest.approx(SETTLES_IN * 3 / 4)
    assert kept.serial() == before
    kept.clock.advance(SETTLES_IN, settle=False)
    assert kept.kept.look() == LOOK_EVERY
    assert kept.serial() != before
    assert kept.kept.failures == 0


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_used_changes_nothing(kept: Kept, caplog: pytest.LogCaptureFixture, how: str) -> None:
    """The old certificate goes on, one line says why, and the next good file is taken."""
    before = kept.serial()
    spoil, words = BROKEN[how]
    spoil(kept.pem)
    kept.settle()
    for _ in range(3):
        assert kept.look() == LOOK_EVERY
    assert kept.serial() == before
    assert kept.kept.failures == 1
    (record,) = (record for record in caplog.records if record.name == "pastepool.tls")
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(
        "New certificates are not taken, and the old ones are still served: [server:main]"
    )
    assert words in record.getMessage()
    if kept.pem.is_dir():
        kept.pem.rmdir()
    write(issue(), kept.pem)
    kept.settle()
    assert kept.serial() != before


def test_the_old_file_that_comes_back_needs_nothing(kept: Kept, tmp_path: Path) -> None:
    """What was served all the time is not loaded again."""
    away = tmp_path / "away"
    kept.pem.rename(away)
    assert kept.look() == SETTLES_IN
    away.rename(kept.pem)
    os.utime(kept.pem)
    assert kept.look() in (SETTLES_IN, LOOK_EVERY)
    assert kept.kept.failures == 0


def test_the_end_of_a_certificate_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """14, 7, 3 and 1 days before, and when it is over; once each. A new one has its own warnings."""
    now = datetime.now(timezone.utc)
    kept = Kept(write(issue(not_after=now + 20 * DAY), tmp_path / "shop.pem"))
    said = []
    for _ in range(2 * 22):
        kept.kept.look()
        said += [record.getMessage() for record in caplog.records]
        caplog.clear()
        kept.today += 12 * 3600
    ends = (now + 20 * DAY).strftime("%Y-%m-%d %H:%M UTC")
    file, remedy = kept.pem, "put a new one into the file, it is taken without a restart."
    within = [f"ends within {days}, on {ends}" for days in ("14 days", "7 days", "3 days", "1 day")]
    assert said == [
        f"[server:main] of shop.ini: the certificate in {file} {when}; {remedy}"
        for when in (*within, f"has ended on {ends}")
    ]
    assert kept.kept.ends_at == (now + 20 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_key_that_all_may_read_is_warned_of(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    """It is used nevertheless."""
    kept.kept.tell()
    assert caplog.records == []
    kept.pem.chmod(0o644)
    kept.kept.load()
    kept.kept.tell()
    assert "every user of this machine may read the private key in" in caplog.text


def test_without_tls_nothing_is_read() -> None:
    """A server without TLS has no certificates, and no thread looks for them."""
    kept = Certificates(TlsSettings(pem="/nowhere"), False, PLACE, FakeClock())
    kept.load()
    kept.tell()
    assert kept.ends_at is None
    with pytest.raises(InternalError):
        kept.context_for("")


def test_a_start_with_a_missing_file_is_refused(tmp_path: Path) -> None:
    """There is no old certificate to go on with."""
    with pytest.raises(SettingsError, match="cannot be read"):
        Kept(tmp_path / "missing.pem")


def test_the_thread_looks_in_time_and_ends(kept: Kept, tmp_path: Path) -> None:
    """Ten seconds after the file was renamed, the new certificate is served."""
    before = kept.serial()
    thread = threading.Thread(target=kept.kept.run)
    thread.start()
    write(issue(), tmp_path / "new.pem").rename(kept.pem)
    kept.clock.advance(LOOK_EVERY)
    assert kept.serial() == before
    kept.clock.advance(SETTLES_IN)
    assert kept.serial() != before
    kept.kept.close()
    kept.kept.close()
    thread.join(WATCHDOG)
    assert not thread.is_alive()


def test_open_connections_keep_their_certificate(kept: Kept) -> None:
    """A context that is not used for new clients any more is still good for those that have it."""
    old = kept.kept.context_for("")
    write(issue(), kept.pem)
    kept.settle()
    assert shaken(old, trusting()).version() == "TLSv1.3"

"""
Keep the certificates that clients get, and take new ones from the files without a restart.

The files are looked at every some seconds. When one has changed, and has then stayed the same for a second, a new context
is made and new clients get it; connections that are open keep theirs. If that fails, new clients still get the old one.
So no order in which a program writes its files can end the service.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable

from pastepool.core.certificate import days_to_warn_of
from pastepool.core.wording import counted
from pastepool.errors import InternalError, SettingsError
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.sockets.tls_context import TlsContext, files_of, make_context
from pastepool.settings.place import SettingsPlace
from pastepool.settings.values import TlsSettings
from pastepool.types import Clock, Seconds

_log = scribbled("pastepool.tls")

LOOK_EVERY: Seconds = 9.0
"""How often the files are looked at. So a new certificate is served ten seconds after it was written."""

SETTLES_IN: Seconds = 1.0
"""For how long the files must not change before they are read: a program may write several, one after the other."""

_Stamp = tuple[int, ...] | None


class Certificates:
    """
    The certificates of all listeners with TLS.

    ``failures``: how often new files could not be used. ``in_use``: whether any listener speaks TLS. ``wall``: returns
    POSIX time, as dates in certificates are meant.

    Runs on: ``load`` on the thread that starts the server; ``run`` and ``look`` on a thread of their own, so that a slow
    disk holds up nothing; the rest on any thread.
    """

    def __init__(
        self, tls: TlsSettings, in_use: bool, place: SettingsPlace, clock: Clock, wall: Callable[[], float] = time.time
    ) -> None:
        self.failures = 0
        self.in_use = in_use
        self._tls = tls
        self._place = place
        self._clock = clock
        self._wall = wall
        self._paths = files_of(tls)
        self._current: TlsContext | None = None
        self._served: list[_Stamp] = []
        self._refused: list[_Stamp] | None = None
        self._seen: list[_Stamp] | None = None
        self._seen_at: Seconds = 0.0
        self._warned_of: dict[str, int] = {}
        self._closed = threading.Event()

    def load(self) -> None:
        """Read the files for the first time. Raises: SettingsError: the operator must correct them."""
        if self.in_use:
            self._served = self._stamps()
            self._current = make_context(self._tls, self._place)

    def tell(self) -> None:
        """Warn of keys that others may read, and of certificates that end soon. Call this at the start."""
        for certificate in self._current.certificates if self._current is not None else ():
            if certificate.is_open:
                _log.warning(
                    "%s: every user of this machine may read the private key in %s; take the right away with chmod o-r.",
                    self._place,
                    certificate.key_path,
                )
        self._warn_of_end()

    def context_for(self, name: str) -> ssl.SSLContext:
        """Return the context for a new client. ``name``: the host that it asks for; empty for none."""
        if self._current is None:
            raise InternalError("No certificate was loaded.")
        return self._current.context_for(name)

    @property
    def ends_at(self) -> str | None:
        """Return when the first of the certificates ends, in UTC as ISO 8601; None if that is not known."""
        known = self._current.certificates if self._current is not None else ()
        if not known:
            return None
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(each.valid_to for each in known)))

    def run(self) -> None:
        """Look at the files again and again until ``close``."""
        look_in = LOOK_EVERY
        while not self._clock.wait(self._closed, self._clock.now() + look_in):
            look_in = self.look()

    def close(self) -> None:
        """Look no more. May be called twice."""
        self._closed.set()

    def look(self) -> Seconds:
        """Look at the files, and take what has changed and settled. Returns after how many seconds to look again."""
        self._warn_of_end()
        stamps, now = self._stamps(), self._clock.now()
        if stamps == self._served or stamps == self._refused:
            self._seen = None
            return LOOK_EVERY
        if stamps != self._seen:
            self._seen, self._seen_at = stamps, now
            return SETTLES_IN
        if now < self._seen_at + SETTLES_IN:
            return self._seen_at + SETTLES_IN - now
        self._take(stamps)
        return LOOK_EVERY

    def _take(self, stamps: list[_Stamp]) -> None:
        try:
            self._current = make_context(self._tls, self._place)
        except SettingsError as error:
            self.failures += 1
            self._refused = stamps
            for mistake in error.errors:
                _log.error("New certificates are not taken, and the old ones are still served: %s", mistake)
            return
        self._served, self._refused = stamps, None
        _log.info("New certificates are served: %s.", counted(len(self._current.certificates), "certificate"))
        self._warn_of_end()

    def _stamps(self) -> list[_Stamp]:
        """Return for each file what changes when it is written, renamed or made readable. Symbolic links are followed."""
        return [_stamp(path) for path in self._paths]

    def _warn_of_end(self) -> None:
        """Warn of each certificate that ends soon: once for each number of days that is worth a warning."""
        for certificate in self._current.certificates if self._current is not None else ():
            days = days_to_warn_of(certificate.valid_to, self._wall())
            if days is None or self._warned_of.get(certificate.path) == days:
                continue
            self._warned_of[certificate.path] = days
            ends = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(certificate.valid_to))
            when = f"ends within {counted(days, 'day')}, on {ends}" if days else f"has ended on {ends}"
            _log.warning(
                "%s: the certificate in %s %s; put a new one into the file, it is taken without a restart.",
                *(self._place, certificate.path, when),
            )


def _stamp(path: str) -> _Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size

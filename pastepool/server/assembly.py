"""
Make the objects of a server from its settings. Each function makes the parts of one package and returns them as one
named tuple.

This module opens nothing, starts no thread and installs no handler. A part gets everything that it needs when it is
made. So this module makes first what several parts share: the clock, the signal on which the supervisor sleeps, the
baton, and the waker of the poll. ``pooling.assembly`` makes the parts that know no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pastepool.core.addresses import is_within
from pastepool.core.deadlines import deadline
from pastepool.pooling.assembly import PoolBase, PoolParts, assemble_base, assemble_pool, assemble_view
from pastepool.runtime.http.access_log import access_line
from pastepool.runtime.http.date_header import DateHeader
from pastepool.runtime.http.open_connections import OpenConnections
from pastepool.runtime.http.poller import Poller
from pastepool.runtime.http.returning import Returning
from pastepool.runtime.http.sender import Sender
from pastepool.runtime.http.shared import Shared
from pastepool.runtime.http.spool_room import SpoolRoom
from pastepool.runtime.log.scribe import scribbled
from pastepool.runtime.mail.mailer import Mailer
from pastepool.runtime.mail.smtp import deliver
from pastepool.runtime.pool.baton import Baton
from pastepool.runtime.pool.caretaker import Caretaker
from pastepool.runtime.pool.leading import Leading
from pastepool.runtime.pool.pool import Pool
from pastepool.runtime.sockets.certificates import Certificates
from pastepool.runtime.sockets.waker import Waker
from pastepool.runtime.supervision.event_journal import EventJournal
from pastepool.runtime.supervision.supervisor import Supervisor
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.threads import spawn_thread
from pastepool.runtime.watching.admin_listener import AdminListener
from pastepool.runtime.watching.paste_pool import PastePool
from pastepool.runtime.watching.sampler import Sampler
from pastepool.runtime.watching.server_view import OpenNow, ServerView
from pastepool.settings.place import SettingsPlace
from pastepool.settings.values import Settings
from pastepool.types import Clock, Spawner
from pastepool.wsgi.forwarded import behind_proxy
from pastepool.wsgi.prefix import under_prefix
from pastepool.wsgi.serving import Application
from pastepool.wsgi.trusted_proxies import behind_trusted_proxies

_log = scribbled("pastepool.http")


class HttpParts(NamedTuple):
    """The parts that turn connections into tasks of the pool, and the caretaker."""

    waker: Waker
    certificates: Certificates
    connections: OpenConnections
    shared: Shared
    poller: Poller
    caretaker: Caretaker
    leading: Leading


class WatchingParts(NamedTuple):
    """The parts that show a server to people and to old programs. ``admin``: None without ``admin_listen``."""

    sampler: Sampler
    server_view: ServerView
    paste_pool: PastePool
    admin: AdminListener | None


class ServerParts(NamedTuple):
    """
    All parts of one server.

    Large because the server starts and stops each of them, in an order of its own.
    """

    certificates: Certificates
    clock: Clock
    journal: EventJournal
    baton: Baton
    waker: Waker
    connections: OpenConnections
    shared: Shared
    poller: Poller
    caretaker: Caretaker
    pool: Pool
    supervisor: Supervisor
    mailer: Mailer
    sampler: Sampler
    server_view: ServerView
    paste_pool: PastePool
    admin: AdminListener | None


def _behind_proxies(application: Application, settings: Settings) -> Application:
    return behind_proxy(
        behind_trusted_proxies(application, settings.trusted_proxies), settings.proxy_trust, _log.warning
    )


def assemble_http(settings: Settings, application: Application, base: PoolBase, waker: Waker) -> HttpParts:
    """
    Make the parts that poll connections for the pool. ``waker``: its ``wake`` must be the ``wake_poller`` of the base.
    """
    overload = settings.overload
    connections = OpenConnections(overload.connection_limit, overload.connection_limit_per_address)
    returning = Returning(connections, waker.wake)
    shared = Shared(
        application=_behind_proxies(under_prefix(application, settings.public.url_prefix), settings),
        date_header=DateHeader(settings.server_header),
        clock=base.clock,
        keep_alive_for=deadline(0.0, settings.timeouts.keep_alive),
        watermark=settings.output_high_watermark,
        output_spool=settings.output_spool,
        spool_room=SpoolRoom(settings.spool_total),
        access=access_line if settings.access_log else None,
        nudge=base.signal.set,
        returning=returning,
        tally=base.tally,
        sender=Sender(base.clock, spawn_thread),
        retry_after=settings.overload.retry_after,
        old_protocol=settings.protocol_version == "HTTP/1.0",
        expose_tracebacks=settings.expose_tracebacks,
    )
    certificates = Certificates(
        settings.tls,
        any(endpoint.tls for endpoint in settings.listen),
        SettingsPlace(settings.section, settings.config_file),
        base.clock,
    )
    caretaker = Caretaker(base.baton, waker.wake, base.clock, base.signal.set, base.note_shed)
    poller = Poller(
        settings,
        shared,
        connections,
        returning,
        waker,
        base.serials,
        workers=base.baton,
        on_hangup=caretaker.hung_up,
        on_turned_away=base.note_shed,
        context_for=certificates.context_for,
    )
    leading = Leading(poller.next_task, poller.ready_tasks, caretaker.refuse, returning.wake_for_returned)
    return HttpParts(waker, certificates, connections, shared, poller, caretaker, leading)


def assemble_watching(settings: Settings, pool: PoolParts, http: HttpParts, admin: Application | None) -> WatchingParts:
    """Make the parts that show a running server. ``admin``: the application of ``admin_listen``, or None."""
    base = pool.base
    clock, baton, policy = base.clock, base.baton, settings.pool
    shared = http.shared
    server_view = assemble_view(
        pool,
        settings,
        host="pastepool",
        overload=settings.overload,
        shown=settings.shown,
        draining=lambda: shared.draining,
        connections=partial(_open_now, http),
    )
    ask_kill = pool.supervisor.ask_kill
    paste_pool = PastePool(pool.pool, baton, policy, clock, base.serials, ask_kill, server_view)
    allow_from = settings.admin.allow_from
    listener = (
        None
        if admin is None
        else AdminListener(
            admin, http.shared.date_header, clock, spawn_thread, admits=lambda address: is_within(address, allow_from)
        )
    )
    return WatchingParts(server_view.sampler, server_view, paste_pool, listener)


def _open_now(http: HttpParts) -> OpenNow:
    """Count connections, and what went wrong before they could ask for anything."""
    opened, certificates = http.connections, http.certificates
    return OpenNow(
        open=len(opened.by_fd),
        limit=opened.limit,
        spooled=http.shared.spool_room.taken,
        proxy_refused=tuple(http.poller.proxy_refused.items()),
        tls_failures=certificates.failures,
        certificate_ends_at=certificates.ends_at,
    )


def assemble_server(
    settings: Settings,
    application: Application,
    admin: Application | None,
    end_process: Callable[[str], None],
    first_task: int = 1,
    spawn: Spawner = spawn_thread,
) -> ServerParts:
    """
    Make all parts of a server.

    ``admin``: as for ``assemble_watching``. ``end_process``: as for ``assemble_pool``. ``first_task``: as for
    ``assemble_base``. ``spawn``: starts the thread of a worker.
    """
    clock, waker = MonotonicClock(), Waker()
    base = assemble_base(settings.overload, clock, waker.wake, first_task=first_task)
    noted = base.journal.noting_mail(deliver)
    mailer = Mailer(settings.mail, clock, config_file=settings.config_file, deliver=noted)
    http = assemble_http(settings, application, base, waker)
    pool = assemble_pool(
        base,
        settings.pool,
        http.leading,
        end_process=end_process,
        logger=settings.logger,
        spawn=spawn,
        mail=mailer.submit,
        mail_hung=settings.mail.when_hung,
    )
    watching = assemble_watching(settings, pool, http, admin)
    return ServerParts(
        certificates=http.certificates,
        clock=clock,
        journal=base.journal,
        baton=base.baton,
        waker=waker,
        connections=http.connections,
        shared=http.shared,
        poller=http.poller,
        caretaker=http.caretaker,
        pool=pool.pool,
        supervisor=pool.supervisor,
        mailer=mailer,
        sampler=watching.sampler,
        server_view=watching.server_view,
        paste_pool=watching.paste_pool,
        admin=watching.admin,
    )

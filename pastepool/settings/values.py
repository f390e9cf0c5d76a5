"""
What the rest of pastepool sees of a configuration: one immutable value.

Knows fields, no option names and no defaults: those are in the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from pastepool.core.policy import OverloadPolicy, PoolPolicy, Timeouts
from pastepool.http1.limits import Limits
from pastepool.settings.endpoint import Endpoint

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class MailSettings:
    """
    Where notices go (contract P12).

    ``recipients``: nobody switches mail off. ``username``: empty means no login. ``use_tls``: STARTTLS before it.
    ``subject_prefix``: to be joined to the subject by a blank. ``password`` is kept out of ``repr``. ``when_hung``:
    mail also about requests that hang and are not killed yet.
    """

    recipients: tuple[str, ...]
    sender: str
    subject_prefix: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    use_tls: bool
    when_hung: bool = False


@dataclass(frozen=True)
class AdminSettings:
    """
    The listener of the operator's own (P16).

    ``listen``: empty switches it off. ``token``: empty means this machine alone; kept out of ``repr``.
    """

    listen: tuple[Endpoint, ...]
    token: str = field(repr=False)
    allow_from: tuple[Network, ...]
    allow_kill: bool


@dataclass(frozen=True)
class Settings:
    """
    Everything an operator decided, checked and free of contradictions; built by ``read`` alone.

    Large because it has one field for each thing that can be decided, or group of them.

    ``listen``: as the operator wrote it, names and port 0 included. ``listen_backlog``: the kernel's. ``body_memory`` and
    ``output_high_watermark``: bytes. ``health_path``: empty switches it off. ``protocol_version``: ``HTTP/1.1``, or
    ``HTTP/1.0`` to answer in that and close. ``logger``: the name the pool logs under. ``config_file``: empty where there
    is none. ``section``: of that file. ``notes``: sentences to be logged as warnings at start, about values that were
    moved or have no effect. ``shown``: the effective values as text by INI name, in the order of the table, secrets
    masked.
    """

    listen: tuple[Endpoint, ...]
    listen_backlog: int
    pool: PoolPolicy
    overload: OverloadPolicy
    timeouts: Timeouts
    limits: Limits
    body_memory: int
    output_high_watermark: int
    access_log: bool
    health_path: str
    server_header: str
    protocol_version: str
    logger: str
    mail: MailSettings
    admin: AdminSettings
    config_file: str
    section: str
    notes: tuple[str, ...]
    shown: tuple[tuple[str, str], ...] = field(repr=False)

"""
The immutable value that the rest of pastepool sees of a configuration.

It has fields. The names and the defaults of the options are in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pastepool.core.addresses import Network
from pastepool.core.policy import OverloadPolicy, PoolPolicy, ProcessPolicy, Timeouts
from pastepool.core.proxy_trust import ProxyTrust, TrustedProxies
from pastepool.http1.limits import Limits
from pastepool.settings.endpoint import Endpoint
from pastepool.types import Seconds


@dataclass(frozen=True)
class MailSettings:
    """
    Where notices go (contract P12).

    ``recipients``: empty means that no mail is sent. ``username``: empty means no login. ``use_tls``: STARTTLS before
    the login, or TLS from the first byte on port 465. ``subject_prefix``: put before the subject, with a blank between.
    ``password``: not in ``repr``. ``when_hung``: send a mail also about requests that hang and are not killed yet.
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
    The listener for the operator, apart from the one for clients (contract P16).

    ``listen``: empty switches it off. ``token``: empty means that only this machine may connect; not in ``repr``.
    """

    listen: tuple[Endpoint, ...]
    token: str = field(repr=False)
    allow_from: tuple[Network, ...]
    allow_kill: bool


@dataclass(frozen=True)
class PublicAddress:
    """
    What the application is told of its own address, where a proxy stands in front of the server.

    ``url_scheme`` and ``server_name``: empty for those of the listener. ``url_prefix``: begins with a slash and does not
    end in one; empty for none.
    """

    url_scheme: str
    url_prefix: str
    server_name: str


@dataclass(frozen=True)
class ProxyHeaderRules:
    """Which peers may send a header of the PROXY protocol, and how long they may take (seconds from accept)."""

    allowed: tuple[Network, ...]
    timeout: Seconds


@dataclass(frozen=True)
class TlsSettings:
    """
    Certificates, and what is asked of clients. All files are absolute paths; empty for none.

    ``pem``, or ``certificate`` and ``key``: the server's own. ``password_file``: has the password of every key.
    ``certificates``: further ones, each a name of a host and a file like ``pem``. ``minimum_version``: ``1.2`` or
    ``1.3``. ``ciphers``: empty for Python's choice. ``verify_client``: ``off``, ``optional`` or ``required``.
    ``context``: an ``ssl.SSLContext`` of a program in place of all these, or None.
    """

    pem: str = ""
    certificate: str = ""
    key: str = ""
    password_file: str = ""
    certificates: tuple[tuple[str, str], ...] = ()
    minimum_version: str = "1.2"
    ciphers: str = ""
    verify_client: str = "off"
    client_ca: str = ""
    crl: str = ""
    context: object = None

    @property
    def has_certificate(self) -> bool:
        """Return whether TLS can be spoken at all."""
        return bool(self.pem or self.certificate or self.context is not None)


@dataclass(frozen=True)
class Settings:
    """
    Everything the operator has set, checked and without contradictions. Only ``read`` builds it.

    Large because it has one field for each thing that can be decided, or group of them.

    ``display_name``: for the titles of several processes; empty for the file's name. ``after_fork``: which function
    each process that serves calls first; empty for none.
    ``listen``: what the operator wrote, with names and with port 0. ``listen_backlog``: the kernel's queue.
    ``tls``: for the listeners with that word.
    ``body_memory``, ``body_memory_total``, ``output_high_watermark`` and ``output_spool``: bytes. ``spool_total``: bytes;
    0 for no limit. ``health_path``: empty switches it off.
    ``protocol_version``: ``HTTP/1.1``, or ``HTTP/1.0`` to answer with it and close each connection. ``public``: what the
    application is told of its address. ``proxy_trust``: which proxy is believed, by waitress's rules;
    ``trusted_proxies``: by ours. ``proxy_headers``: the rules for listeners with ``proxy``. ``expose_tracebacks``: send
    the traceback of a failure to the client. ``logger``: the name of the logger of the pool. ``config_file``: empty if
    there is none. ``section``: the section of that file. ``notes``: sentences to log as warnings at start, about values
    that were changed or have no effect. ``shown``: the effective values as text by INI name, in the order of the table,
    with masked secrets. ``spelt``: the name and the text that the section has for an option, by ``Option.name``, where that
    name is another one.
    """

    listen: tuple[Endpoint, ...]
    listen_backlog: int
    tls: TlsSettings
    pool: PoolPolicy
    processes: ProcessPolicy
    display_name: str
    after_fork: str
    overload: OverloadPolicy
    timeouts: Timeouts
    limits: Limits
    body_memory: int
    body_memory_total: int
    output_high_watermark: int
    output_spool: int
    spool_total: int
    access_log: bool
    health_path: str
    server_header: str
    protocol_version: str
    public: PublicAddress
    proxy_trust: ProxyTrust
    trusted_proxies: TrustedProxies
    proxy_headers: ProxyHeaderRules
    expose_tracebacks: bool
    logger: str
    mail: MailSettings
    admin: AdminSettings
    config_file: str
    section: str
    notes: tuple[str, ...]
    shown: tuple[tuple[str, str], ...] = field(repr=False)
    spelt: Mapping[str, tuple[str, str]] = field(default_factory=dict, compare=False, repr=False)

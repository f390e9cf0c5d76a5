"""
The servers that ``benchmarks.tls`` measures: how each of them is started over TLS, which is missing, their certificate.

All have the same certificate and the flags of ``benchmarks.servers``. None of them resumes a session here: the client
never offers one.
"""

from __future__ import annotations

import importlib.metadata
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.errors import BenchError
from benchmarks.serve_tls import BARE, BEHIND_NGINX, NGINX, OURS
from benchmarks.servers import SERVERS, Server, free_port, running

GRANIAN, GTHREAD = "granian", "gthread"
ROWS = {row.name: row for row in SERVERS}
FOOT = "-----END CERTIFICATE-----"

Command = Callable[[int, int, str], list[str]]
"""Makes the command for a plain port, which some servers do not use, for the port with TLS, and for the certificate."""


def _ours(name: str) -> Command:
    module = [sys.executable, "-m", "benchmarks.serve_tls", name]
    return lambda port, tls_port, pem: [*module, str(port), str(tls_port), pem]


def _gunicorn(port: int, tls_port: int, pem: str) -> list[str]:
    return [*ROWS[GTHREAD].command(tls_port), "--certfile", pem, "--keyfile", pem]


def _granian(port: int, tls_port: int, pem: str) -> list[str]:
    return [*ROWS[GRANIAN].command(tls_port), "--ssl-certificate", pem, "--ssl-keyfile", pem]


COMMANDS: Mapping[str, Command] = {
    OURS: _ours(OURS),
    BARE: _ours(BARE),
    GRANIAN: _granian,
    GTHREAD: _gunicorn,
    BEHIND_NGINX: _ours(BEHIND_NGINX),
}


def missing(name: str) -> str:
    """Return a sentence that says why a server cannot run here, and what to do. Empty if it can."""
    if name in ROWS:
        return ROWS[name].missing()
    if name == BEHIND_NGINX and not NGINX:
        return f"{name} is left out: no program nginx here; install it (Debian: apt-get install nginx)."
    return ""


def version(name: str) -> str:
    """Return a server's name with its installed version, for the description of the run."""
    if name == BEHIND_NGINX:
        told = subprocess.run([NGINX, "-v"], capture_output=True, text=True, check=True).stderr
        return told.strip().rpartition(": ")[2].replace("/", " ")
    if name == BARE:
        return f"bare on {ssl.OPENSSL_VERSION}"
    distribution = ROWS[name].distribution
    return f"{name} {importlib.metadata.version(distribution)}"


class Started(NamedTuple):
    """A server that answers: its ports, the session of its processes, its certificate in DER."""

    plain: int
    tls: int
    session: int
    certificate: bytes


def trusting() -> ssl.SSLContext:
    """Return a client's context that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def served(name: str, pem: Path) -> Iterator[Started]:
    """Run one of ``COMMANDS`` while the block runs. Raises: ServerFailed: it does not answer over TLS."""
    plain = free_port()
    row = Server(name, "", "", "", lambda tls_port: COMMANDS[name](plain, tls_port, str(pem)))
    with running(row, trusting()) as started:
        yield Started(plain, started.port, started.session, in_der(pem.read_text(encoding="ascii")))


def in_der(text: str) -> bytes:
    """Return the first certificate of a PEM file in DER."""
    _, head, rest = text.partition("-----BEGIN CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(head + rest.partition(FOOT)[0] + FOOT)


def certificate(folder: Path, kind: str) -> Path:
    """Write a certificate with its key, and return the file. ``kind``: ``ECDSA`` (P-256) or ``RSA`` (2048 bits)."""
    try:
        import trustme
    except ImportError:
        raise BenchError("trustme, which makes the certificates, is not installed; install the extra bench.") from None
    pem, key = folder / f"{kind}.pem", trustme.KeyType[kind]
    issued = trustme.CA(key_type=key).issue_cert("localhost", key_type=key)
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    return pem

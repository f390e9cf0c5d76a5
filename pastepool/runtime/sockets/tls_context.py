"""
Make the context of TLS out of the files that the settings name, or raise an error whose sentence says what is wrong.

A context in use is never changed: OpenSSL leaves it ruined if a new certificate does not fit to its key. So there is a
fresh context for each state of the files, which is tried before anybody gets it.

Nothing is asked on a terminal: for an encrypted key OpenSSL would do so, and block the start.

Runs on: the thread that starts the server, then the one that looks for new certificates.
"""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from pastepool.core.certificate import valid_until
from pastepool.errors import SettingsError
from pastepool.settings.mistakes import Mistakes
from pastepool.settings.place import SettingsPlace
from pastepool.settings.values import TlsSettings

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

_PLACE_IN_OPENSSL = re.compile(r"^\[[^\]]*\] *| *\(_ssl\.c:[0-9]+\)$")
"""What Python puts round OpenSSL's words if they have no number of their own."""

_KEYLESS = {
    "ssl_pem": "write it into this file, or set ssl_certificate and ssl_key",
    "ssl_certificate": "write it into this file, or set ssl_key",
    "ssl_certificates": "write it into this file",
    "ssl_key": "name another file",
}
"""What to do about a file without a key, by the option that names it."""

_MISMATCH = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""What OpenSSL says of a key that belongs to another certificate; the last for a key of another kind."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY = {"off": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}

_HANDSHAKE_STEPS = 4
"""How many steps each side of a handshake takes at most."""


@dataclass(frozen=True)
class Certificate:
    """
    One certificate of the server.

    ``option``: the option that names its file, ``path``. ``key_path``: the file of the key. ``valid_to``: POSIX time.
    ``is_open``: other users of the machine may read the key.
    """

    option: str
    path: str
    key_path: str
    valid_to: float
    is_open: bool


@dataclass(frozen=True)
class TlsContext:
    """
    A context, and those for some names of hosts.

    ``certificates``: what is known of the certificates in them; of that in a context of a program nothing is.
    """

    context: ssl.SSLContext
    certificates: tuple[Certificate, ...] = ()
    named: Mapping[str, ssl.SSLContext] = field(default_factory=dict)

    def context_for(self, name: str) -> ssl.SSLContext:
        """Choose by the host that a client asks for. ``*.example`` covers one part; any other name gets the first."""
        plain = name.lower().rstrip(".")
        return self.named.get(plain) or self.named.get("*." + plain.partition(".")[2]) or self.context


@dataclass
class _Maker:
    """Makes the contexts of one state of the files. ``mistakes``: of all files, so that one round is enough."""

    tls: TlsSettings
    place: SettingsPlace
    certificates: list[Certificate] = field(default_factory=list)
    mistakes: Mistakes = field(default_factory=Mistakes)

    def make(self) -> TlsContext:
        tls = self.tls
        made: dict[str, ssl.SSLContext] = {}
        with self.mistakes.noted():
            if tls.pem:
                made[""] = self._for_certificate("ssl_pem", tls.pem, tls.pem)
            else:
                made[""] = self._for_certificate("ssl_certificate", tls.certificate, tls.key or tls.certificate)
        for name, path in tls.certificates:
            with self.mistakes.noted():
                made[name] = self._for_certificate("ssl_certificates", path, path)
        self.mistakes.raise_all()
        return TlsContext(made.pop(""), tuple(self.certificates), made)

    def _for_certificate(self, option: str, path: str, key_path: str) -> ssl.SSLContext:
        """Make a context with one certificate, and try it. Raises: SettingsError."""
        context = self._without_certificate()
        pem = self._read(option, path)
        if b"CERTIFICATE" not in _kinds(pem):
            raise self.unusable(option, path, "has no certificate (-----BEGIN CERTIFICATE-----); name another file")
        key_option = option if key_path == path else "ssl_key"
        if not any(kind.endswith(b"PRIVATE KEY") for kind in _kinds(self._read(key_option, key_path))):
            raise self.unusable(
                key_option, key_path, f"has no private key (-----BEGIN PRIVATE KEY-----); {_KEYLESS[key_option]}"
            )
        self._load(context, option, path, key_option, key_path)
        try:
            valid_to = valid_until(_first_certificate(pem))
        except ValueError as error:
            raise self.unusable(
                option, path, f"has a certificate that cannot be read: {error}; name another file"
            ) from None
        is_open = bool(os.stat(key_path).st_mode & stat.S_IROTH)
        self.certificates.append(Certificate(option, path, key_path, valid_to, is_open))
        self.try_out(context, option, path)
        return context

    def _without_certificate(self) -> ssl.SSLContext:
        """Make a context with all settings but the certificate. What cannot be used is noted, and left out."""
        tls = self.tls
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[tls.minimum_version]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["http/1.1"])
        with self.mistakes.noted():
            self._choose_ciphers(context)
        context.verify_mode = _VERIFY[tls.verify_client]
        with self.mistakes.noted():
            self._trust(context, "ssl_client_ca", tls.client_ca, b"CERTIFICATE")
        with self.mistakes.noted():
            self._trust(context, "ssl_crl", tls.crl, b"X509 CRL")
        if tls.crl:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return context

    def _choose_ciphers(self, context: ssl.SSLContext) -> None:
        if not self.tls.ciphers:
            return
        try:
            context.set_ciphers(self.tls.ciphers)
        except ssl.SSLError:
            problem = "names no cipher that OpenSSL has here; see 'openssl ciphers -v', or delete the line"
            raise self.unusable("ssl_ciphers", self.tls.ciphers, problem) from None

    def _trust(self, context: ssl.SSLContext, option: str, path: str, kind: bytes) -> None:
        """Load certificates or a list of revoked ones, if a file is named. Raises: SettingsError."""
        if not path:
            return
        if kind not in _kinds(self._read(option, path)):
            raise self.unusable(option, path, f"has no -----BEGIN {kind.decode()}-----; name another file")
        try:
            context.load_verify_locations(path)
        except (ssl.SSLError, OSError) as error:
            raise self.unusable(option, path, f"is refused by OpenSSL ({_reason(error)}); name another file") from error

    def _load(self, context: ssl.SSLContext, option: str, path: str, key_option: str, key_path: str) -> None:
        """Load a certificate with its key. Raises: SettingsError."""
        asked: list[bool] = []
        password = self._password()

        def ask() -> bytes:
            asked.append(True)
            if not password:
                raise ValueError("there is no password")
            return password

        try:
            context.load_cert_chain(path, key_path, ask)
        except (ssl.SSLError, OSError, ValueError) as error:
            if asked and not password:
                remedy = "write its password into a file and set ssl_password_file, or decrypt it with 'openssl pkey'"
                raise self.unusable(key_option, key_path, f"has an encrypted key; {remedy}") from None
            if asked:
                problem = f"has a key that the password in {self.tls.password_file} does not open; correct the password"
                raise self.unusable(key_option, key_path, problem) from None
            if getattr(error, "reason", "") in _MISMATCH:
                problem = "has a certificate that does not belong to the key"
                other = "" if key_path == path else f" in {key_path}"
                raise self.unusable(
                    option, path, f"{problem}{other}; name the two files that were made together"
                ) from None
            raise self.unusable(option, path, f"is refused by OpenSSL ({_reason(error)}); name another file") from error

    def _password(self) -> bytes:
        path = self.tls.password_file
        return self._read("ssl_password_file", path).split(b"\n")[0].rstrip(b"\r") if path else b""

    def _read(self, option: str, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            problem = f"cannot be read ({error.strerror}); correct the path or the rights of the file"
            raise self.unusable(option, path, problem) from None

    def try_out(self, context: ssl.SSLContext, option: str, path: str) -> None:
        """Make a handshake in memory. Raises: SettingsError: it fails, for example because no cipher fits the key."""
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.check_hostname = False
        client_context.verify_mode = ssl.CERT_NONE
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(to_client, to_server)
        try:
            server = context.wrap_bio(to_server, to_client, server_side=True)
        except (ssl.SSLError, ValueError) as error:
            raise self.unusable(option, path, f"is not one of a server ({_reason(error)})") from None
        failure: ssl.SSLError | None = None
        for side in (client, server) * _HANDSHAKE_STEPS:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                failure = failure or error
                continue
            if side is client:
                return
        why = "the handshake does not end" if failure is None else _reason(failure)
        raise self.unusable(option, path, f"does not fit to the other options of TLS ({why}); see ssl_ciphers")

    def unusable(self, option: str, value: str, problem: str) -> SettingsError:
        return self.place.unusable(option, value, problem)


def make_context(tls: TlsSettings, place: SettingsPlace) -> TlsContext:
    """
    Read all files and make the context that serves their certificates.

    ``place``: of the options, for errors.
    Raises: SettingsError: a file is missing, garbled or does not fit. The operator must correct it.
    """
    maker = _Maker(tls, place)
    if isinstance(tls.context, ssl.SSLContext):
        maker.try_out(tls.context, "ssl_context", "an object from a program")
        return TlsContext(tls.context)
    return maker.make()


def files_of(tls: TlsSettings) -> tuple[str, ...]:
    """Return the paths of all files that ``make_context`` reads."""
    named = (path for _, path in tls.certificates)
    return tuple(filter(None, (tls.pem, tls.certificate, tls.key, tls.password_file, *named, tls.client_ca, tls.crl)))


def _kinds(pem: bytes) -> set[bytes]:
    return set(_PEM.findall(pem))


def _first_certificate(pem: bytes) -> bytes:
    found = _CERTIFICATE.search(pem.decode("latin-1"))
    if found is None:
        raise ValueError("it has no end")
    return ssl.PEM_cert_to_DER_cert(found[0])


def _reason(error: Exception) -> str:
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return _PLACE_IN_OPENSSL.sub("", str(text)).replace("_", " ").lower()

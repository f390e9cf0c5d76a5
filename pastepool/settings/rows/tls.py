"""The rows of options about TLS: certificates, and what is asked of clients."""

from __future__ import annotations

from pastepool.settings.option import Option
from pastepool.settings.parsing import Choice, Text
from pastepool.settings.tls_parsing import CertificateNames, ContextObject, FilePath, PemPath

_GROUP = "TLS"

ROWS: tuple[Option, ...] = (
    Option(
        names=("ssl_pem",),
        parser=PemPath(),
        default="",
        unit="",
        field="tls.pem",
        since="0.1",
        doc="The PEM file with the private key, the certificate and the chain of its issuers; the server then speaks"
        " TLS, at the addresses of listen that have the word tls, or at host and port. A new content is taken without a"
        " restart.",
        why="Without a certificate there is no TLS.",
        group=_GROUP,
        default_text="not set",
        example="/etc/ssl/shop.pem",
    ),
    Option(
        names=("ssl_certificate",),
        parser=FilePath(),
        default="",
        unit="",
        field="tls.certificate",
        since="0.1",
        doc="The same as ssl_pem for a key that has a file of its own: the certificate and the chain of its issuers.",
        why="Without a certificate there is no TLS.",
        group=_GROUP,
        default_text="not set",
        example="/etc/ssl/shop.crt",
    ),
    Option(
        names=("ssl_key",),
        parser=FilePath(),
        default="",
        unit="",
        field="tls.key",
        since="0.1",
        doc="The file of the private key, where ssl_certificate does not have it.",
        why="A file with both has its key in it.",
        group=_GROUP,
        default_text="in ssl_certificate",
        example="/etc/ssl/shop.key",
    ),
    Option(
        names=("ssl_password_file",),
        parser=FilePath(),
        default="",
        unit="",
        field="tls.password_file",
        since="0.1",
        doc="The file whose first line is the password of the private key. Without it, an encrypted key is refused: the"
        " server never asks on a terminal.",
        why="Most keys are not encrypted, as a server has to start without a person.",
        group=_GROUP,
        default_text="not set",
        example="/etc/ssl/shop.password",
    ),
    Option(
        names=("ssl_certificates",),
        parser=CertificateNames(),
        default=(),
        unit="",
        field="tls.certificates",
        since="0.1",
        doc="Further certificates, each with the name that a client must ask for (SNI) and a file like that of ssl_pem;"
        " *.example means every name with one more part. Clients that ask for another name, or for none, get the first"
        " certificate.",
        why="One certificate is the usual case.",
        group=_GROUP,
        default_text="not set",
        example="shop.example: /etc/ssl/shop.pem",
    ),
    Option(
        names=("ssl_minimum_version",),
        parser=Choice(("1.2", "1.3")),
        default="1.2",
        unit="",
        field="tls.minimum_version",
        since="0.1",
        doc="The oldest version of TLS that a client may speak.",
        why="What is older is broken (RFC 8996), and some clients do not speak 1.3.",
        group=_GROUP,
    ),
    Option(
        names=("ssl_ciphers",),
        parser=Text(),
        default="",
        unit="",
        field="tls.ciphers",
        since="0.1",
        doc="The ciphers of TLS 1.2 that are allowed, as OpenSSL writes such a list.",
        why="Python's choice has authenticated encryption and forward secrecy, and follows what becomes known.",
        group=_GROUP,
        default_text="Python's",
        example="ECDHE+AESGCM",
    ),
    Option(
        names=("ssl_verify_client",),
        parser=Choice(("off", "optional", "required")),
        default="off",
        unit="",
        field="tls.verify_client",
        since="0.1",
        doc="Whether clients are asked for a certificate: with optional they need not have one, with required they are"
        " refused without one. One that ssl_client_ca did not sign is refused in both cases. The application finds it in"
        " SSL_CLIENT_VERIFY, SSL_CLIENT_S_DN and the other keys of mod_ssl.",
        why="Most clients have no certificate.",
        group=_GROUP,
    ),
    Option(
        names=("ssl_client_ca",),
        parser=FilePath(),
        default="",
        unit="",
        field="tls.client_ca",
        since="0.1",
        doc="The PEM file with the certificates of those who may sign the certificates of clients.",
        why="The authorities that the system trusts sign for anybody.",
        group=_GROUP,
        default_text="not set",
        example="/etc/ssl/clients.pem",
    ),
    Option(
        names=("ssl_crl",),
        parser=FilePath(),
        default="",
        unit="",
        field="tls.crl",
        since="0.1",
        doc="The PEM file with the list of the certificates of clients that were revoked, signed by ssl_client_ca.",
        why="Without a list nothing is revoked.",
        group=_GROUP,
        default_text="not set",
        example="/etc/ssl/revoked.pem",
    ),
    Option(
        names=("ssl_context",),
        parser=ContextObject(),
        default=None,
        unit="",
        field="tls.context",
        since="0.1",
        doc="An object of ssl.SSLContext with its certificate, from a program; then no other option of TLS has a meaning,"
        " and the program itself renews the certificate.",
        why="A file cannot hold an object.",
        group=_GROUP,
        default_text="not set",
    ),
)

"""
Run a server of ``benchmarks.tls`` that has no command of its own: ``python -m benchmarks.serve_tls NAME PORT TLS PEM``.

``PORT`` is the plain one, for those that have one, ``TLS`` the other one, and ``PEM`` the file with the key and its
certificate.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.app import HELLO, app
from benchmarks.servers import CONNECTIONS, HOST, KEEP_ALIVE, THREADS
from pastepool.entrypoints import http

OURS, BARE, BEHIND_NGINX = "pastepool", "bare", "nginx + pastepool"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin") or ""
"""The program. Debian installs it where only root's PATH leads."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(HELLO), HELLO)
OPTIONS = {
    "threadpool_workers": str(THREADS),
    "connection_limit": str(CONNECTIONS),
    "keep_alive_timeout": str(KEEP_ALIVE),
}

CONFIGURATION = """\
daemon off;
worker_processes 1;
pid nginx.pid;
events { worker_connections %(connections)d; }
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_timeout %(keep_alive)d;
    keepalive_requests 1000000000;
    ssl_certificate %(pem)s;
    ssl_certificate_key %(pem)s;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache off;
    upstream shop {
        server %(host)s:%(port)d;
        keepalive 16;
        keepalive_timeout %(keep_alive)d;
        keepalive_requests 1000000000;
    }
    server {
        listen %(host)s:%(tls_port)d ssl backlog=4096;
        location / {
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Forwarded-Prefix "";
            proxy_set_header Forwarded "";
        }
    }
}
"""
"""
One process, connections kept on both sides, and the fields of docs/how-to/behind-nginx.md, so that the application gets
the same environ. The limit on requests of one connection is raised: by default nginx closes after 1,000.
"""


def serve_ours(port: int, tls_port: int, pem: str) -> None:
    """Serve until told to end."""
    http({}, listen=f"{HOST}:{port}\n{HOST}:{tls_port} tls", ssl_pem=pem, **OPTIONS)(app)


def serve_bare(port: int, tls_port: int, pem: str) -> None:
    """
    Serve one connection with one request after the other: the handshake and nothing that can be left out.

    It has no plain listener.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listener = socket.create_server((HOST, tls_port), backlog=100)
    while True:
        accepted, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as sock:
            sock.recv(4096)
            sock.sendall(ANSWER)


def configuration(port: int, tls_port: int, pem: str) -> str:
    """Write the configuration of an nginx that terminates TLS in front of a plain port."""
    values = {"host": HOST, "port": port, "tls_port": tls_port, "pem": pem}
    return CONFIGURATION % {**values, "connections": CONNECTIONS, "keep_alive": KEEP_ALIVE}


def serve_behind_nginx(port: int, tls_port: int, pem: str) -> None:
    """Serve on the plain port, with nginx in front as a child. Its files are made in the working directory."""
    Path("nginx.conf").write_text(configuration(port, tls_port, pem), encoding="utf-8")
    words = [NGINX, "-p", ".", "-c", "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(words) as nginx:
        try:
            http({}, listen=f"{HOST}:{port}", trusted_proxies=HOST, **OPTIONS)(app)
        finally:
            nginx.terminate()


SERVE: dict[str, Callable[[int, int, str], None]] = {
    OURS: serve_ours,
    BARE: serve_bare,
    BEHIND_NGINX: serve_behind_nginx,
}

if __name__ == "__main__":
    SERVE[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

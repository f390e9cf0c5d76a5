"""Real nginx in front, with the configurations of the manual: what a Pyramid application sees, and what a client fakes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.meta.repository import ROOT
from tests.server.fronts import ELSEWHERE, NGINX, ClientElsewhere, Front, free_port
from tests.server.serving import Running
from tests.waiting import until

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")
Serve = Callable[..., Running]
FILES = ROOT / "docs" / "how-to" / "files"


def pyramid_application() -> Any:
    """An application that tells what Pyramid knows of the request."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Pyramid imports pkg_resources
        from pyramid.config import Configurator
        from pyramid.response import Response as PyramidResponse

    def tell(request: Any) -> Any:
        told = {
            "client": request.client_addr,
            "remote": request.remote_addr,
            "url": request.url,
            "link": request.route_url("any", rest="cart"),
            "script": request.script_name,
            "for": request.headers.get("X-Forwarded-For"),
            "peer": request.environ.get("pastepool.peer"),
        }
        return PyramidResponse(json_body=told)

    with Configurator() as config:
        config.add_route("any", "/{rest:.*}")
        config.add_view(tell, route_name="any")
        return config.make_wsgi_app()


@pytest.fixture
def nginx(folder: Path, front: Front) -> Callable[..., int]:
    """Start nginx with a file of the manual, after some replacements in its text; return its port."""

    def start(name: str, *replacements: tuple[str, str]) -> int:
        port = free_port()
        text = (FILES / name).read_text(encoding="utf-8")
        for before, after in (("listen 80;", f"listen 127.0.0.1:{port};"), *replacements):
            assert before in text
            text = text.replace(before, after)
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{ }}\n"
            f"http {{ access_log off; {temporary}\n{text}\n}}\n"
        )
        front([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], port)
        return port

    return start


def told(port: int, target: str, *lines: str) -> dict[str, Any]:
    """Ask nginx, as a client that sends some fields."""
    with ClientElsewhere(port) as client:
        answer: dict[str, Any] = json.loads(client.get(target, *lines).body)
        return answer


FAKED = (
    "X-Forwarded-For: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Prefix: /evil",
    "Forwarded: for=6.6.6.6;proto=https",
)


def test_over_tcp(serve: Serve, nginx: Callable[..., int], caplog: pytest.LogCaptureFixture) -> None:
    """Address, scheme and host are those that nginx gives; what the client made up has no effect."""
    run = serve(pyramid_application(), trusted_proxies="127.0.0.1", access_log="true")
    port = nginx("nginx-tcp.conf", ("127.0.0.1:8080", f"127.0.0.1:{run.port}"))
    for lines in ((), FAKED):
        answer = told(port, "/cart?a=1", *lines)
        assert (answer["client"], answer["remote"], answer["peer"]) == (ELSEWHERE, ELSEWHERE, "127.0.0.1")
        assert answer["url"] == f"http://example.org:{port}/cart?a=1"
        assert answer["link"] == f"http://example.org:{port}/cart"
        assert answer["for"] == ELSEWHERE
    until(lambda: [record for record in caplog.records if record.getMessage().endswith(" via 127.0.0.1")], "a line")


def test_over_a_unix_socket_below_a_path(serve: Serve, nginx: Callable[..., int], folder: Path) -> None:
    """The prefix goes into links, and off the path."""
    serve(pyramid_application(), listen=f"127.0.0.1:0 unix:{folder}/s mode=666", trusted_proxies="unix")
    port = nginx("nginx-unix.conf", ("/run/shop/shop.sock", f"{folder}/s"))
    for lines in ((), FAKED):
        answer = told(port, "/shop/cart", *lines)
        assert (answer["remote"], answer["script"], answer["peer"]) == (ELSEWHERE, "/shop", "")
        assert answer["link"] == f"http://example.org:{port}/shop/cart"


def test_a_client_beside_nginx_is_not_believed(serve: Serve) -> None:
    """It reaches the server directly, from an address that is no proxy's."""
    run = serve(pyramid_application(), trusted_proxies="192.0.2.0/24")
    answer = told(run.port, "/cart", *FAKED)
    assert answer["client"] == answer["remote"] == ELSEWHERE
    assert answer["url"] == "http://example.org/cart"
    assert answer["for"] is None

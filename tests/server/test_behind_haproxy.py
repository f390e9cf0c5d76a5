"""Real HAProxy in front, in its mode for requests, with the configuration of the manual."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.fronts import ELSEWHERE, HAPROXY, Front, free_port
from tests.server.serving import Running
from tests.server.test_behind_nginx import FAKED, FILES, pyramid_application, told

pytestmark = pytest.mark.skipif(not Path(HAPROXY).exists(), reason="HAProxy is not installed")
Serve = Callable[..., Running]


@pytest.fixture
def haproxy(folder: Path, front: Front) -> Callable[..., int]:
    """Start HAProxy with the file of the manual, at another address, without the lines that have a word; return its port."""

    def start(run: Running, bind: str = "127.0.0.1:{}", without: str = "") -> int:
        port = free_port()
        text = (FILES / "haproxy-http.cfg").read_text(encoding="utf-8")
        assert ":80\n" in text and "127.0.0.1:8080" in text and without in text
        kept = [line for line in text.splitlines() if not (without and without in line)]
        text = "\n".join(kept).replace("127.0.0.1:8080", f"127.0.0.1:{run.port}")
        text = text.replace("bind :80", f"bind {bind.format(port)}")
        (folder / "haproxy.cfg").write_text(text + "\n")
        front([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], port)
        return port

    return start


@pytest.mark.parametrize("bind", ["127.0.0.1:{}", ":::{} v4v6"])
def test_requests_that_haproxy_passes_on(serve: Serve, haproxy: Callable[..., int], bind: str) -> None:
    """Address, scheme and host are those that HAProxy gives; what the client made up has no effect."""
    port = haproxy(serve(pyramid_application(), trusted_proxies="127.0.0.1"), bind)
    for lines in ((), FAKED):
        answer = told(port, "/cart?a=1", *lines)
        assert (answer["remote"], answer["peer"], answer["script"]) == (ELSEWHERE, "127.0.0.1", "")
        assert answer["url"] == f"http://example.org:{port}/cart?a=1"
        assert answer["link"] == f"http://example.org:{port}/cart"
        assert str(answer["for"]).endswith(ELSEWHERE) and "6.6.6.6" not in answer["for"]


@pytest.mark.parametrize(("without", "faked"), [("Proto", "https://example.org"), ("Host", "http://evil.example")])
def test_a_field_that_haproxy_does_not_set_comes_from_the_client(
    serve: Serve, haproxy: Callable[..., int], without: str, faked: str
) -> None:
    """So the manual sets or deletes each: a line less, and the client's own field is believed."""
    port = haproxy(serve(pyramid_application(), trusted_proxies="127.0.0.1"), without=f"X-Forwarded-{without}")
    assert told(port, "/cart", *FAKED)["url"].startswith(faked)

"""Reloads behind a proxy that keeps connections: what it sends to a worker that leaves is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.site import Site, ending
from tests.server.fronts import NGINX, Front
from tests.server.posting import Posting, keeping

pytestmark = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed")


@pytest.mark.parametrize("reloads", [5, pytest.param(10, marks=pytest.mark.slow)])
def test_no_post_is_lost_over_reloads(reloads: int, folder: Path, front: Front, tmp_path: Path) -> None:
    """nginx must not send a POST again, and answered 502 where a worker closed a connection that it kept."""
    with ending(Site(tmp_path)) as site:
        site.serving()
        with Posting(keeping(front, folder, site.at), clients=16) as posting:
            posting.go_on()
            for generation in range(2, 2 + reloads):
                site.hup()
                site.serving(generation)
                posting.go_on()
        assert set(posting.statuses) == {200}

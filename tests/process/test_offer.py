"""What a reload opens, keeps and closes, with real sockets and without processes."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from pastepool.errors import StartError
from pastepool.runtime.family.offer import Offer, Offers, offer
from pastepool.runtime.sockets.listener import adopt
from pastepool.settings import Settings, read
from pastepool.settings.endpoint import Endpoint


def settings(listen: str, **options: str) -> Settings:
    """The settings with this ``listen``. Nobody reads the certificate."""
    pem = {"ssl_pem": "/etc/shop.pem"} if "tls" in listen else {}
    return read({"listen": listen, "processes": "2", "proxy_from": "127.0.0.1", **pem, **options}, {})


class Held(Offers):
    """Offers whose sockets are closed at the end of the test."""

    def reload(self, listen: str, **options: str) -> list[str]:
        """A whole reload that succeeds. Returns what could not be changed."""
        self.try_with(settings(listen, **options))
        return self.adopt()


@pytest.fixture
def held(request: pytest.FixtureRequest, folder: Path) -> Iterator[Held]:
    """A server that listens on what the test names; ``{folder}`` is a directory of it."""
    offers = Held(offer(settings(request.param.format(folder=folder)), None))
    yield offers
    offers.drop()
    offers.given.close_all_but(None)


def descriptors(given: Offer) -> list[int]:
    """The sockets, in the order of the settings."""
    return [listener.fileno() for listener in given.sockets]


def waits(held: Held, number: int = 0) -> socket.socket:
    """A client that nobody has accepted yet."""
    listener = held.given.sockets[number]
    client = socket.socket(listener.socket.family)
    client.settimeout(30)
    client.connect(listener.endpoint.path or (listener.endpoint.host, listener.endpoint.port))
    return client


@pytest.mark.parametrize("held", ["127.0.0.1:0"], indirect=True)
@pytest.mark.parametrize("words", ["tls", "proxy", "proxy tls", "backlog=7", ""])
def test_words_change_and_the_socket_with_its_queue_stays(held: Held, words: str) -> None:
    """The next workers know the words; a client that waits in the queue is accepted."""
    before = descriptors(held.given)
    with waits(held):
        assert held.reload(f"127.0.0.1:0 {words}") == []
        assert descriptors(held.given) == before
        (listener,) = held.given.sockets
        assert (listener.endpoint.tls, listener.endpoint.proxy) == ("tls" in words, "proxy" in words)
        assert listener.endpoint.port != 0
        listener.socket.accept()[0].close()


@pytest.mark.parametrize("held", ["127.0.0.1:0 tls"], indirect=True)
def test_words_that_were_tried_in_vain_are_not_there(held: Held) -> None:
    """The candidate did not load: what serves has its words and its socket still."""
    before = descriptors(held.given)
    held.try_with(settings("127.0.0.1:0\nunix:@pastepool-offer"))
    assert held.drop()
    assert descriptors(held.given) == before
    assert held.given.sockets[0].endpoint.tls
    waits(held).close()


@pytest.mark.parametrize("held", ["127.0.0.1:0\n127.0.0.1:0 proxy"], indirect=True)
def test_two_drawn_ports_stay_two(held: Held) -> None:
    """Each keeps its own socket; the one whose words have changed is told from the other."""
    plain, proxied = descriptors(held.given)
    held.reload("127.0.0.1:0 backlog=9\n127.0.0.1:0 proxy")
    assert descriptors(held.given) == [plain, proxied]


@pytest.mark.parametrize("held", ["unix:{folder}/s mode=600"], indirect=True)
def test_rights_of_a_unix_socket_change_when_the_reload_has_succeeded(held: Held, folder: Path) -> None:
    """Not before; the file is the same one, and so is its queue."""
    before = (folder / "s").stat()
    with waits(held):
        held.try_with(settings(f"unix:{folder}/s mode=666 owner=:{os.getegid()} backlog=9"))
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600
        assert held.adopt() == []
        after = (folder / "s").stat()
        assert (after.st_ino, stat.S_IMODE(after.st_mode)) == (before.st_ino, 0o666)
        held.given.sockets[0].socket.accept()[0].close()
    assert sorted(path.name for path in folder.iterdir()) == ["s"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to other users")
@pytest.mark.parametrize("held", ["unix:{folder}/s owner=1:2"], indirect=True)
def test_owner_of_a_unix_socket_changes_and_goes_back(held: Held, folder: Path) -> None:
    """Without the word it belongs to the user and the group of the process, as after a start."""
    held.reload(f"unix:{folder}/s owner=3")
    found = (folder / "s").stat()
    assert (found.st_uid, found.st_gid) == (3, os.getegid())
    held.reload(f"unix:{folder}/s")
    found = (folder / "s").stat()
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())


@pytest.mark.parametrize("held", ["unix:{folder}/s"], indirect=True)
def test_owner_that_cannot_be_set_refuses_the_reload(held: Held, folder: Path) -> None:
    """Nothing is changed."""
    with pytest.raises(StartError, match="owner=nobody-such names a user or a group that this machine does not have"):
        held.try_with(settings(f"unix:{folder}/s owner=nobody-such"))
    assert held.tried is None
    waits(held).close()


@pytest.mark.parametrize("held", ["unix:{folder}/s"], indirect=True)
def test_file_that_is_not_ours_any_more_is_told_and_left_alone(held: Held, folder: Path) -> None:
    """Somebody has put another one in its place."""
    (folder / "s").unlink()
    (folder / "s").touch(0o640)
    (sentence,) = held.reload(f"unix:{folder}/s mode=666")
    assert (
        sentence
        == f"the rights of unix:{folder}/s cannot be changed (another file is in its place); that needs a restart"
    )
    assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o640


@pytest.mark.parametrize("held", ["127.0.0.1:0"], indirect=True)
def test_place_that_overlaps_one_of_ours_needs_a_restart(held: Held) -> None:
    """The sentence does not blame another process."""
    port = held.given.sockets[0].endpoint.port
    before = descriptors(held.given)
    with pytest.raises(StartError) as caught:
        held.try_with(settings(f"0.0.0.0:{port}"))
    assert str(caught.value) == (
        f"cannot listen on 0.0.0.0:{port}: this server listens on 127.0.0.1:{port} until the reload has succeeded, and both"
        " have the same port; set another port, or restart the server."
    )
    assert descriptors(held.given) == before


def test_sockets_of_systemd_stay_and_new_ones_need_a_restart() -> None:
    """Their words may change. One that systemd has passed to another process is left out."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        shop, absent = Endpoint(systemd="shop"), Endpoint(systemd="other")
        passed = {shop: [adopt(os.dup(sock.fileno()))], absent: []}
        held = Held(offer(settings("systemd:shop\nsystemd:other"), None, passed))
        before = descriptors(held.given)
        assert len(before) == 1
        held.reload("systemd:shop proxy\nsystemd:other")
        assert descriptors(held.given) == before
        assert held.given.sockets[0].endpoint.proxy
        with pytest.raises(StartError, match="systemd:new: systemd passes sockets at the start only"):
            held.try_with(settings("systemd:shop\nsystemd:new"))
        held.given.close_all_but(None)

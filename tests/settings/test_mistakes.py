"""All mistakes of a configuration are told at once, each with the line where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadserver

import pastepool.entrypoints
from pastepool.errors import SettingsError
from pastepool.settings import lines_of, read
from pastepool.settings.dialect import WAITRESS
from pastepool.settings.origin import KeyLines

FILE = """\
[DEFAULT]
error_email = ops@example.com <

[app:main]
use = egg:shop
port = 1

[server:base]
use = egg:pastepool#http
queue_limit = -1

[server:main]
use = base
# the public port
port = http
  ; a comment that is indented
threadpool_worker : 10
threadpool_hung_thread_limit = 100
threadpool_kill_thread_limit = 50
listen = 127.0.0.1:1
host = 127.0.0.1
"""


def mistakes_of(text: str, directory: Path, name: str = "main") -> SettingsError:
    """Load a server section through the real PasteDeploy. It must be refused."""
    path = directory / "shop.ini"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        loadserver(f"config:{path}", name=name)
    return caught.value


def test_all_mistakes_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    """An operator who moves a file mends it in one round. A value that another section gives is found there."""
    error = mistakes_of(FILE, tmp_path)
    assert [(mistake.line, mistake.key) for mistake in error.errors] == [
        (2, "error_email"),
        (10, "queue_limit"),
        (15, "port"),
        (17, "threadpool_worker"),
        (18, "threadpool_hung_thread_limit"),
        (20, "listen"),
    ]
    assert (error.line, error.key, error.section) == (2, "error_email", "DEFAULT")
    sentences = str(error).splitlines()
    assert len(sentences) == 6
    assert sentences[0].startswith(
        f"[DEFAULT] of {tmp_path}/shop.ini, line 2: error_email = 'ops@example.com <' is not"
    )
    assert sentences[3].startswith(f"[server:main] of {tmp_path}/shop.ini, line 17: 'threadpool_worker' (value '10')")


def test_a_single_mistake_is_told_as_it_is(tmp_path: Path) -> None:
    """One sentence, with the number of its line."""
    error = mistakes_of("[server:main]\nuse = egg:pastepool#http\nport = x\n", tmp_path)
    assert str(error).startswith(f"[server:main] of {tmp_path}/shop.ini, line 3: port = 'x' is not a whole number")
    assert (error.errors, error.line) == ((error,), 3)


def test_a_contradiction_with_a_mistake_is_not_told() -> None:
    """The token is misspelt; that the page has no token follows from it only if the name is not seen as a mistake."""
    with pytest.raises(SettingsError) as caught:
        read({"admin_token": ["x"], "admin_listen": "0.0.0.0", "port": "x"})
    assert [mistake.key for mistake in caught.value.errors] == ["admin_token", "port"]


def test_what_waitress_names_are_told_together() -> None:
    """The second table takes part."""
    local: dict[str, Any] = {
        "threads": "many",
        "ipv4": "false",
        "ipv6": "false",
        "trusted_proxy_headers": "forwarded",
        "backlog": "5",
        "request_queue_size": "6",
    }
    with pytest.raises(SettingsError) as caught:
        read(local, dialect=WAITRESS)
    assert {mistake.key for mistake in caught.value.errors} == {"threads", "ipv4", "trusted_proxy_headers", "backlog"}


def test_two_contradictions_of_waitress_names() -> None:
    """``forwarded`` beside another field, and no address left."""
    local = {"trusted_proxy": "*", "trusted_proxy_headers": "forwarded x-forwarded-for"}
    with pytest.raises(SettingsError) as caught:
        read({**local, "ipv4": "false", "ipv6": "false"}, dialect=WAITRESS)
    assert [mistake.key for mistake in caught.value.errors] == ["ipv4", "trusted_proxy_headers"]


def test_lines_of_what_cannot_be_read() -> None:
    """The lines are for messages only, so a missing file is no error here."""
    assert lines_of("") == lines_of("/does/not/exist.ini") == {}


def test_get_lines_and_foreign_shapes_have_their_lines(tmp_path: Path) -> None:
    """``get x = y`` sets x; a line of continuation sets nothing; ``use`` may name a section that is not there."""
    path = tmp_path / "shop.ini"
    path.write_text("[server:main]\nuse = config:other.ini\nget port = p\nlisten =\n  a:1\n  b:2\nhost:h\n")
    lines = {"use": (2,), "port": (3,), "listen": (4, 5, 6), "host": (7,)}
    assert lines_of(str(path)) == {"server:main": {key: KeyLines(numbers) for key, numbers in lines.items()}}


LISTS = """\
[server:main]
use = egg:pastepool#http
listen =
    127.0.0.1:8080
    # the one for the load balancer
    127.0.0.1:8081 prox
    unix:/run/ mode=660

    127.0.0.1:http tls mode=600 backlog=0
trusted_proxies = 10.0.0.1/8, 10.9.9.9
    nginx
ssl_certificates = shop.example: /a.pem
    shop.example: /b.pem
trusted_proxy_headers = x-forwarded x-real-ip
"""


def test_every_mistake_inside_of_one_value_has_its_own_line(tmp_path: Path) -> None:
    """A value of many lines needs one round too, and each sentence shows its line alone and has one remedy."""
    error = mistakes_of(LISTS, tmp_path)
    told = [str(mistake).partition(", line ")[2] for mistake in error.errors]
    expected = [
        "6: listen = '127.0.0.1:8081 prox' has 'prox', which is no address, and no word that may stand after one",
        "7: listen = 'unix:/run/ mode=660' has 'unix:/run/', which is not a path such as /run/shop.sock",
        "9: listen = '127.0.0.1:http tls mode=600 backlog=0' has '127.0.0.1:http', which has a port that is not",
        "9: listen = '127.0.0.1:http tls mode=600 backlog=0' has 'backlog=0', which has a value that is not",
        "10: trusted_proxies = '10.0.0.1/8, 10.9.9.9' has '10.0.0.1/8', which is an address with the length of a network",
        "11: trusted_proxies = 'nginx' is not addresses or networks such as",
        "13: ssl_certificates = 'shop.example: /b.pem' has shop.example twice; delete one of the two.",
        "14: trusted_proxy_headers = 'x-forwarded x-real-ip' has 'x-real-ip', which is not x-forwarded,",
    ]
    assert len(told) == len(expected)
    assert all(sentence.startswith(beginning) for sentence, beginning in zip(told, expected, strict=True)), told
    assert all(sentence.count(";") <= 1 for sentence in told), told


def test_a_line_that_the_file_does_not_have_is_told_at_the_key(tmp_path: Path) -> None:
    """Interpolation may put more lines into a value than the file has there."""
    text = "[DEFAULT]\nthem =\n  a:1\n  b:x\n[server:main]\nuse = egg:pastepool#http\nlisten = c:y %(them)s d:z\n"
    error = mistakes_of(text, tmp_path)
    assert [mistake.line for mistake in error.errors] == [7, 7, 7]


BASE = """\
# what all sites share
[server:main]
use = egg:pastepool#http
threadpool_worker = 5

[server:public]
use = main
listen =
    127.0.0.1:8080
    127.0.0.1:http
"""


def test_a_mistake_in_another_file_is_told_with_that_file(tmp_path: Path) -> None:
    """``use = config:...`` takes the lines of another file, which may name a third; a circle of files ends."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "base.ini").write_text(BASE)
    (tmp_path / "site.ini").write_text("[server:main]\nuse = config:etc/base.ini#public\nqueue_limit = -1\n")
    text = "[server:main]\nuse = config:%(here)s/site.ini\nqueue_timeout = x\n"
    error = mistakes_of(text, tmp_path)
    told = {str(mistake).partition(": ")[0]: mistake for mistake in error.errors}
    assert set(told) == {
        f"[server:main] of {tmp_path}/shop.ini, line 3",
        f"[server:main] of {tmp_path}/site.ini, line 3",
        f"[server:public] of {tmp_path}/etc/base.ini, line 4",
        f"[server:public] of {tmp_path}/etc/base.ini, line 10",
    }
    assert [mistake.line for mistake in error.errors if mistake.file.endswith("base.ini")] == [4, 10]
    (tmp_path / "site.ini").write_text(
        "[server:main]\nuse = config:shop.ini\n[server:a]\nuse = b\n[server:b]\nuse = a\n"
    )
    assert lines_of(f"{tmp_path}/shop.ini")["server:main"]["use"] == KeyLines((2,))
    assert set(lines_of(f"{tmp_path}/site.ini")) == {"server:main", "server:a", "server:b"}


@pytest.mark.parametrize("key", ["trusted_proxies", "trusted_proxy_headers", "listen", "ssl_certificates"])
def test_a_value_of_separators_alone_is_a_mistake(key: str) -> None:
    """It names nobody, and is not taken for a blank one."""
    with pytest.raises(SettingsError) as caught:
        read({key: ","})
    assert [mistake.key for mistake in caught.value.errors] == [key]


def test_the_page_tells_all_its_mistakes() -> None:
    """``watch_threads`` reads its section in the same way."""
    with pytest.raises(SettingsError) as caught:
        pastepool.entrypoints.watch_threads({}, allow_kil="true", allow_from="nowhere")
    assert [mistake.key for mistake in caught.value.errors] == ["allow_kil", "allow_from"]

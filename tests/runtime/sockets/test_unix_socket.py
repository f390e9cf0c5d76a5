"""Unix sockets that listen: rights from the first instant, what is replaced, what is refused, and who removes the file."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pastepool.errors import StartError
from pastepool.runtime.sockets.listener import Listener, open_all, open_listeners, url
from pastepool.runtime.sockets.peer_credentials import credentials_of
from pastepool.settings.endpoint import Endpoint
from tests.meta.repository import ROOT

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="only root may give a file away")


def listen(path: Path | str, **rest: object) -> Listener:
    """Open one listener on a unix socket."""
    (one,) = open_listeners(Endpoint(path=str(path), **rest), 16)  # type: ignore[arg-type]
    return one


def refusal(path: Path | str, **rest: object) -> str:
    """Ask for a listener that cannot be had; return the sentence."""
    with pytest.raises(StartError) as caught:
        listen(path, **rest)
    return str(caught.value)


def answers(path: Path | str) -> bool:
    """Say whether a process listens there."""
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
        except OSError:
            return False
        return True


def abandon(path: Path) -> None:
    """Leave a socket file behind, as a process that was killed does."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
        gone.listen(1)


def test_a_unix_socket_takes_clients_and_is_removed_at_the_end(folder: Path) -> None:
    """It is written as in the file; nothing else stays in the directory."""
    path = folder / "shop.sock"
    with closing(listen(path)) as one:
        assert answers(path) and os.listdir(folder) == ["shop.sock"]
        assert url(one) == str(one.endpoint) == f"unix:{path}"
        assert one.socket.gettimeout() == 0.0 and not os.get_inheritable(one.fileno())
    assert os.listdir(folder) == []


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
def test_nobody_meets_the_socket_with_other_rights(folder: Path, mode: int) -> None:
    """A thread looks at the path without a pause while it is opened again and again, whatever the umask."""
    path = folder / "shop.sock"
    seen: set[int] = set()
    opened = threading.Event()

    def look() -> None:
        while not opened.is_set():
            try:
                seen.add(stat.S_IMODE(os.lstat(path).st_mode))
            except FileNotFoundError:
                continue

    watcher = threading.Thread(target=look)
    watcher.start()
    before = os.umask(0o022)
    try:
        for _ in range(200):
            listen(path, mode=mode).close()
        one = listen(path, mode=mode)
        while not seen:
            pass
        one.close()
    finally:
        os.umask(before)
        opened.set()
        watcher.join()
    assert seen == {mode}


@ROOT_ONLY
def test_the_file_belongs_to_whom_the_operator_names(folder: Path) -> None:
    """By name or by number, and only the group."""
    for owner, ids in (("daemon:daemon", (1, 1)), ("1:2", (1, 2)), (":2", (0, 2)), ("daemon", (1, 0))):
        with closing(listen(folder / "s", owner=owner)):
            found = os.lstat(folder / "s")
            assert (found.st_uid, found.st_gid) == ids


def test_an_owner_that_does_not_exist_is_told(folder: Path) -> None:
    """No file is left."""
    sentence = (
        f"cannot listen on unix:{folder}/s: owner=nobody-here names a user or a group that this machine does not have"
    )
    assert refusal(folder / "s", owner="nobody-here").startswith(sentence)
    assert os.listdir(folder) == []


def test_the_socket_of_a_dead_process_is_replaced(folder: Path) -> None:
    """One step: a client meets the old file or the new socket."""
    path = folder / "shop.sock"
    abandon(path)
    assert not answers(path)
    with closing(listen(path)):
        assert answers(path)


def test_a_live_server_is_not_disturbed(folder: Path) -> None:
    """The sentence names the process; the first server goes on, and its file stays."""
    path = folder / "shop.sock"
    with closing(listen(path)):
        inode = os.lstat(path).st_ino
        assert refusal(path).startswith(f"cannot listen on unix:{path}: process {os.getpid()} (")
        assert answers(path) and os.lstat(path).st_ino == inode


def test_a_live_server_with_a_full_queue_is_not_disturbed(folder: Path) -> None:
    """The kernel lets a client wait then, so it is no dead one."""
    path = folder / "shop.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        assert "a process whose queue is full listens there" in refusal(path)


@pytest.mark.parametrize(("make", "kind"), [("touch", "a file"), ("mkdir", "a directory"), ("link", "a symbolic link")])
def test_what_is_no_socket_is_not_touched(folder: Path, make: str, kind: str) -> None:
    """Also a link to a socket that nobody uses."""
    path = folder / "there"
    abandon(folder / "target")
    if make == "touch":
        path.touch()
    elif make == "mkdir":
        path.mkdir()
    else:
        path.symlink_to(folder / "target")
    before = os.lstat(path).st_ino
    assert f"there is {kind} that is no socket; remove it, or set another path" in refusal(path)
    assert os.lstat(path).st_ino == before


def test_a_datagram_socket_is_not_replaced(folder: Path) -> None:
    """A process of another kind may use it."""
    path = folder / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert "a process that does not let us ask" in refusal(path)


def test_where_no_file_can_be_made(folder: Path) -> None:
    """One sentence each."""
    (folder / "file").touch()
    assert f"there is no directory {folder}/no; make it" in refusal(folder / "no" / "s")
    assert f"{folder}/file is no directory; set another path" in refusal(folder / "file" / "s")
    assert "no file can be made in /proc" in refusal("/proc/s") or "there is no directory" in refusal("/proc/s")


ON_A_MOUNT = """\
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", sys.argv[2], "none", sys.argv[1]], check=True)
print("mounted")
from pastepool.errors import StartError
from pastepool.runtime.sockets.listener import open_all
from pastepool.settings.endpoint import Endpoint

for endpoint in (Endpoint(path=sys.argv[1] + "/s"), Endpoint("127.0.0.1", 0)):
    try:
        for one in open_all([endpoint], 1):
            one.close()
            print("opened")
    except StartError as error:
        print(error)
print(os.listdir(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("options", "words"), [("ro", "Read-only file system"), ("nr_inodes=1", "No space left on device")]
)
def test_a_file_system_that_takes_no_file(folder: Path, options: str, words: str) -> None:
    """Read-only or full, and mounted for this test: one sentence, and no file is left. Addresses need no file."""
    command = ["unshare", "-rm", sys.executable, "-c", ON_A_MOUNT, str(folder), options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    except FileNotFoundError:
        done = subprocess.CompletedProcess(command, 1, "", "there is no unshare")
    if not done.stdout.startswith("mounted\n"):
        pytest.skip(f"no file system can be mounted here: {done.stderr}")
    sentence = f"cannot listen on unix:{folder}/s: no file can be made in {folder} ({words}); make room there"
    told, opened, left = done.stdout.splitlines()[1:]
    assert told.startswith(sentence) and (opened, left) == ("opened", "[]"), done.stderr


@ROOT_ONLY
def test_a_directory_of_somebody_else(folder: Path) -> None:
    """A user without rights there is told so."""
    program = (
        "import os, sys\n"
        "from pastepool.runtime.sockets.listener import open_listeners\n"
        "from pastepool.settings.endpoint import Endpoint\n"
        "from pastepool.errors import StartError\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: open_listeners(Endpoint(path=sys.argv[1], owner=sys.argv[2]), 1)\n"
        "except StartError as error: print(error)\n"
    )
    os.chmod(folder, 0o755)

    def said(path: Path, owner: str = "") -> str:
        command = [sys.executable, "-c", program, str(path), owner]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert f"this user may not make files in {folder}; change its rights" in said(folder / "s")
    os.chmod(folder, 0o777)
    assert "this user may not give the socket to owner=root; start as root" in said(folder / "s", "root")
    assert os.listdir(folder) == []


def test_a_path_of_107_bytes_works_and_the_longest_directory_too(folder: Path) -> None:
    """The name under which the socket is made may be longer than its path."""
    deep = folder / ("d" * (105 - len(os.fsencode(folder)) - 1))
    deep.mkdir()
    path = deep / "s"
    assert len(os.fsencode(path)) == 107
    with closing(listen(path)):
        assert answers(path)


def test_the_file_of_another_server_is_not_removed(folder: Path) -> None:
    """A new server replaced the file while the old one still served."""
    path = folder / "s"
    old = listen(path)
    os.unlink(path)
    with closing(listen(path)):
        old.close()
        assert answers(path)


def test_a_child_process_does_not_remove_the_file(folder: Path) -> None:
    """Only the process that made it."""
    path = folder / "s"
    with closing(listen(path)) as one:
        child = os.fork()
        if child == 0:
            one.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert answers(path)


def test_removing_twice_and_after_the_directory_is_no_error(folder: Path) -> None:
    """The end of a server takes every step."""
    inner = folder / "inner"
    inner.mkdir()
    one = listen(inner / "s")
    one.remove_file()
    inner.rmdir()
    one.remove_file()
    one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_an_abstract_name_has_no_file_and_one_server() -> None:
    """The second server is refused, and the first one named."""
    name = f"@pastepool-test-{os.getpid()}"
    with closing(listen(name)) as one, socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:])
        assert one.file is None
        assert refusal(name).startswith(f"cannot listen on unix:{name}: process {os.getpid()} (")
        taken, _ = one.socket.accept()
        with taken:
            assert credentials_of(taken) == (os.getpid(), os.getuid(), os.getgid())
    assert credentials_of(client) is None
    listen(name).close()


def test_if_one_of_several_fails_no_file_is_left(folder: Path) -> None:
    """All or none."""
    with closing(listen(folder / "taken")), pytest.raises(StartError, match="listens there; stop it"):
        open_all([Endpoint(path=str(folder / "a")), Endpoint("127.0.0.1"), Endpoint(path=str(folder / "taken"))], 16)
    assert os.listdir(folder) == []


def test_the_queue_of_one_listener_may_differ(folder: Path) -> None:
    """``backlog=`` after the address counts before the general one."""
    (one,) = open_listeners(Endpoint(path=str(folder / "s"), backlog=1), 1024)
    with closing(one):
        clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        try:
            for client in clients:
                client.setblocking(False)
            assert [client.connect_ex(str(folder / "s")) for client in clients] == [0, 0, 11]
        finally:
            for client in clients:
                client.close()

"""Listening sockets: every form of a host, what accepted sockets inherit, and one sentence for every refusal."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadwsgi

from pastepool.errors import StartError
from pastepool.runtime.sockets import listener, port_holder
from pastepool.runtime.sockets.listener import Listener, adopt, open_all, open_listeners
from pastepool.settings import lines_of, read
from pastepool.settings.endpoint import Endpoint

Opener = Callable[..., tuple[Listener, ...]]


@pytest.fixture
def listen() -> Iterator[Opener]:
    """Open listeners that are closed after the test."""
    with ExitStack() as stack:

        def listen(host: str, port: int = 0, backlog: int = 16) -> tuple[Listener, ...]:
            opened = open_listeners(Endpoint(host, port), backlog)
            for one in opened:
                stack.enter_context(closing(one))
            return opened

        yield listen


def has_ipv6() -> bool:
    """Say whether this machine has ::1."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def both_loopbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the name ``both.test`` mean 127.0.0.1 (twice, as some resolvers say it) and ::1."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> list[Any]:
        assert host == "both.test"
        return [found for each in ("127.0.0.1", "127.0.0.1", "::1") for found in real(each, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def can_connect(host: str, port: int) -> bool:
    """Say whether somebody accepts there."""
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def refusal(host: str, port: int) -> str:
    """Ask for a listener that cannot be had; say the sentence."""
    with pytest.raises(StartError) as caught:
        open_listeners(Endpoint(host, port), 16)
    return str(caught.value)


def test_port_0_takes_a_free_port_and_tells_it(listen: Opener) -> None:
    """What is bound is in the value: never port 0."""
    (one,) = listen("127.0.0.1")
    assert one.endpoint.host == "127.0.0.1" and one.endpoint.port > 0
    assert one.socket.getsockname() == (one.endpoint.host, one.endpoint.port)
    assert one.fileno() == one.socket.fileno()
    assert can_connect("127.0.0.1", one.endpoint.port)


def test_the_socket_is_ready_for_a_poller_and_closed_on_exec(listen: Opener) -> None:
    """Contract F5, seen from a child: the descriptor is not there; and accept never blocks."""
    (one,) = listen("127.0.0.1")
    assert one.socket.getblocking() is False
    assert one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    with pytest.raises(BlockingIOError):
        one.socket.accept()
    child = subprocess.run(
        [sys.executable, "-S", "-c", f"import os\ntry: os.fstat({one.fileno()})\nexcept OSError as e: print(e.errno)"],
        close_fds=False,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert child.stdout.strip() == str(errno.EBADF)


@pytest.mark.skipif(sys.platform != "linux", reason="accepted sockets inherit the option on Linux")
def test_accepted_sockets_inherit_nodelay(listen: Opener) -> None:
    """Set once on the listener, TCP_NODELAY costs no system call per connection."""
    (one,) = listen("127.0.0.1")
    with socket.create_connection((one.endpoint.host, one.endpoint.port)):
        one.socket.setblocking(True)
        accepted, _ = one.socket.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_closing_twice_is_closing_once(listen: Opener) -> None:
    """The second close does nothing."""
    (one,) = listen("127.0.0.1")
    one.close()
    one.close()
    assert one.fileno() == -1
    assert not can_connect("127.0.0.1", one.endpoint.port)


@needs_ipv6
def test_an_ipv6_address_listens_on_ipv6_alone(listen: Opener) -> None:
    """``::1`` takes IPv6 connections."""
    (one,) = listen("::1")
    assert one.endpoint.host == "::1"
    assert one.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert can_connect("::1", one.endpoint.port)


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "*"])
def test_all_addresses_of_both_families_are_one_socket(listen: Opener, host: str) -> None:
    """``::`` and ``*`` are reached over IPv4 and over IPv6."""
    (one,) = listen(host)
    assert can_connect("127.0.0.1", one.endpoint.port) and can_connect("::1", one.endpoint.port)


def switch_ipv6_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine be one that speaks no IPv6."""
    real = socket.socket

    def without_ipv6(family: int = socket.AF_INET, *rest: Any, **options: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest, **options)

    monkeypatch.setattr(socket, "socket", without_ipv6)


def test_ipv6_without_ipv6_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator learns that it is the machine, not the address."""
    switch_ipv6_off(monkeypatch)
    assert refusal("::", 8080) == (
        "cannot listen on [::]:8080: this machine does not speak IPv6; set host to an IPv4 address such as 127.0.0.1 or"
        " 0.0.0.0."
    )


def test_all_addresses_without_ipv6_are_those_of_ipv4(listen: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine speaks no IPv6, ``*`` is 0.0.0.0."""
    switch_ipv6_off(monkeypatch)
    (one,) = listen("*")
    monkeypatch.undo()
    assert one.endpoint.host == "0.0.0.0" and can_connect("127.0.0.1", one.endpoint.port)


@needs_ipv6
def test_a_name_of_both_families_gets_a_socket_for_each_on_one_port(
    listen: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every distinct address once; port 0 means the same number for all."""
    both_loopbacks(monkeypatch)
    four, six = listen("both.test")
    monkeypatch.undo()
    assert (four.endpoint.host, six.endpoint.host) == ("127.0.0.1", "::1")
    assert four.endpoint.port == six.endpoint.port
    assert can_connect("127.0.0.1", four.endpoint.port) and can_connect("::1", six.endpoint.port)


@needs_ipv6
def test_a_drawn_port_that_is_taken_elsewhere_is_drawn_again(listen: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number free on one address may be taken on the next; another is drawn, and nothing is left open."""
    both_loopbacks(monkeypatch)
    drawn: list[int] = []
    real = listener._open

    def unlucky_twice(target: Any, port: int, backlog: int) -> Listener:
        if target.host == "::1" and len(drawn) < 2:
            drawn.append(port)
            raise listener._BindError(target, port, OSError(errno.EADDRINUSE, "Address already in use"))
        return real(target, port, backlog)

    monkeypatch.setattr(listener, "_open", unlucky_twice)
    four, six = listen("both.test")
    assert len(drawn) == 2 and 0 not in drawn
    assert four.endpoint.port == six.endpoint.port


def test_an_address_this_machine_lacks_is_left_out_as_long_as_another_is_left(
    listen: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``localhost`` often names ::1 on machines whose IPv6 is switched off."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> list[Any]:
        return [found for each in ("192.0.2.1", "127.0.0.1") for found in real(each, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    (one,) = listen("half.test")
    assert one.endpoint.host == "127.0.0.1"


def test_an_address_of_another_machine_is_refused_in_a_sentence() -> None:
    """192.0.2.1 belongs to no machine at all."""
    assert refusal("192.0.2.1", 8080) == (
        "cannot listen on 192.0.2.1:8080: this machine has no such address; set host to one it has, or to 0.0.0.0 or ::"
        " for all of them."
    )


@pytest.mark.skipif(not os.path.exists("/proc/net/tcp"), reason="needs Linux's /proc")
@pytest.mark.parametrize("mine", ["127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("theirs", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_refused_with_the_process_that_holds_it(mine: str, theirs: str) -> None:
    """The same address or a wildcard on either side: the operator learns whom to stop."""
    with open("/proc/self/comm", encoding="utf-8") as file:
        name = file.read().strip()
    with socket.create_server((theirs, 0)) as other:
        port = other.getsockname()[1]
        assert refusal(mine, port) == (
            f"cannot listen on {mine}:{port}: the port is taken by process {os.getpid()} ({name}); stop what listens"
            " there, or set another port."
        )


@needs_ipv6
@pytest.mark.skipif(not os.path.exists("/proc/net/tcp6"), reason="needs Linux's /proc")
def test_a_port_taken_on_ipv6_names_its_holder_too() -> None:
    """The address is written with brackets, the holder found in the other table."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on [::1]:{port}: the port is taken by process {os.getpid()} (" in refusal("::1", port)


def test_a_taken_port_is_refused_for_the_name_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a host name both are said: the address in the way and the name in the file."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **options: real("127.0.0.1", port, **options))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert f"cannot listen on 127.0.0.1:{port} (host 'shop.test'): the port is taken" in refusal("shop.test", port)


def test_a_port_bound_and_not_yet_listening_is_not_blamed_on_anybody() -> None:
    """Nobody listens there, so /proc lists nobody, and the sentence does without a name."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        assert refusal("127.0.0.1", port) == (
            f"cannot listen on 127.0.0.1:{port}: the port is taken; stop what listens there, or set another port."
        )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label empty or too long"), "it is not a valid host name"),
    ],
)
def test_an_unknown_host_is_refused_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    """What the resolver says, and what to write instead."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert refusal("nowhere.test", 8080) == (
        f"cannot listen on nowhere.test:8080: the host 'nowhere.test' cannot be resolved ({reason}); set host to an"
        " address of this machine such as 127.0.0.1, or to 0.0.0.0 or :: for all of them."
    )


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        (errno.EACCES, " need a privilege; set a higher port and put a proxy in front, or give the process CAP_NET_"),
        (errno.EPERM, "the system refuses it (Operation not permitted); set another host or port"),
    ],
)
def test_every_refusal_of_the_system_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, number: int, problem: str
) -> None:
    """What a test cannot make a kernel say is put in its mouth."""

    class Refusing(socket.socket):
        def bind(self, address: Any) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Refusing)
    sentence = refusal("127.0.0.1", 80)
    assert sentence.startswith("cannot listen on 127.0.0.1:80: ") and problem in sentence and sentence.endswith(".")


def test_a_failure_leaves_no_socket_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the second address fails, the first is given back; the fixture that counts sockets looks on."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> list[Any]:
        return [found for each in ("127.0.0.2", "127.0.0.1") for found in real(each, port, **options)]

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert "the port is taken" in refusal("two.test", port)
        monkeypatch.undo()
        assert not can_connect("127.0.0.2", port)


@pytest.mark.parametrize("key", ["listen", "bind"])
def test_the_failed_one_of_several_is_told_with_its_line(key: str, folder: Path) -> None:
    """The third of four is taken: its line, and who has it; no port stays open, and no file of a socket is left."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (folder / "shop.ini").write_text(
            f"[server:main]\nuse = egg:pastepool#http\n{key} =\n  127.0.0.2:{port}\n  # the file\n"
            f"  unix:{folder}/s mode=600\n  127.0.0.1:{port}\n  127.0.0.3:{port}\n"
        )
        context: Any = loadwsgi.loadcontext(loadwsgi.SERVER, f"config:{folder}/shop.ini")
        lines = lines_of(f"{folder}/shop.ini")
        settings = read(context.local_conf, {"__file__": f"{folder}/shop.ini"}, lines=lines)
        with pytest.raises(StartError) as caught:
            open_all(settings.listen, 16)
        told = str(caught.value)
        assert told.startswith(f"cannot listen on 127.0.0.1:{port}: the port is taken by process {os.getpid()} (")
        assert told.endswith(f"set another port. It stands in line 7 of {folder}/shop.ini.")
        assert not any(can_connect(host, port) for host in ("127.0.0.2", "127.0.0.3"))
    assert [path.name for path in folder.iterdir()] == ["shop.ini"]


def test_a_child_adopts_a_listener_by_its_descriptor(listen: Opener) -> None:
    """A new process takes the sockets over: the same address, ready for its own poller, closed on its own exec."""
    (one,) = listen("127.0.0.1")
    descriptor = os.dup(one.fileno())
    os.set_inheritable(descriptor, True)
    with closing(adopt(descriptor)) as adopted:
        assert adopted.endpoint == one.endpoint
        assert not os.get_inheritable(descriptor)
        one.close()
        assert can_connect("127.0.0.1", adopted.endpoint.port)


def test_what_is_no_socket_is_not_adopted() -> None:
    """A pipe, or a closed descriptor, is refused in a sentence and left alone."""
    reading, writing = os.pipe()
    try:
        with pytest.raises(StartError, match=rf"^cannot take over descriptor {reading}: it is not a socket \("):
            adopt(reading)
        os.fstat(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_socket_that_does_not_listen_is_not_adopted() -> None:
    """Neither a connected one nor one of another kind; both stay open for the process that passed them."""
    with socket.socket() as idle, socket.socket(socket.AF_UNIX) as unix:
        for other in (idle, unix):
            with pytest.raises(StartError, match="it is not a stream socket that listens"):
                adopt(other.fileno())
            os.fstat(other.fileno())


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://0.0.0.0:8080"),
        ("::1", "http://[::1]:8080"),
        ("::", "http://[::]:8080"),
    ],
)
def test_url_names_what_is_listened_on(host: str, url: str) -> None:
    """IPv6 stands in brackets, and a socket on every address is not shown as one that only this machine can reach."""
    with socket.socket() as unused:
        assert listener.url(Listener(unused, Endpoint(host, 8080))) == url


def test_several_endpoints_are_opened_in_their_order() -> None:
    """What was asked for first is first."""
    with ExitStack() as stack:
        opened = open_all([Endpoint("127.0.0.1"), Endpoint("127.0.0.2")], 16)
        for one in opened:
            stack.enter_context(closing(one))
        assert [one.endpoint.host for one in opened] == ["127.0.0.1", "127.0.0.2"]
        assert all(can_connect(one.endpoint.host, one.endpoint.port) for one in opened)


def test_of_several_endpoints_all_are_opened_or_none() -> None:
    """When the second is taken, the first is given back; the fixture that counts sockets looks on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match="the port is taken"):
            open_all([Endpoint("127.0.0.2", port), Endpoint("127.0.0.1", port)], 16)
        assert not can_connect("127.0.0.2", port)


def test_the_first_open_port_is_the_kernels_or_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel does not say, it is 1024."""
    assert 0 <= listener._first_open_port() <= 65535

    def fail(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", fail)
    assert listener._first_open_port() == 1024


def test_a_holder_whose_descriptors_may_not_be_read_is_named_by_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells the user of every socket, even where it hides the process."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(port_holder, "_process_of", lambda inode: 0)
        assert (
            port_holder.describe_holder("127.0.0.1", port) == f"a process of user {port_holder._user_name(os.getuid())}"
        )


def test_a_user_without_a_name_is_a_number() -> None:
    """In containers users are often just numbers."""
    assert port_holder._user_name(3_999_999_999) == "3999999999"


def test_a_holder_that_ends_while_it_is_looked_for_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes and descriptors come and go under the search."""
    assert port_holder.name_of(2**31 - 1) == "unknown"
    monkeypatch.setattr(port_holder, "_descriptors", lambda: iter(["/proc/self/fd/99999"]))
    assert port_holder._process_of("1") == 0
    assert port_holder._entries("/proc/no-such") == []


def test_without_proc_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems the sentence does without the holder."""
    monkeypatch.setattr(port_holder, "_TABLES", ("/no/such/table",))
    assert port_holder.describe_holder("127.0.0.1", 80) == ""


@needs_ipv6
@pytest.mark.parametrize("hosts", [("0.0.0.0", "::"), ("::", "0.0.0.0"), ("127.0.0.1", "::")])
def test_every_ipv6_address_beside_an_ipv4_address_on_one_port(hosts: tuple[str, str]) -> None:
    """``0.0.0.0:8080 [::]:8080`` is two sockets, in either order: the second takes IPv6 alone."""
    (first,) = open_all([Endpoint("127.0.0.1", 0)], 1)
    port = first.endpoint.port
    first.close()
    opened = open_all([Endpoint(host, port) for host in hosts], 1)
    for listener_ in opened:
        listener_.close()
    assert [each.endpoint.host for each in opened] == list(hosts)


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "family", "bound", "takes_ipv4"),
    [
        ("*", 4, "0.0.0.0", True),
        ("*", 6, "::", False),
        ("::", 6, "::", False),
        ("localhost", 4, "127.0.0.1", True),
        ("::1", 6, "::1", False),
    ],
)
def test_one_ip_family_alone(host: str, family: int, bound: str, takes_ipv4: bool) -> None:
    """``ipv4 = false`` and ``ipv6 = false``: a name and ``*`` mean only addresses of the other family."""
    opened = open_listeners(Endpoint(host, 0, family=family), 1)
    try:
        assert [each.endpoint.host for each in opened] == [bound]
        try:
            socket.create_connection(("127.0.0.1", opened[0].endpoint.port)).close()
        except ConnectionRefusedError:
            assert not takes_ipv4
        else:
            assert takes_ipv4
    finally:
        for each in opened:
            each.close()


def test_address_of_the_other_ip_family_is_refused() -> None:
    """An IPv4 address with ``ipv4 = false`` is a sentence with the address."""
    with pytest.raises(
        StartError, match=r"cannot listen on 127\.0\.0\.1:0: the host '127\.0\.0\.1' cannot be resolved"
    ):
        open_listeners(Endpoint("127.0.0.1", 0, family=6), 1)

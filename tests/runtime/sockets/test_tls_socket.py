"""TLS around a socket: handshakes byte by byte, records and what the caller is told of them, and the ends."""

from __future__ import annotations

import itertools
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest

from pastepool.errors import PeerError, TlsFailed
from pastepool.runtime.sockets.tls_socket import TlsSocket
from pastepool.testing import DribbleSocket
from tests.certificates import NAME, server_pem, trusting
from tests.waiting import WATCHDOG, until


def server_context() -> ssl.SSLContext:
    """A context with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_pem())
    return context


class Client:
    """A client's side of TLS whose bytes the test carries to the server."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or trusting()).wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)

    def step(self, data: bytes) -> bytes:
        """Take what the server has sent, and return what goes back."""
        self.incoming.write(data)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def encrypted(self, *pieces: bytes) -> bytes:
        """Return a record for each piece."""
        for piece in pieces:
            self.tls.write(piece)
        return self.outgoing.read()

    def decrypted(self, data: bytes) -> bytes:
        """Return all that can be read, without the tickets of a new session."""
        self.incoming.write(data)
        pieces = []
        try:
            while piece := self.tls.read(16384):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        return b"".join(pieces)


Wrap = Callable[..., TlsSocket]


def wrapped(raw: DribbleSocket | socket.socket, may_shake: Callable[[], bool] = lambda: True) -> TlsSocket:
    """Put TLS around a server's socket."""
    return TlsSocket(raw, lambda name: server_context(), may_shake, lambda tls, name: None)  # type: ignore[arg-type]


def connected(ours: socket.socket, theirs: socket.socket) -> tuple[TlsSocket, Client]:
    """Put TLS around one socket of a pair, and make the handshake over the other one."""
    tls, client = wrapped(ours), Client()
    data = client.step(b"")
    while data:
        with pytest.raises(BlockingIOError):
            tls.receive(data)
        data = client.step(theirs.recv(65536))
    return tls, client


def opened(raw: DribbleSocket) -> tuple[TlsSocket, Client]:
    """Put TLS around a socket, and make the handshake."""
    tls, client = wrapped(raw), Client()
    data = client.step(b"")
    while data:
        before = len(raw.sent)
        with pytest.raises(BlockingIOError):
            tls.receive(data)
        data = client.step(raw.sent[before:])
    client.decrypted(b"")
    return tls, client


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A non-blocking server side and its client."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), WATCHDOG)
        ours, _ = listener.accept()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_a_conversation_byte_by_byte() -> None:
    """Handshake and request come in single bytes, and the kernel takes single bytes: nothing is lost."""
    raw = DribbleSocket(at_once=1, hangs_up=False)
    tls, client = wrapped(raw), Client()
    data, seen = client.step(b""), 0
    while data:
        for byte in data:
            with pytest.raises(BlockingIOError):
                tls.receive(bytes([byte]))
        data, seen = client.step(raw.sent[seen:]), len(raw.sent)
    request = client.encrypted(b"GET / HTTP/1.1\r\n\r\n")
    for byte in request[:-1]:
        with pytest.raises(BlockingIOError):
            tls.receive(bytes([byte]))
    assert tls.receive(request[-1:]) == b"GET / HTTP/1.1\r\n\r\n"
    answer = memoryview(b"HTTP/1.1 204 No Content\r\n\r\n")
    calls = 0
    while answer:
        calls += 1
        assert calls < 10
        try:
            answer = answer[tls.send(answer) :]
        except BlockingIOError:
            pass
    assert client.decrypted(raw.sent[seen:]) == b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_leaves_at_any_byte_of_the_handshake_is_only_gone(version: ssl.TLSVersion) -> None:
    """Up to each byte the server waits for more, and at the end it hears the end."""
    context = trusting()
    context.maximum_version = version
    total = left = 0
    while left == 0:
        raw = DribbleSocket(at_once=100_000)
        tls, client = wrapped(raw), Client(context)
        left, seen = total, 0
        data = client.step(b"")
        while data and left:
            data = data[:left]
            left -= len(data)
            with pytest.raises(BlockingIOError):
                tls.receive(data)
            data, seen = client.step(raw.sent[seen:]), len(raw.sent)
        assert tls.recv(16384) == b""
        tls.close()
        assert raw.closed
        total += 1
    assert total > 250


def test_everything_that_came_is_returned_at_once() -> None:
    """Two requests in one record, and more records behind it: the poller would not be told of what is left inside."""
    raw = DribbleSocket(at_once=100_000)
    tls, client = opened(raw)
    raw.feed(client.encrypted(b"one two ", b"three ", b"x" * 20_000))
    assert tls.recv(100_000) == b"one two three " + b"x" * 20_000


def test_half_a_record_waits_for_the_rest() -> None:
    """What is whole before it is returned."""
    raw = DribbleSocket(at_once=100_000)
    tls, client = opened(raw)
    data = client.encrypted(b"one", b"two")
    assert tls.receive(data[:-1]) == b"one"
    assert tls.receive(data[-1:]) == b"two"


def test_bytes_count_as_sent_when_their_whole_record_is() -> None:
    """Until then the caller keeps them, as it keeps those that a socket did not take."""
    raw = DribbleSocket(at_once=100_000, room=100_000)
    tls, client = opened(raw)
    seen, raw.room = len(raw.sent), 30
    with pytest.raises(BlockingIOError):
        tls.send(b"hello world")
    assert len(raw.sent) == seen + 30
    with pytest.raises(BlockingIOError):
        tls.send(b"hello world")
    raw.make_room(100)
    assert tls.send(b"hel") == 3
    assert tls.send(b"lo world, and more") == 8
    assert tls.send(b", and more") == 10
    assert client.decrypted(raw.sent[seen:]) == b"hello world, and more"


def test_a_head_and_a_long_body() -> None:
    """The body is encrypted block by block, as far as the socket takes it."""
    raw = DribbleSocket(at_once=1_000_000)
    tls, client = opened(raw)
    seen, body = len(raw.sent), bytes(range(250)) * 4000
    assert tls.sendmsg((b"head", b"small")) == 9
    assert tls.sendmsg((b"head", body)) == 1_000_004
    raw.room = 200_000
    sent = tls.sendmsg((b"head", body))
    assert 100_000 < sent < 200_000
    raw.room = 1
    with pytest.raises(BlockingIOError):
        tls.sendmsg((b"", body[sent - 4 :]))
    raw.room = None
    assert tls.send(body[sent - 4 :]) == 65536  # what was encrypted before is counted first
    rest = memoryview(body)[sent - 4 + 65536 :]
    assert tls.send(rest) == len(rest)
    assert client.decrypted(raw.sent[seen:]) == b"headsmall" + (b"head" + body) * 2


def test_one_send_takes_a_stretch_and_no_more() -> None:
    """A client that reads fast does not keep the baton for itself."""
    raw = DribbleSocket(at_once=10_000_000)
    tls, _ = opened(raw)
    assert tls.send(bytes(3_000_000)) == 1_048_576
    assert tls.send(b"") == 0


def test_a_client_that_speaks_http_is_told_so_in_plain_text() -> None:
    """Its first byte shows it."""
    raw = DribbleSocket(at_once=1000)
    tls = wrapped(raw)
    with pytest.raises(PeerError, match="This port speaks TLS"):
        tls.receive(b"GET / HTTP/1.1\r\n")
    assert tls.send(b"HTTP/1.1 400") == 12
    assert raw.sent == b"HTTP/1.1 400"
    assert tls.receive(b"more") == b"more"


@pytest.mark.parametrize(
    "data", [b"\x80\x2e\x01\x03", b"\0" * 20, b"\x16\x03\x01\xff\xff" + b"x" * 20, b"\r\n\r\n" * 5]
)
def test_garbage_is_no_handshake(data: bytes) -> None:
    """The client gets an alert, if any, and nothing more is decrypted."""
    raw = DribbleSocket(at_once=1000, hangs_up=False)
    tls = wrapped(raw)
    with pytest.raises((TlsFailed, BlockingIOError)):
        tls.receive(data * 5)
    with pytest.raises(BrokenPipeError):
        tls.send(b"x")


def test_a_record_that_was_changed_ends_it() -> None:
    """One bit in the middle of a request."""
    raw = DribbleSocket(at_once=1000)
    tls, client = opened(raw)
    data = bytearray(client.encrypted(b"GET / HTTP/1.1\r\n\r\n"))
    data[10] ^= 1
    with pytest.raises(TlsFailed, match=r"bad record mac|record layer failure"):
        tls.receive(bytes(data))
    with pytest.raises(BrokenPipeError):
        tls.send(b"x")


def test_no_step_of_a_handshake_is_taken_when_it_is_not_the_turn() -> None:
    """The bytes stay in the kernel."""
    raw, turns = DribbleSocket(at_once=100_000, hangs_up=False), [False]
    tls, client = wrapped(raw, lambda: turns[0]), Client()
    raw.feed(client.step(b""))
    with pytest.raises(BlockingIOError):
        tls.recv(100_000)
    assert raw.sent == b""
    turns[0] = True
    with pytest.raises(BlockingIOError):
        tls.recv(100_000)
    assert raw.sent


def test_a_close_notify_is_an_end_as_any_other(pair: tuple[socket.socket, socket.socket]) -> None:
    """The kernel reports it to the poller, although it only came in a record; what came before it is returned first."""
    ours, theirs = pair
    tls, client = connected(ours, theirs)
    client.tls.write(b"last request")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    theirs.sendall(client.outgoing.read())
    until(lambda: len(ours.recv(65536, socket.MSG_PEEK)) > 50, "both records are there")
    assert tls.recv(65536) == b"last request"
    assert tls.recv(65536) == b""
    assert tls.send(b"answer") == 6
    assert client.decrypted(theirs.recv(65536)) == b"answer"
    tls.shutdown(socket.SHUT_WR)
    with pytest.raises(ssl.SSLZeroReturnError):
        client.decrypted(theirs.recv(65536))
    with pytest.raises(BrokenPipeError):
        tls.send(b"late")


def test_a_change_of_keys_is_answered_while_records_wait() -> None:
    """Nothing is sent out of its order: the answer waits behind the record of which the kernel has only a part."""
    raw = DribbleSocket(at_once=100_000, room=100_000)
    tls, client = opened(raw)
    seen, raw.room = len(raw.sent), 10
    with pytest.raises(BlockingIOError):
        tls.send(b"hello")
    # TLS says something of its own: the end.
    with pytest.raises(ssl.SSLWantReadError):
        tls._tls.unwrap()
    raw.room = 100_000
    tls._send_own()
    assert tls.send(b"hello") == 5
    assert client.decrypted(raw.sent[seen:]) == b"hello"
    assert client.tls.read(1) == b""


def test_the_end_is_not_said_in_the_middle_of_a_record() -> None:
    """The client would not understand it; it sees that the rest is missing."""
    raw = DribbleSocket(at_once=100_000, room=100_000)
    tls, _ = opened(raw)
    seen, raw.room = len(raw.sent), 10
    with pytest.raises(BlockingIOError):
        tls.send(b"hello")
    raw.room = 100_000
    tls.shutdown(socket.SHUT_RDWR)
    assert len(raw.sent) == seen + 10


def test_the_end_does_not_wait_for_a_thread_that_sends() -> None:
    """A kill comes from another thread, and must not be held up."""
    raw = DribbleSocket(at_once=100_000)
    tls, _ = opened(raw)
    seen = len(raw.sent)
    with tls._lock:
        ending = threading.Thread(target=tls.shutdown, args=(socket.SHUT_RDWR,))
        ending.start()
        ending.join(WATCHDOG)
        assert not ending.is_alive()
    assert len(raw.sent) == seen
    tls.close()
    tls.close()


def test_the_kernel_is_asked_without_what_does_not_count_as_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    """Half a record in the kernel is no progress of the client, and no step back when it is counted."""
    ours, theirs = pair
    tls, client = connected(ours, theirs)
    sent, progress = 0, [0]
    while len(progress) < 1000:
        try:
            sent += tls.send(b"x" * 50_000)
        except BlockingIOError:
            break
        finally:
            progress.append(sent - tls.unacknowledged())
    overhead = sent // 100 + 100
    assert all(later >= earlier - overhead for earlier, later in itertools.pairwise(progress))
    assert tls.fileno() == -1
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.sendall(client.encrypted(b"x"))
    until(lambda: select.select([ours], [], [], 0)[0], "the record is there")
    assert tls.recv(1, socket.MSG_PEEK) == b"\x17"
    assert tls.recv(100) == b"x"


def test_answers_that_nobody_reads_are_bounded() -> None:
    """A client may ask for new keys again and again, and each time there is an answer; it must not fill the memory."""
    raw = DribbleSocket(at_once=100_000, room=100_000)
    tls, client = opened(raw)
    raw.room = 0
    with pytest.raises(TlsFailed, match="does not read the answers"):
        for _ in range(2000):
            tls._outgoing.write(bytes(100))  # what OpenSSL does with a message of its client
            assert tls.receive(client.encrypted(b"x")) == b"x"
    with pytest.raises(BrokenPipeError):
        tls.send(b"x")

"""What one worker process broadcasts reaches all of them (contract I5)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.process.site import Site, ending
from tests.waiting import PROGRAM_WATCHDOG, until

CACHE = """
import itertools, os, pastepool

CACHE = {"price": "old"}
HEARD = []
NUMBERS = itertools.count()

def learn(payload):
    CACHE["price"] = payload.decode()

def note(payload):
    HEARD.append(payload)

def fail(payload):
    raise RuntimeError("on purpose")

def change(environ):
    word = environ["QUERY_STRING"]
    environ["pastepool.broadcast"]("prices", word.encode(), keep=True)
    return word

def many(environ):
    send, pid = environ["pastepool.broadcast"], os.getpid()
    for _ in range(100):
        send("numbers", f"{pid} {next(NUMBERS)}".encode())
    return "sent"

def crowd(environ):
    send = environ["pastepool.broadcast"]
    for number in range(300):
        send("crowd", bytes(65536))
    send("prices", b"newest", keep=True)
    return "sent"

def flood(environ):
    try:
        while True:
            environ["pastepool.broadcast"]("crowd", bytes(65536))
    except RuntimeError as error:
        return f"{type(error).__name__}: {error}"

def wrong(environ):
    said = []
    for topic, payload in (("prices", bytes(65537)), (b"prices", b""), ("prices", "text")):
        try:
            environ["pastepool.broadcast"](topic, payload)
        except (TypeError, ValueError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return "\\n".join(said)

pastepool.subscribe("prices", fail)
pastepool.subscribe("prices", learn)
pastepool.subscribe("numbers", note)
ROUTES = {
    "/change": change,
    "/many": many,
    "/crowd": crowd,
    "/flood": flood,
    "/wrong": wrong,
    "/price": lambda environ: f"{os.getpid()} {CACHE['price']}",
    "/heard": lambda environ: f"{os.getpid()} {b','.join(HEARD).decode()}",
}
"""


def prices(site: Site, workers: int) -> dict[int, str]:
    """What each worker has in its cache, when so many have answered."""
    found: dict[int, str] = {}

    def all_asked() -> bool:
        pid, _, price = site.text("/price").partition(" ")
        found[int(pid)] = price
        return len(found) >= workers

    until(all_asked, f"answers of {workers} workers")
    return found


def all_have(site: Site, pids: set[int], price: str) -> None:
    """Wait until each of these workers has a price."""
    seen: set[int] = set()

    def seen_in_all() -> bool:
        pid, _, found = site.text("/price").partition(" ")
        if found == price:
            seen.add(int(pid))
        return pids <= seen

    until(seen_in_all, f"{price} in {pids}", PROGRAM_WATCHDOG)


def all_stopped(pid: int) -> bool:
    """Whether each thread of a process is stopped: that comes a moment after the signal."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def test_cache_is_invalidated_in_three_processes(tmp_path: Path) -> None:
    """In the sender's too, in one that starts later, and in those of the next generation; a callback that raises harms none."""
    with ending(Site(tmp_path, processes=3, boots=CACHE)) as site:
        workers = site.serving(workers=3)
        assert set(prices(site, 3).values()) == {"old"}
        site.text("/change?new")
        all_have(site, set(workers.values()), "new")
        os.kill(workers[2], signal.SIGTERM)  # it is recycled
        site.await_line(rf"worker process 2 \(pid (?!{workers[2]}\b)\d+, generation 1\) serves")
        assert site.workers()[2] != workers[2]
        all_have(site, set(site.workers().values()), "new")
        site.hup()
        site.serving(generation=2, workers=3)
        all_have(site, set(site.workers(generation=2).values()), "new")
        assert (
            "the callback several.fail for the topic 'prices' of pastepool.subscribe raised RuntimeError" in site.said
        )


def test_messages_of_one_sender_arrive_in_their_order(tmp_path: Path) -> None:
    """Of two senders too, in every process, and all processes see one order."""
    with ending(Site(tmp_path, processes=3, boots=CACHE)) as site:
        workers = set(site.serving(workers=3).values())
        for _ in range(2):
            site.text("/many")
        heard: dict[int, str] = {}

        def all_heard() -> bool:
            pid, _, words = site.text("/heard").partition(" ")
            if words.count(",") == 199:
                heard[int(pid)] = words
            return set(heard) == workers

        until(all_heard, "two hundred messages in each")
        assert len(set(heard.values())) == 1
        by_sender: dict[str, list[int]] = {}
        for word in heard.popitem()[1].split(","):
            sender, _, number = word.partition(" ")
            by_sender.setdefault(sender, []).append(int(number))
        assert all(numbers == sorted(numbers) for numbers in by_sender.values())


def test_worker_that_does_not_read_costs_the_others_nothing(tmp_path: Path) -> None:
    """One is stopped while twenty megabytes pass: the others have the newest at once, and it has when it goes on."""
    with ending(Site(tmp_path, processes=3, boots=CACHE, deadlock_timeout=0)) as site:
        workers = site.serving(workers=3)
        os.kill(workers[1], signal.SIGSTOP)
        until(lambda: all_stopped(workers[1]), "no thread of it accepts a client any more")
        site.text("/crowd")
        all_have(site, {workers[2], workers[3]}, "newest")
        os.kill(workers[1], signal.SIGCONT)
        all_have(site, {workers[1]}, "newest")
        site.await_line(r"(messages of pastepool\.broadcast get lost in this process|\d+ messages .* did not reach)")


def test_mistakes_are_told_to_the_sender(tmp_path: Path) -> None:
    """A payload that is too large, a topic that is no text, a payload that is no bytes."""
    with ending(Site(tmp_path, processes=1, boots=CACHE)) as site:
        site.serving(workers=1)
        large, topic, payload = site.text("/wrong").splitlines()
        assert large.startswith("ValueError: the payload for 'prices' has 65537 bytes")
        assert topic.startswith("TypeError: the topic b'prices' is of type bytes")
        assert payload.startswith("TypeError: the payload for 'prices' is of type str")


def test_single_process_has_it_too(tmp_path: Path) -> None:
    """Without processes, the callbacks of the same process are called."""
    with Site(tmp_path, processes=0, boots=CACHE) as site:
        site.port()
        site.text("/change?new")
        until(lambda: site.text("/price").endswith(" new"), "it is called back")
        assert site.end() == 0


def test_sender_is_told_when_the_parent_takes_nothing(tmp_path: Path) -> None:
    """The parent is stopped: after a second the sender has an error, and the worker serves on."""
    with ending(Site(tmp_path, processes=1, boots=CACHE)) as site:
        site.serving(workers=1)
        os.kill(site.pid, signal.SIGSTOP)
        assert "BroadcastError: the message was not sent: the parent has not taken one for 1 s" in site.text("/flood")
        os.kill(site.pid, signal.SIGCONT)
        site.text("/change?new")
        until(lambda: site.text("/price").endswith(" new"), "messages pass again")

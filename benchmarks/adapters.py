"""
What the pool costs and gains under the servers of others: ``python -m benchmarks.adapters``.

cheroot serves ``hello`` with its own pool and with ours, in turns: requests a second with 32 kept connections, and the CPU
time of the process for each request. Then: how long four clients wait for their 503 while the queue is full, and how long
``stop`` takes with a request that hangs. Last: whether a program of Twisted with four hung requests ends on SIGTERM.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

SECONDS = 3
ROUNDS = 3
CLIENTS = 32
PATIENCE = 12.0

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

TWISTED = """
import sys, threading
from twisted.internet import reactor
from twisted.python.threadpool import ThreadPool as Theirs
from pastepool.adapters.twisted import ThreadPool as Ours

pool = Ours(4, 4, shutdown_timeout=1) if sys.argv[1] == "pastepool" else Theirs(4, 4)
reactor.callWhenRunning(pool.start)
reactor.addSystemEventTrigger("during", "shutdown", pool.stop)
for _ in range(4):
    pool.callInThread(threading.Semaphore(0).acquire)
reactor.callLater(1, print, "up", flush=True)
reactor.run()
"""


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The smallest application."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def server_of(pool: str, application: Any, **options: Any) -> Any:
    """Return a server of cheroot that serves on a thread."""
    import cheroot.wsgi

    from pastepool.adapters.cheroot import use_in

    server = cheroot.wsgi.Server(("127.0.0.1", 0), application, **options)
    server.keep_alive_conn_limit = None
    if pool == "pastepool":
        use_in(server)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    return server


def load(port: int) -> int:
    """Ask from a process of its own for ``SECONDS``. Returns how many responses came."""
    code = (
        "import socket, threading, time, sys\n"
        f"until, counts = time.monotonic() + {SECONDS}, []\n"
        "def ask():\n"
        f"    sock, count = socket.create_connection(('127.0.0.1', {port})), 0\n"
        "    while time.monotonic() < until:\n"
        f"        sock.sendall({REQUEST!r})\n"
        "        while not sock.recv(4096).endswith(b'hello'): pass\n"
        "        count += 1\n"
        "    counts.append(count)\n"
        f"threads = [threading.Thread(target=ask) for _ in range({CLIENTS})]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]; print(sum(counts))\n"
    )
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def throughput(pool: str) -> tuple[float, float]:
    """Return requests a second, and microseconds of CPU for each."""
    server = server_of(pool, hello, numthreads=10)
    before = cpu()
    count = load(server.bind_addr[1])
    used = cpu() - before
    server.stop()
    return count / SECONDS, used / count * 1e6


def overload(pool: str) -> list[float]:
    """Return after how many seconds each of four clients reads its 503, while the queue is full."""
    gate, waits = threading.Event(), []

    def hang(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        gate.wait(60)
        return hello(environ, start_response)

    server = server_of(pool, hang, numthreads=1, max=1, accepted_queue_size=1, accepted_queue_timeout=2)
    address = ("127.0.0.1", server.bind_addr[1])
    before = [socket.create_connection(address) for _ in range(2)]
    for sock in before:
        sock.sendall(REQUEST)
        time.sleep(0.3)

    def refused() -> None:
        began = time.monotonic()
        with socket.create_connection(address) as sock:
            sock.sendall(REQUEST)
            sock.recv(100)
        waits.append(round(time.monotonic() - began, 1))

    threads = [threading.Thread(target=refused) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    gate.set()
    server.stop()
    return sorted(waits)


def stop(pool: str) -> float:
    """Return how long ``stop`` takes with a hung request and ``shutdown_timeout`` 1; at most ``PATIENCE``."""
    gate, entered = threading.Event(), threading.Event()

    def hang(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        entered.set()
        gate.wait(60)
        return hello(environ, start_response)

    server = server_of(pool, hang, numthreads=1, shutdown_timeout=1)
    with socket.create_connection(("127.0.0.1", server.bind_addr[1])) as sock:
        sock.sendall(REQUEST)
        entered.wait(10)
        began = time.monotonic()
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        stopping.join(PATIENCE)
        took = time.monotonic() - began
        gate.set()
        stopping.join()
    return took


def sigterm(pool: str) -> float:
    """Return how long a program of Twisted with four hung calls takes to end on SIGTERM; at most ``PATIENCE``."""
    with subprocess.Popen(
        [sys.executable, "-c", TWISTED, pool], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
        return time.monotonic() - began


def main() -> None:
    """Measure and print."""
    figures: dict[str, list[tuple[float, float]]] = {"cheroot": [], "pastepool": []}
    for _ in range(ROUNDS):
        for pool in figures:
            figures[pool].append(throughput(pool))
    for pool, rounds in figures.items():
        a_second, each = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"cheroot, pool of {pool}: {a_second:,.0f} hello/s, {each:.0f} us CPU for each")
        print(f"cheroot, pool of {pool}: 503 after {overload(pool)} s, with accepted_queue_timeout 2")
        print(
            f"cheroot, pool of {pool}: stop(1) with a hung request takes {stop(pool):.1f} s (looked at for {PATIENCE:g})"
        )
    for pool in ("twisted", "pastepool"):
        print(
            f"Twisted, pool of {pool}: SIGTERM with four hung calls takes {sigterm(pool):.1f} s (looked at for {PATIENCE:g})"
        )


if __name__ == "__main__":
    main()

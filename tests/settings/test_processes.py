"""What the options of processes mean for each other, and for those of one process."""

from __future__ import annotations

from pastepool.settings import read


def test_one_process_unless_set() -> None:
    """Without a parent, as before; ``processes = 0`` says the same."""
    assert read({}).processes.processes == read({"processes": "0"}).processes.processes == 0


def test_zombies_replace_a_process_unless_set() -> None:
    """One of several can be replaced without a pause. The single one ends only if the operator wants it."""
    assert read({}).pool.max_zombies == 0
    assert read({"processes": "2"}).pool.max_zombies == 1
    assert read({"processes": "2", "threadpool_max_zombie_threads_before_die": "0"}).pool.max_zombies == 0


def test_graceful_timeout_without_processes_is_the_one_of_gunicorn() -> None:
    """It bounds the stop, unless shutdown_timeout does; with processes it bounds the end of one that is replaced."""
    assert read({"graceful_timeout": "7"}).timeouts.shutdown == 7.0
    assert read({"graceful_timeout": "7", "shutdown_timeout": "8"}).timeouts.shutdown == 8.0
    settings = read({"graceful_timeout": "7", "processes": "2"})
    assert (settings.processes.drain, settings.timeouts.shutdown) == (7.0, read({}).timeouts.shutdown)

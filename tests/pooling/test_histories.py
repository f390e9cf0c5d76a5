"""
Whatever happens to a pool, each piece of work that it took is run once or refused once, and never both.

Random histories on real threads: work is given, released and refused, workers are asked for and sent away, and the pool
is stopped with time, without time, or in the middle.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pastepool import WorkerPool
from tests.pooling.pieces import Connection, Piece, end
from tests.waiting import WATCHDOG, until

STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["give", "offer", "connect", "fail"]), st.booleans()),
        st.tuples(st.sampled_from(["release", "grow", "shrink"]), st.integers(0, 5)),
        st.tuples(st.sampled_from(["stop"]), st.sampled_from([0.0, 0.01])),
    ),
    max_size=25,
)


def fail() -> None:
    """Raise."""
    raise ValueError("as planned")


@settings(max_examples=60)
@given(
    steps=STEPS,
    workers=st.integers(1, 3),
    more=st.integers(0, 2),
    limit=st.sampled_from([0, 2, 1000]),
    started=st.booleans(),
)
def test_work_is_run_once_or_refused_once(
    steps: list[tuple[str, float]], workers: int, more: int, limit: int, started: bool
) -> None:
    """Taken work ends in exactly one way; work that was not taken is never touched."""
    pool = WorkerPool("histories", workers=workers, most=workers + more, queue_limit=limit, spawn_if_under=workers)
    if started:
        pool.start()
    taken: list[Piece] = []
    left: list[Piece] = []
    for what, value in steps:
        if what in ("give", "offer", "connect", "fail"):
            kind = Connection if what == "connect" else Piece
            piece = kind(released=bool(value), inside=fail if what == "fail" else lambda: None)
            (taken if pool.submit(piece, wait=what != "offer") else left).append(piece)
        elif what == "release":
            for piece in taken[: int(value)]:
                piece.released.set()
        elif what == "grow" and started:
            pool.grow(int(value))
        elif what == "shrink":
            pool.shrink(int(value))
        elif what == "stop":
            pool.stop(value)
        if started:
            assert len(pool.workers) <= pool.settings.pool.max_workers
    if started:
        end(*taken)
    assert pool.stop(WATCHDOG)
    until(lambda: all(piece.over.is_set() for piece in taken), "each piece has ended")
    assert [(piece.runs + piece.refusals, piece.ends) for piece in taken] == [(1, piece.runs) for piece in taken]
    assert [piece.runs + piece.refusals + piece.ends for piece in left] == [0] * len(left)

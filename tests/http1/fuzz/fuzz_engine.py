"""
A target for atheris, run by hand: coverage-guided, for as long as you like.

    pip install atheris
    python -m tests.http1.fuzz.fuzz_engine -max_total_time=600 tests/http1/corpus/valid tests/http1/corpus/invalid

The corpus is where it begins; use a copy of it to keep what is found. An input that breaks a promise of ``judge`` is
written to ``crash-*``: add its message to the corpus with the right expectation, then repair the engine.
"""

from __future__ import annotations

import sys

CUTS = 4
"""Bytes at the end of an input that say where it is cut; there, so that a file of the corpus is an input as it is."""


def one_input(data: bytes) -> None:
    """Judge one input. Raises: whatever ``judge`` raises."""
    from tests.http1.fuzz.judge import judge

    message = data[:-CUTS] if len(data) > CUTS else data
    judge(message, [place * len(message) // 256 for place in data[-CUTS:]])


def main() -> None:
    """Hand over to atheris, which never returns."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["pastepool", "tests.http1"]):
        import tests.http1.fuzz.judge  # noqa: F401 - instrumented by being imported here
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Decisions as pure functions over plain values: no thread, socket, clock, file or log."""

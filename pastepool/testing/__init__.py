"""Public helpers for tests of code that uses pastepool. They import floors 0 to 2 only. An import starts nothing."""

from __future__ import annotations

from pastepool.testing.clock import FakeClock
from pastepool.testing.converse import Conversation, converse
from pastepool.testing.dribble import DribbleSocket
from pastepool.testing.spawner import StepSpawner

__all__ = ["Conversation", "DribbleSocket", "FakeClock", "StepSpawner", "converse"]

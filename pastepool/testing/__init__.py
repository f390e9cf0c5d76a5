"""Public helpers for testing what is built on pastepool. Stands on floors 0 to 2 and starts nothing by itself."""

from __future__ import annotations

from pastepool.testing.clock import FakeClock
from pastepool.testing.converse import Conversation, converse
from pastepool.testing.dribble import DribbleSocket
from pastepool.testing.spawner import StepSpawner

__all__ = ["Conversation", "DribbleSocket", "FakeClock", "StepSpawner", "converse"]

"""The decisions about worker processes: which are started, which replace others, and when which of them ends."""

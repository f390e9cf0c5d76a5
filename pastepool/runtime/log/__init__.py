"""Log lines that never make the wrong thread wait."""

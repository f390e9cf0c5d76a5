"""Keeping the pool as the policy wants it: the thread that looks and applies plans, the kill ladder, the journal of events."""

"""
Keep the pool as the policy wants it: the supervisor's thread, the plans it applies, the kill ladder and the journal.
"""

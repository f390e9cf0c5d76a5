"""Write log lines without making a thread wait that must not wait."""

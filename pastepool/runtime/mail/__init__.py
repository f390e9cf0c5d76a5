"""Mail notices to operators: the thread that does it, and SMTP within a bounded time."""

"""Notices to an operator: a thread that mails them, and SMTP within a bounded time."""

"""Connections and requests: polling, reading, one exchange from request to answer, writing, deadlines."""

"""Handle connections and requests: poll, read, run each request, write its response, and keep deadlines."""

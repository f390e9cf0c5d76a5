"""HTTP/1.1 as values: bytes to requests, response parts to bytes. No socket, clock or thread."""

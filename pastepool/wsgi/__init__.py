"""PEP 3333: a request as an environ, an application's answer as bytes. No socket, clock or thread."""

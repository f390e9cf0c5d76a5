"""Listening, accepting, readiness, and receiving or sending without giving the interpreter's lock away."""

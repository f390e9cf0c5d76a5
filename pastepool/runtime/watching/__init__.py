"""What people and old programs see of a running server: a listener of its own, one view of its parts, curves, Paste's shape."""

"""
Show a running server to people and to old programs: the admin listener, a view of its parts, samples for curves, and a
pool in Paste's shape.
"""

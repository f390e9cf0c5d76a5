"""
``watch_threads``: what the pool is doing right now, as a page, as JSON and as text, and the few things one may do about
it.

Looks through ``runtime.watching.server_view``, decides nothing about the pool, and asks for a kill through the supervisor like
anybody else.
"""

"""
``watch_threads``: what the pool is doing right now, as a page, as JSON and as text, and the few things one may do about
it.

``app`` makes an answer of a request and asks one protocol, ``watched.Watched``, about the server below; ``finding`` says
which server that is. Our own is seen through ``runtime.watching.server_view``. Nothing here decides about the pool: a
kill is asked of the supervisor.
"""

"""
``watch_threads``: an application that shows what the pool is doing now, as a page, as JSON and as text. A visitor can
also act from the page, for example kill a request.

``app`` turns a request into a response. It asks the server through one protocol, ``watched.Watched``; ``finding``
decides which server that is. The page sees our own server through ``runtime.watching.server_view``. This package
decides nothing about the pool: to kill a request, it asks the supervisor.
"""

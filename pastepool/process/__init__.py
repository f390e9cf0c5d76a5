"""
The parent process and its workers (``processes`` in the settings).

The parent forks the workers before the application is loaded, has one thread, and waits in one ``poll``. It never runs
code of the application, reads no HTTP, resolves no name, sends no mail and starts no thread. ``core.generations``
decides what it does.
"""

"""
What a program puts into itself: ``ServerThread``, our server beside the other work of the program, and ``WorkerPool``,
the pool with its page.

It makes a server out of an INI file or of options, with its application and the page of ``admin_listen``. The entry
points of Paste Deploy use the same functions.
"""

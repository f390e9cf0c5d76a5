"""
The desk: one more child of the parent, without the application.

It shows all workers, sends the mail of the parent, and answers clients when no worker serves. No request of a client can
keep it from that, and the site serves on without it.
"""

"""The pool without HTTP: its parts are made here, for our own server and for the servers of others."""

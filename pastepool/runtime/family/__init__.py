"""What the processes of one server, with ``processes`` in the settings, have to see, tell and name each other."""

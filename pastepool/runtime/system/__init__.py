"""Clock, threads, signals, and the end of the process: what the operating system gives."""

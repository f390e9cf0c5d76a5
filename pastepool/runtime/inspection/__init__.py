"""Find out what a thread is doing right now: its stack, its system call, its CPU time."""

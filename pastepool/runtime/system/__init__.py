"""What the operating system provides: clock, threads, signals, and the end of the process."""

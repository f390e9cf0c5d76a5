"""What touches the machine: sockets, threads, clocks, mail. It does what the core and the settings say."""

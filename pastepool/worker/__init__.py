"""What only a worker process does: it takes its seat, shows that it lives, and obeys its parent."""

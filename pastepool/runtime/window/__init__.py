"""The one way to raise an exception in another thread: when it is allowed, where it may land, how it is done."""

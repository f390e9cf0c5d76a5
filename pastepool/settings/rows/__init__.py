"""The rows of options, one file for each group. ``settings.options`` makes one table of them."""

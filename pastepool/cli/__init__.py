"""The command ``pastepool``: it asks the parent of a file to load new code, to tell how its workers are, or to stop."""

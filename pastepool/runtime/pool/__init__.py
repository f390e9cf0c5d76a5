"""Worker threads, and who of them may poll. Knows tasks; knows no request, no connection and no HTTP."""

"""One request, from start to report, and its files on disk."""

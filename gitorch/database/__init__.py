"""The only package that uses sqlite3: the queue, the index of runs and the digests of files."""

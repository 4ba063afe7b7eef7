"""Small doors to the operating system: files, processes, the clock."""

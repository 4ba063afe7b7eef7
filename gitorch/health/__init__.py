"""What may be wrong with a repository's queue, records, worktrees, pins and files, and how it is repaired."""

"""Checks of the queue, records, worktrees, pins and files of a repository, and their repair."""

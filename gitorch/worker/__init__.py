"""The worker: it claims tasks, has them executed, and commits their results."""

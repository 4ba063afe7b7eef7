"""Estimates of the time left: of a task, of a run and of the queue."""

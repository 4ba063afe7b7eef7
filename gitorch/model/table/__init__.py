"""Runs as a table: rows, expressions that select them, groups, and references to one run."""

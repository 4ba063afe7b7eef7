"""Runs as a table: rows and their fields, expressions that select them, groups, references."""

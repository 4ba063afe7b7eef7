"""A run: its spec, its record, its statuses, its attempts and their outcomes."""

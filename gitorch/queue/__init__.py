"""The only door to sqlite3: live runs and tasks."""

"""What a run is: its spec, its record, its statuses, its attempts and their outcomes."""

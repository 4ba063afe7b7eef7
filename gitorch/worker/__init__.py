"""The worker: claims tasks, has them executed, and commits what they left."""

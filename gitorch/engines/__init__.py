"""Engines execute attempts: a contract, its implementations, and a registry of their names."""

"""The JSON Schemas of the files that gitorch reads and writes.

They are package data: `importlib.resources.files("gitorch.schemas")`.
"""

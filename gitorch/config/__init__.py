"""Configs: the only door to yaml and jsonschema."""

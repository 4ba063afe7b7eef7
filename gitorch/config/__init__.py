"""Configs: YAML files that become run specs. Read `pipeline` first.

Only this package uses yaml and jsonschema.
"""

"""The JSON Schemas of what gitorch reads and writes, as data: `importlib.resources.files("gitorch.schemas")`."""

"""The JSON Schemas of what gitorch reads and writes, shipped as data: `importlib.resources.files("gitorch.schemas")`."""

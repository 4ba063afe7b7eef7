"""One module for each command, with the function `command`; `cli/verbs.py` lists them.

A command parses its options, calls an action and shows the result. Actions, and the modules that
render their results, are imported inside the function: they need msgspec, SQLite and YAML, which
would delay `gitorch run --help` and the completion of options by 0.1 s.
"""

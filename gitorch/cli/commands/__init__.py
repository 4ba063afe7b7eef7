"""One module for each command, with the function `command`; `cli/verbs.py` lists them.

A module imports actions and what renders their results inside the function: these need msgspec,
SQLite and YAML, for which `gitorch run --help` and the completion of options should not wait
(0.1 s). A command parses its options, calls an action and shows the result.
"""

"""The options of jobs in Slurm, as a config gives them."""

from __future__ import annotations

from typing import Any

from gitorch.config.document import KeyPath
from gitorch.config.reader import Reader

# The options of sbatch that gitorch sets itself, or with which it could not find its jobs again.
RESERVED = frozenset(
    {
        "array", "chdir", "help", "job-name", "kill-on-invalid-dep", "parsable", "quiet",
        "test-only", "usage", "verbose", "version", "wait", "wrap",
    }
)  # fmt: skip
_FROM_RESOURCES = {
    "cpus-per-task": "resources: {cpus: 4}",
}


def read_slurm(reader: Reader, position: KeyPath) -> dict[str, Any]:
    """Return the options. Complain about those that gitorch sets itself."""
    options: dict[str, Any] = {}
    for name, value in reader.children(position).items():
        place = (*position, name)
        if name in RESERVED:
            message = f"'{name}' is set by gitorch itself"
            reader.complain(place, message, "remove it", key=True)
        elif name.startswith("-"):
            hint = f"write it without dashes: '{name.lstrip('-')}'"
            message = f"'{name}' is not the name of an option"
            reader.complain(place, message, hint, key=True)
        elif name in _FROM_RESOURCES:
            message = f"'{name}' follows from a setting of gitorch"
            hint = f"write '{_FROM_RESOURCES[name]}'"
            reader.complain(place, message, hint, key=True)
        else:
            options[name] = value
    return options

"""The files and the environment that jobs of Slurm share with the engine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from gitorch.engines.slurm.flight import Flight
from gitorch.model.workspace import AttemptDirectory
from gitorch.tools.files import write_over
from gitorch.tools.untrusted import read_plain

_LARGEST_OUTPUT = 1 << 16  # bytes of the output of a job's script
_TAIL = 300  # characters


def slurm_environment() -> dict[str, str]:
    """Return the environment of Slurm's programs, which their jobs get too.

    If this process is in a job itself, the variables of this job are left out.
    """
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")
    env = {}
    for name, value in os.environ.items():
        if name in kept or not name.startswith("SLURM_"):
            env[name] = value
    return env


def note_submission(flight: Flight) -> None:
    """Write the submission into the attempt's directory."""
    if flight.submission is None:
        return
    path = AttemptDirectory(Path(flight.directory)).submission
    with suppress(OSError):
        write_over(path, msgspec.json.encode(flight.submission))


def tail_of(directory: Path) -> str:
    """Return the end of what the job's own script has written."""
    try:
        path = directory / "slurm.txt"
        text = read_plain(path, _LARGEST_OUTPUT, below=directory).decode(
            "utf-8", "replace"
        )
    except OSError:
        return ""
    return " ".join(text.split())[-_TAIL:]

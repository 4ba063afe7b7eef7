"""What the search for outputs remembers of a run's files, so that it reads no file twice.

The memory is `seen.json` in the run's directory. Without it everything is read again, which is
slower but gives the same outputs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gitorch.model.run.record import Output
from gitorch.model.workspace import RunDirectory
from gitorch.storage.output_files import path_of
from gitorch.tools.files import write_over
from gitorch.tools.room import FULL_ERRORS
from gitorch.tools.untrusted import read_plain

_FILE = "seen.json"
_LARGEST = 1 << 28  # bytes; a file takes some 300
_BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)

# Size, times and inode of a file. While they stay the same, so does the content.
Fingerprint = list[int]


def fingerprint_of(path: Path) -> Fingerprint:
    """Return the fingerprint of the file at `path`. Raises OSError."""
    status = os.lstat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


class KeptFile(NamedTuple):
    """A file that is stored on the results branch, as it was when it was last read."""

    fingerprint: Fingerprint  # empty: the file was not read since it was stored
    output: Output

    def may_have(self, fingerprint: Fingerprint) -> bool:
        """Return True if an unread file with this fingerprint may still be the stored one."""
        return not self.fingerprint and self.output.size == fingerprint[0]


class LeftOutFile(NamedTuple):
    """A file that is not stored: the task that wrote it, and the glob that leaves it out."""

    fingerprint: Fingerprint
    glob: str
    task: str

    @property
    def size(self) -> int:
        return self.fingerprint[0]


class OutputMemory(NamedTuple):
    """The files of a run by name."""

    kept: dict[str, KeptFile]
    left_out: dict[str, LeftOutFile]

    @property
    def is_empty(self) -> bool:
        return not self.kept and not self.left_out


def load_memory(run: RunDirectory) -> OutputMemory:
    """Return the run's memory. It is empty if the file is missing or broken."""
    try:
        data = read_plain(run.path / _FILE, _LARGEST, below=run.path.parent)
        value = json.loads(data)
        kept = {}
        for name, (fingerprint, output) in value["kept"].items():
            kept[name] = KeptFile(fingerprint, Output.from_json(output))
        left_out = {
            name: LeftOutFile(*file) for name, file in value["left_out"].items()
        }
        return OutputMemory(kept, left_out)
    except _BROKEN:
        return OutputMemory({}, {})


def save_memory(run: RunDirectory, memory: OutputMemory) -> None:
    """Save the memory. Do nothing if the run's directory does not exist.

    On a full disk, the memory is removed. Then all files are read again.
    """
    if not run.path.is_dir():
        return
    kept = {}
    for name, file in memory.kept.items():
        kept[name] = (file.fingerprint, file.output.to_json())
    value = {"kept": kept, "left_out": memory.left_out}
    path = run.path / _FILE
    try:
        write_over(path, json.dumps(value).encode())
    except OSError as error:
        if error.errno not in FULL_ERRORS:
            raise
        path.unlink(missing_ok=True)


def unread(outputs: Iterable[Output]) -> dict[str, KeptFile]:
    """Return outputs as kept files that were not read since they were stored, by name."""
    return {output.path: KeptFile([], output) for output in outputs}


def remember_written(
    run: RunDirectory, memory: OutputMemory, outputs: Iterable[Output]
) -> None:
    """Save a memory to which outputs are added that were just written to the workspace."""
    written = {}
    for output in outputs:
        written[output.path] = KeptFile(
            fingerprint_of(path_of(run, output.path)), output
        )
    save_memory(run, OutputMemory(memory.kept | written, memory.left_out))

"""Changed files of the code as text, for `ready --snapshot`, `show` and `compare`."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.cli.style import in_line, table
from gitorch.model.run.compare import ChangedFile

_USE = {True: "used", False: "not used"}


def changed_files(files: Sequence[ChangedFile], most: int) -> list[str]:
    """Return a line for each of at most `most` files, and a line that counts the others."""
    rows = [_cells(file) for file in files[:most]]
    lines = table(rows, header=["", "", "", ""], colors=False)[1:]
    if len(files) > most:
        lines.append(f"  and {len(files) - most} more files")
    return lines


def _cells(file: ChangedFile) -> list[str]:
    lines = "binary" if file.added is None else f"+{file.added} -{file.deleted}"
    use = "" if file.used is None else _USE[file.used]
    return [f"  {file.status}", in_line(file.path), lines, use]

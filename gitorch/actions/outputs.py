"""`gitorch outputs` and `gitorch cat`: the kept files of runs are listed, copied or opened."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from msgspec.structs import replace

from gitorch.actions.records import find_record, read_records
from gitorch.actions.selection import Selection, select_rows
from gitorch.errors import GitorchError, NotFound, Refused, UsageError
from gitorch.git.modes import LINK
from gitorch.git.store import artifacts
from gitorch.model.branch_layout import RunPaths, escaped_for_checkout
from gitorch.model.run.record import Output, Record
from gitorch.model.text.globs import flaw, matcher
from gitorch.model.text.spelling import did_you_mean
from gitorch.storage.catalog import Catalog
from gitorch.storage.output_files import WORKTREE, path_of
from gitorch.storage.site import Site
from gitorch.tools.files import is_replaced
from gitorch.tools.untrusted import open_file

# In the name of a directory. Other characters of a label become `_`.
_UNSAFE = re.compile(r"[^\w.=,+@-]+")
_LONGEST_NAME = 150  # bytes; names of files may have 255


class RunOutput(NamedTuple):
    """An output of a run."""

    record: Record
    output: Output

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.record.id,
            "label": self.record.label,
            **self.output.to_json(),
        }


class Placed(NamedTuple):
    """The place of an output that was copied, or the reason why it was not."""

    found: RunOutput
    path: Path
    problem: str | None = None


def find_outputs(
    site: Site, words: Sequence[str], selection: Selection
) -> list[RunOutput]:
    """Return the outputs of the runs that are named or selected.

    The last of the `words` may be a glob, if it does not name a run. Raises NotFound, UsageError.
    """
    catalog = Catalog.of(site)
    references, glob = _parted(catalog, words, selection)
    chosen = replace(selection, references=references)
    run_ids = [row.id for row in select_rows(catalog, chosen, "outputs")]
    found = []
    for record in read_records(site, catalog, run_ids):
        for output in record.outputs:
            if glob is None or _is_named(output.path, glob):
                found.append(RunOutput(record, output))
    return found


def _parted(
    catalog: Catalog, words: Sequence[str], selection: Selection
) -> tuple[tuple[str, ...], str | None]:
    """Return the references among the words, and the glob after them."""
    if not words:
        return (), None
    *references, last = words
    selects = selection.where is not None or selection.status or selection.name
    if selects and references:
        raise UsageError("name runs or select them with options, not both")
    if not selects:
        if not references:
            return (last,), None
        try:
            catalog.find([last])
        except NotFound:
            pass
        else:
            return tuple(words), None
    if reason := flaw(last):
        raise UsageError(f"{last!r} is not a glob: {reason}")
    return tuple(references), last


def _is_named(path: str, glob: str) -> bool:
    matches = matcher(glob).fullmatch
    return bool(matches(path) or matches(path.removeprefix(WORKTREE)))


def place_outputs(
    site: Site, found: Iterable[RunOutput], directory: Path
) -> list[Placed]:
    """Copy outputs into directories named by the labels of their runs. Nothing is overwritten.

    A file that is there already with the same content is left as it is, without a problem.
    """
    names = _directory_names(Catalog.of(site))
    by_run: dict[str, list[RunOutput]] = {}
    for entry in found:
        by_run.setdefault(entry.record.id, []).append(entry)
    placed = []
    for run_id, entries in by_run.items():
        paths = [RunPaths.of(run_id).output(entry.output.path) for entry in entries]
        target = directory / names.get(run_id, run_id)
        stored = site.results.read_all(paths)
        for entry, data in zip(entries, stored, strict=True):
            placed.append(_place(site, entry, data, target))
    return placed


def _place(
    site: Site, entry: RunOutput, data: bytes | None, directory: Path
) -> Placed:
    output = entry.output
    name = escaped_for_checkout(output.path, is_link=output.mode == LINK)
    path = directory / name
    try:
        if is_replaced(directory):
            raise Refused(f"{directory} is not a directory")
        if os.path.lexists(path):
            problem = None
            if _digest(path) != output.sha256:
                problem = "another file is there, which is left as it is"
            return Placed(entry, path, problem)
        artifacts.restore(
            site.repository, replace(output, path=name), data, directory
        )
    except (GitorchError, OSError) as error:
        return Placed(entry, path, str(error))
    return Placed(entry, path)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file as a record has it."""
    if path.is_symlink():
        return hashlib.sha256(os.fsencode(path.readlink())).hexdigest()
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _directory_names(catalog: Catalog) -> dict[str, str]:
    """Return the name of each run's directory: its label, with its id if others have this label.

    Names that differ in case alone count as equal, because some file systems treat them so.
    """
    names = {row.id: _safe(row.label) for row in catalog.rows()}
    uses = Counter(name.casefold() for name in names.values())
    for run_id, name in names.items():
        if not name or uses[name.casefold()] > 1:
            names[run_id] = f"{name}-{run_id}".lstrip("-")
    return names


def _safe(label: str) -> str:
    """Return the label as the name of a directory that needs no quotes in a shell."""
    name = _UNSAFE.sub("_", label).lstrip(".-")
    if name.lower() in ("con", "nul"):  # devices on some systems
        name = f"_{name}"
    return name.encode()[:_LONGEST_NAME].decode(errors="ignore")


def open_output(site: Site, reference: str, path: str) -> BinaryIO:
    """Open an output of a run. Of a run that has not ended, its newest file is opened.

    Raises NotFound, and Refused if the output is a symbolic link.
    """
    record = find_record(site, reference)
    output = _output_at(record, path)
    if output is None:
        live = _open_live(site, record, path)
        if live is not None:
            return live
        paths = [output.path for output in record.outputs]
        raise NotFound(
            f"{record.label} has no output {path!r}{did_you_mean(path, paths)}",
            hint=f"gitorch outputs {record.id} lists them",
        )
    if output.mode == LINK:
        raise Refused(f"{output.path} is a symbolic link, not a file")
    [data] = site.results.read_all([RunPaths.of(record.id).output(output.path)])
    if data is None:
        raise NotFound(
            f"{output.path} is not on the results branch",
            "git fsck shows whether anything is lost",
        )
    return artifacts.open_kept(site.repository, data, output.stored)


def _output_at(record: Record, path: str) -> Output | None:
    """Return the output at a path, which may lack the `worktree/` of the recorded one."""
    by_path = {output.path: output for output in record.outputs}
    return by_path.get(path) or by_path.get(f"{WORKTREE}{path}")


def _open_live(site: Site, record: Record, path: str) -> BinaryIO | None:
    """Open a file in the output directory of a run that has not ended, None if there is none."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path:
        return None
    run = site.directory(record.id)
    try:
        return open_file(path_of(run, "/".join(parts)), below=run.output)
    except (OSError, ValueError):
        return None

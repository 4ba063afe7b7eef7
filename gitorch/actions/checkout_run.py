"""`gitorch checkout-run`: a worktree at a run's commit, with its config, logs and outputs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import posixpath
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from msgspec.structs import replace

from gitorch.actions.lacking import warnings_about, ways_to_complete
from gitorch.actions.records import find_record
from gitorch.errors import NotFound
from gitorch.git import pins
from gitorch.git.checkout import checkout_run as make_checkout
from gitorch.git.modes import LINK
from gitorch.git.store import artifacts
from gitorch.git.worktree.contract import Lacking
from gitorch.model.branch_layout import CONFIG, LOG, RunPaths, escaped_for_checkout
from gitorch.model.run.record import Output, Record
from gitorch.storage.kept_logs import open_kept_log
from gitorch.storage.site import Site
from gitorch.tools.files import write_aside
from gitorch.tools.readable_json import render_json
from gitorch.tools.untrusted import read_plain

_SEVERAL_COMMITS = """\
The tasks of this run ran at several commits, and this worktree is at the newest of them.
For a worktree at another commit:
git worktree add --detach DIRECTORY COMMIT

"""
_REPEAT = "gitorch checkout-run, repeated, adds what was missing"
_BLOCK = 1 << 20  # bytes
_MISSING = "missing.json"
_LARGEST_LIST = 16 << 20  # bytes


class CheckedOut(NamedTuple):
    """A run and its worktree, a warning for each thing that it lacks, and hints at commands.

    The worktree has the pointers of large files, and empty directories for submodules.
    """

    record: Record
    path: Path
    warnings: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


def checkout_run(
    site: Site, reference: str, directory: Path | None = None
) -> CheckedOut:
    """Create the worktree and return its path.

    A second call returns the same worktree. It adds only the files that were missing before. A file
    or submodule that is not in this clone and cannot be fetched holds back no other.

    The directory `run-<id>/` in it contains `config.yaml`, `outputs/` and
    `logs/<task>/<attempt>.txt`, including large files. If the tasks ran at several commits, the
    worktree is at the newest one, and `commits.txt` lists them all.
    Names that git refuses to check out, such as `.git`, are written as `%.git`.
    Raises NotFound if there is no such run, or if its commit is not in this clone.
    Raises Refused if the target exists, or if the run has continued at another commit since it was
    checked out.
    """
    record = find_record(site, reference)
    pins.require(site.repository, record.pin.commit)
    path = (directory or site.workspace / "checkouts" / record.id).absolute()
    lacking = Lacking()
    kept = make_checkout(
        site.repository,
        site.worktrees,
        record.id,
        record.pin.commit,
        path,
        lambda run_directory: _fill(site, record, run_directory),
        link=[
            name for name in record.spec.link if escaped_for_checkout(name) == name
        ],
        lacking=lacking,
        sparse=record.spec.sparse,
    )
    missing = _read_missing(kept)
    if missing:
        missing = _write_files(site, record, kept, only=frozenset(missing))
        _note_missing(kept, missing)
    warnings = warnings_about(lacking, missing)
    hints = [
        *ways_to_complete(site.repository, lacking, record.pin.commit, missing)
    ]
    if hints:
        hints.append(_REPEAT)
    return CheckedOut(record, path, tuple(warnings), tuple(hints))


def _fill(site: Site, record: Record, directory: Path) -> None:
    _write_config(site, record, directory)
    if record.several_pins:
        lines = [f"{task.pin.commit}  {task.id}\n" for task in record.tasks]
        (directory / "commits.txt").write_text(_SEVERAL_COMMITS + "".join(lines))
    missing = _write_files(site, record, directory)
    if missing:
        _note_missing(directory, missing)


def _write_files(
    site: Site, record: Record, directory: Path, only: frozenset[str] | None = None
) -> list[str]:
    """Write the outputs and logs, or `only` some of them. Return those that this clone lacks."""
    return [
        *_write_outputs(site, record, directory / "outputs", only),
        *_write_logs(site, record, directory / "logs", only),
    ]


def _read_missing(directory: Path) -> list[str]:
    """Return the files that were missing when the directory was filled."""
    try:
        data = read_plain(directory / _MISSING, _LARGEST_LIST, below=directory)
        names: list[str] = json.loads(data)
    except (OSError, ValueError):
        return []
    return names


def _note_missing(directory: Path, missing: Sequence[str]) -> None:
    if missing:
        write_aside(directory / _MISSING, render_json(list(missing)))
    else:
        (directory / _MISSING).unlink(missing_ok=True)


def _write_config(site: Site, record: Record, directory: Path) -> None:
    """Write the config as it was, and the configs that it extends.

    The base configs are in `bases/`. The `extends` keys are changed to name them there, so that
    `ready` can read the config again.
    """
    from gitorch.config.bases import rename_bases  # noqa: PLC0415  with YAML: 60 ms

    kept_as = {record.source: CONFIG, **record.base_files}
    paths = [RunPaths.of(record.id).file(name) for name in kept_as.values()]
    stored = site.results.read_all(paths)
    for (source, name), data in zip(kept_as.items(), stored, strict=True):
        text = data or b""
        if record.bases:
            text = rename_bases(text, partial(_path_of_base, record, source, name))
        target = directory / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(text)


def _path_of_base(
    record: Record, source: str, name: str, written: str
) -> str | None:
    """Return where the base that `source` calls `written` is kept, or None if it is not kept.

    The path is relative to `name`, the place where the config itself is kept.
    """
    base = posixpath.normpath(posixpath.join(posixpath.dirname(source), written))
    kept = record.base_files.get(base)
    if kept is None:
        return None
    return posixpath.relpath(kept, posixpath.dirname(name) or ".")


def _write_outputs(
    site: Site, record: Record, directory: Path, only: frozenset[str] | None
) -> Iterator[str]:
    """Write the outputs. Yield those that this clone lacks; they keep back no other."""
    directory.mkdir(exist_ok=True)
    outputs = []
    for output in record.outputs:
        if only is None or f"outputs/{output.path}" in only:
            outputs.append(output)
    paths = [RunPaths.of(record.id).output(output.path) for output in outputs]
    stored = site.results.read_all(paths)
    for output, data in zip(outputs, stored, strict=True):
        name = escaped_for_checkout(output.path, is_link=output.mode == LINK)
        placed = replace(output, path=name)
        if only is not None and _is_replaced(directory, name, data):
            continue
        try:
            artifacts.restore(site.repository, placed, data, directory)
        except NotFound:
            _leave_pointer(site, placed, data, directory)
            yield f"outputs/{output.path}"


def _is_replaced(directory: Path, name: str, pointer: bytes | None) -> bool:
    """Return True if the user has put something else in the place of a pointer."""
    path = directory / name
    if not os.path.lexists(path) or pointer is None:
        return False
    try:
        return read_plain(path, len(pointer), below=directory) != pointer
    except OSError:
        return True


def _leave_pointer(
    site: Site, output: Output, pointer: bytes | None, directory: Path
) -> None:
    if pointer is not None:
        sha256 = hashlib.sha256(pointer).hexdigest()
        small = replace(output, stored="git", sha256=sha256)
        artifacts.restore(site.repository, small, pointer, directory)


def _write_logs(
    site: Site, record: Record, directory: Path, only: frozenset[str] | None
) -> Iterator[str]:
    """Write the logs. Yield those that this clone lacks; they keep back no other."""
    directory.mkdir(exist_ok=True)
    for task, number in _logs_of(site, record):
        name = f"logs/{task}/{number}.txt"
        if only is not None and name not in only:
            continue
        kept_at = RunPaths.of(record.id).attempt(task, number).log
        pointer = site.results.read(kept_at)
        placed = f"{escaped_for_checkout(task)}/{number}.txt"
        if only is not None and _is_replaced(directory, placed, pointer):
            continue
        log: BinaryIO | None
        try:
            log = open_kept_log(site, record.id, task, number)
        except NotFound:
            log = io.BytesIO(pointer or b"")
            yield name
        if log is None:
            continue
        target = directory / placed
        target.parent.mkdir(exist_ok=True)
        with log, target.open("wb") as copy:
            while block := log.read(_BLOCK):
                copy.write(block)


def _logs_of(site: Site, record: Record) -> Iterator[tuple[str, int]]:
    """Yield the task and the number of each attempt that has a log."""
    tasks = RunPaths.of(record.id).tasks
    task_ids = {task.id for task in record.tasks}
    for path in site.results.files(tasks):
        task, *rest = path.removeprefix(f"{tasks}/").split("/")
        match rest:
            case [attempt, name] if name == LOG and attempt.isdecimal():
                if task in task_ids:
                    yield task, int(attempt)

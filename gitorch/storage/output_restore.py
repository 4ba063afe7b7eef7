"""Putting stored outputs back into the workspace, where the next task of the run expects them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from gitorch.errors import GitorchError, Refused
from gitorch.git.store import artifacts
from gitorch.model.branch_layout import RunPaths, escaped_for_checkout
from gitorch.model.run.record import Output, Record
from gitorch.model.workspace import RunDirectory
from gitorch.storage.output_files import WORKTREE, is_of_worktree, path_of
from gitorch.storage.output_memory import (
    OutputMemory,
    fingerprint_of,
    load_memory,
    remember_written,
    save_memory,
    unread,
)
from gitorch.storage.outputs import recorded_outputs
from gitorch.storage.site import Site
from gitorch.tools.faults import boundary
from gitorch.tools.files import delete
from gitorch.tools.locks import only_one_at


def bring_back(site: Site, run: RunDirectory, *, with_tree: bool) -> None:
    """Make the output directory with the run's stored outputs, if it is missing.

    `with_tree` is True after the worktree was made again: the outputs that were taken from it are
    then put back, too.
    Raises NotFound, OSError.
    """
    with only_one_at(run.output):
        has_output = run.output.exists()
        recorded = recorded_outputs(site, run)
        of_tree, of_output = _by_part(recorded)
        memory = load_memory(run)
        if recorded:
            memory = OutputMemory(unread(recorded) | memory.kept, memory.left_out)
            save_memory(run, memory)
        if with_tree or not has_output:
            _restore(site, run, of_tree, run.tree)
        if not of_output:
            run.output.mkdir(exist_ok=True)
        elif not has_output:
            _build_output_directory(site, run, of_output)
            remember_written(run, memory, of_output)
        elif with_tree:
            _refill_emptied(site, run)


def _build_output_directory(
    site: Site, run: RunDirectory, outputs: Sequence[Output]
) -> None:
    """Build the directory aside and publish it with one rename, so that it is never half full."""
    aside = run.output.with_name("output.part")
    delete(aside)  # of a program that was killed
    aside.mkdir()
    _restore(site, run, outputs, aside)
    aside.rename(run.output)
    boundary()


def put_reused(site: Site, run: RunDirectory, record: Record, task_id: str) -> None:
    """Put the outputs of a task that was reused from another run into the workspace.

    Safe to repeat. If the output directory does not exist or cannot be written, nothing is put:
    `bring_back` restores all outputs when they are needed. Raises NotFound, OSError if another task
    may be using the directory.
    """
    with only_one_at(run.output):
        if not run.output.is_dir() or run.output.is_symlink():
            return
        try:
            _put_reused(site, run, record, task_id)
        except (GitorchError, OSError):
            if record.spec.beside(record.spec.task(task_id)):
                raise
            delete(run.output)


def _put_reused(
    site: Site, run: RunDirectory, record: Record, task_id: str
) -> None:
    memory = load_memory(run)
    _remove_stale(run, memory, record, task_id)
    missing = []
    for output in record.outputs:
        part = run.tree if is_of_worktree(output.path) else run.output
        is_wanted = output.task == task_id and part.is_dir()
        if is_wanted and not _is_in_place(run, memory, output):
            _make_room(part, path_of(run, output.path))
            missing.append(output)
    of_tree, of_output = _by_part(missing)
    _restore(site, run, of_output, run.output)
    _restore(site, run, of_tree, run.tree)
    remember_written(run, memory, missing)


def _remove_stale(
    run: RunDirectory, memory: OutputMemory, record: Record, task_id: str
) -> None:
    """Remove files that earlier attempts of the task wrote, or that the reused result removed."""
    cache = record.task(task_id).cache
    stale = {
        name for name, file in memory.kept.items() if file.output.task == task_id
    }
    if cache is not None:
        stale.update(cache.removed)
    for name in stale.difference(output.path for output in record.outputs):
        delete(path_of(run, name))
        memory.kept.pop(name, None)


def _is_in_place(run: RunDirectory, memory: OutputMemory, output: Output) -> bool:
    """Return True if the workspace has the output, unchanged since it was last read."""
    file = memory.kept.get(output.path)
    if file is None or file.output != output:
        return False
    try:
        return file.fingerprint == fingerprint_of(path_of(run, output.path))
    except OSError:
        return False


def _make_room(top: Path, path: Path) -> None:
    """Remove what is at `path`, and any file or link where `path` needs a directory below `top`."""
    for parent in reversed(path.parents):
        is_below_top = parent != top and parent.is_relative_to(top)
        if is_below_top and (parent.is_symlink() or parent.is_file()):
            parent.unlink()
    delete(path)


def refill_emptied(site: Site, run: RunDirectory) -> None:
    """Restore the files of the output directory that a power cut has emptied.

    Raises NotFound, OSError.
    """
    with only_one_at(run.output):
        _refill_emptied(site, run)


def _refill_emptied(site: Site, run: RunDirectory) -> None:
    _, of_output = _by_part(recorded_outputs(site, run))
    emptied = [
        output
        for output in of_output
        if _is_emptied(run.output / output.path, output)
    ]
    _restore(site, run, emptied, run.output)


def _restore(
    site: Site, run: RunDirectory, outputs: Sequence[Output], directory: Path
) -> None:
    """Write the outputs that are missing or emptied in `directory`.

    Raises NotFound if the content of one is not in this clone, and OSError.
    """
    paths = RunPaths.of(run.path.name)
    stored = site.results.read_all(
        [paths.output(output.path) for output in outputs]
    )
    for output, data in zip(outputs, stored, strict=True):
        target = output
        if directory == run.tree:
            target = replace(output, path=output.path.removeprefix(WORKTREE))
            _require_no_git_name(target.path)
        path = directory / target.path
        if not os.path.lexists(path) or _is_emptied(path, target):
            artifacts.restore(site.repository, target, data, directory)


def _is_emptied(path: Path, output: Output) -> bool:
    """Return True if a power cut may have emptied the file: tasks seldom flush what they write."""
    if output.size == 0 or path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_size == 0


def _by_part(outputs: Iterable[Output]) -> tuple[list[Output], list[Output]]:
    """Divide outputs into those of the worktree and those of the output directory."""
    of_tree: list[Output] = []
    of_output: list[Output] = []
    for output in outputs:
        part = of_tree if is_of_worktree(output.path) else of_output
        part.append(output)
    return of_tree, of_output


def _require_no_git_name(path: str) -> None:
    """Raise Refused if git would take the file for a repository of its own."""
    if escaped_for_checkout(path) != path:
        raise Refused(
            f"{path!r} is not put into a worktree: git refuses such names"
        )

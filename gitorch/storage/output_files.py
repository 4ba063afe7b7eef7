"""Where a run writes its outputs: the files of the output directory, and those of the worktree."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from gitorch.model.text.globs import first_match
from gitorch.model.workspace import RunDirectory
from gitorch.tools.files import is_replaced
from gitorch.tools.globbing import named

# The names of outputs that `outputs:` takes from the worktree begin with this. Any other name is
# relative to the output directory.
WORKTREE = "worktree/"
# The functions that handle directories on the results branch call themselves for each level.
DEEPEST = 256


def is_of_worktree(name: str) -> bool:
    return name.startswith(WORKTREE)


def path_of(run: RunDirectory, name: str) -> Path:
    """Return the path of an output in the workspace."""
    if is_of_worktree(name):
        return run.tree / name.removeprefix(WORKTREE)
    return run.output / name


def is_taken(name: str, globs: Sequence[str]) -> bool:
    """Return True if these globs of `outputs:` take the output from the worktree."""
    return first_match(name.removeprefix(WORKTREE), globs) is not None


def is_volatile(name: str, globs: Sequence[str]) -> bool:
    """Return True if these globs of `volatile` name the output.

    They name an output that was taken from the worktree by its path there, as `outputs:` does.
    """
    return first_match(name.removeprefix(WORKTREE), globs) is not None


def remove_replacement(run: RunDirectory) -> None:
    """Remove a link or file that a task put in place of its output directory."""
    if is_replaced(run.output):
        run.output.unlink()


def files_of_output(run: RunDirectory) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of every file in the output directory."""
    yield from _files_below(run.output, "")


def files_of_worktree(
    run: RunDirectory, globs: Sequence[str], link: Sequence[str]
) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of every file that `globs` take from the worktree.

    Git's own files are left out. The files that `link` names are also left out, because they belong
    to the user.
    """

    def may_be_taken(name: str) -> bool:
        if _is_of_git(name):
            return False
        return not any(Path(name).is_relative_to(path) for path in link)

    taken: dict[str, Path] = {}
    for glob in globs:
        for name in named(run.tree, glob, enters=may_be_taken):
            if may_be_taken(name):
                taken.update(files_at(run.tree / name, name))
    for name in sorted(taken):
        yield WORKTREE + name, taken[name]


def files_at(path: Path, name: str) -> Iterator[tuple[str, Path]]:
    """Yield the file or link at `path`, or all files below that directory except git's own."""
    if path.is_symlink() or not path.is_dir():
        yield name, path
        return
    for name_below, path_below in _files_below(
        path, "" if name == "." else f"{name}/"
    ):
        if not _is_of_git(name_below):
            yield name_below, path_below


def _is_of_git(name: str) -> bool:
    return ".git" in name.split("/")


def _files_below(directory: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """Yield everything below a directory that is not a directory, in the order of names.

    Links are not followed. A directory that cannot be listed, or is more than DEEPEST levels deep,
    is yielded itself: storing it fails, and the error is noted.
    """
    try:
        levels = [_listed(directory, prefix)]
    except FileNotFoundError:
        return
    except OSError:
        yield prefix.rstrip("/") or directory.name, directory
        return
    while levels:
        for name, entry in levels[-1]:
            path = Path(entry.path)
            if not entry.is_dir(follow_symlinks=False) or len(levels) > DEEPEST:
                yield name, path
                continue
            try:
                levels.append(_listed(path, f"{name}/"))
            except FileNotFoundError:
                continue
            except OSError:
                yield name, path
                continue
            break
        else:
            levels.pop()


def _listed(directory: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Return an iterator over the entries of a directory, in the order of their names."""
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    return ((prefix + entry.name, entry) for entry in entries)

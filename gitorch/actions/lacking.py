"""Warnings about the parts of a run's code that a checkout lacks, with what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitorch.git.fetching import how_to_fetch
from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import Lacking


def warnings_about(lacking: Lacking, results: Sequence[str] = ()) -> Iterator[str]:
    """Yield a warning for each thing. `results` are large files of the results."""
    for name in (*lacking.files, *lacking.files_of_submodules, *results):
        yield f"{name} is missing: this large file is not in this clone; its pointer is there"
    for path, error in lacking.submodules.items():
        yield f"{path} is missing: {error.message}"


def ways_to_complete(
    repo: Repository,
    lacking: Lacking,
    commit: str,
    results: Sequence[str] = (),
) -> Iterator[str]:
    """Yield the commands that bring what is missing into this clone."""
    if results:
        yield how_to_fetch(repo)
    elif lacking.files:
        yield how_to_fetch(repo, commit)
    if lacking.files_of_submodules:
        yield how_to_fetch(repo, of_submodule=True)
    for error in lacking.submodules.values():
        if error.hint:
            yield error.hint

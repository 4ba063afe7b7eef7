"""`gitorch revert`: put the user's own checkout back to a run's code.

No other verb changes the user's checkout. `revert` never loses uncommitted work.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gitorch.actions.lacking import warnings_about, ways_to_complete
from gitorch.actions.records import find_record
from gitorch.errors import UsageError
from gitorch.git import pins
from gitorch.git.checkout import (
    Reverted,
    find_lacking,
    revert_detached,
    revert_files,
    revert_to_branch,
)
from gitorch.git.command import call_git_items
from gitorch.model.branch_layout import CONFIG, RunPaths
from gitorch.model.run.record import Record
from gitorch.storage.site import Site
from gitorch.tools.files import resolved
from gitorch.tools.untrusted import read_plain


class WrittenConfig(NamedTuple):
    """A config of the run that the commit does not have as it was readied.

    It was not written if another file is in its place. `stored` is its name for `git show`.
    """

    path: str
    stored: str
    was_written: bool


class Restored(NamedTuple):
    """A run whose code is checked out, a warning for each thing that it lacks, and commands."""

    record: Record
    reverted: Reverted
    warnings: tuple[str, ...]
    hints: tuple[str, ...]
    configs: tuple[WrittenConfig, ...]


def revert(
    site: Site,
    reference: str,
    *,
    branch: str | None = None,
    detach: bool = False,
    files: bool = False,
) -> Restored:
    """Check out the code of a run on a new branch, by default `gitorch/<id>`.

    With `detach`, detach HEAD instead. With `files`, stage the differences on the current branch
    instead. Large files and submodules that cannot be fetched hold back nothing else.
    Raises Refused if uncommitted work would be lost, and NotFound if the run's commit is not in
    this clone.
    """
    options = [branch is not None, detach, files]
    if options.count(True) > 1:
        raise UsageError(
            "--branch, --detach and --files exclude each other",
            hint="give one of them, or none",
        )
    record = find_record(site, reference)
    configs = _configs(site, record)
    commit = record.pin.commit
    pins.require(site.repository, commit)
    repo = site.repository
    if files:
        reverted = revert_files(repo, commit)
    elif detach:
        reverted = revert_detached(repo, commit)
    else:
        reverted = revert_to_branch(repo, commit, branch or f"gitorch/{record.id}")
    lacking = find_lacking(repo, commit)
    hints = [*ways_to_complete(repo, lacking, commit)]
    if lacking.files:
        hints.append("git lfs checkout, after the large files were fetched")
    return Restored(
        record,
        reverted,
        tuple(warnings_about(lacking)),
        tuple(hints),
        _write_configs(site, configs),
    )


class _Config(NamedTuple):
    """The content of a config, and its name for `git show`."""

    content: bytes
    stored: str


def _configs(site: Site, record: Record) -> dict[str, _Config]:
    """Return the run's config and its bases as they were readied, by their paths in the checkout.

    A config outside the repository is left out.
    """
    kept_at = {}
    for path, name in {record.source: CONFIG, **record.base_files}.items():
        if not Path(path).is_absolute() and ".." not in path.split("/"):
            kept_at[path] = RunPaths.of(record.id).file(name)
    configs = {}
    contents = site.results.read_all(list(kept_at.values()))
    for (path, name), content in zip(kept_at.items(), contents, strict=True):
        if content is not None:
            configs[path] = _Config(content, f"{site.results.name}:{name}")
    return configs


def _write_configs(
    site: Site, configs: Mapping[str, _Config]
) -> tuple[WrittenConfig, ...]:
    """Write the configs that are not in the commit as they were readied.

    An untracked file with another content stays as it is.
    """
    root = site.repository.root
    written = []
    for name, (content, stored) in configs.items():
        path = root / name
        with suppress(OSError):
            if read_plain(path, len(content), below=root) == content:
                continue
        was_written = _may_write(root, name)
        if was_written:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        written.append(WrittenConfig(name, stored, was_written))
    return tuple(written)


def _may_write(root: Path, name: str) -> bool:
    """Return True if no content is lost: nothing is there, or a file as it is in the commit."""
    path = root / name
    if path.is_symlink() or not resolved(path.parent).is_relative_to(
        resolved(root)
    ):
        return False
    if not os.path.lexists(path):
        return True
    tracked = call_git_items(root, "ls-files", "-z", "--", f":(top,literal){name}")
    return path.is_file() and bool(tracked)

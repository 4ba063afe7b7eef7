"""The choice of the commit that runs are pinned to, and the changes missing from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import filterfalse
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.config.discovery import SUFFIXES, is_config, read_config
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import Refused, UsageError
from gitorch.git import pins
from gitorch.git.code_digest import SCHEMA
from gitorch.git.diff import snapshot_changes
from gitorch.git.hidden import how_to_reveal
from gitorch.git.repository import Repository
from gitorch.git.snapshot import ignored_by_git
from gitorch.git.snapshot import snapshot as take_snapshot
from gitorch.model.run.compare import SnapshotChanges
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.text.phrases import some
from gitorch.storage.site import Site
from gitorch.tools.files import resolved

_NAMED = 10  # paths in a message
_LARGEST_UNTRACKED = 100 << 20  # bytes


class Snapshot(NamedTuple):
    """A new snapshot: the changes that it took, and the ignored paths that it left out."""

    changes: SnapshotChanges
    ignored: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {**self.changes.to_json(), "ignored": list(self.ignored)}


class ChosenPin(NamedTuple):
    """A pin, and notes for the user about changes that it does not contain."""

    pin: Pin
    notes: tuple[str, ...] = ()
    snapshot: Snapshot | None = None


class Dirt(NamedTuple):
    """The paths of uncommitted files, without configs and their bases."""

    modified: tuple[str, ...]
    untracked: tuple[str, ...]


def choose_pin(
    site: Site, configs: Sequence[LoadedConfig], *, at: str | None, snapshot: bool
) -> ChosenPin:
    """Choose the commit to run: the revision `at`, a snapshot of the working tree, or HEAD.

    Raises Refused if uncommitted changes would not be in the run.
    """
    repository = site.repository
    if at is not None:
        return ChosenPin(pins.resolve(repository, at))
    dirt = _dirt(site, configs)
    if snapshot or repository.settings.dirty == "snapshot":
        if not (dirt.modified or dirt.untracked):
            return ChosenPin(pins.resolve(repository))
        return _pin_snapshot(repository)
    notes = []
    if dirt.untracked:
        notes.append(
            f"untracked, so not in the run: {some(dirt.untracked, _NAMED)}"
        )
    if not dirt.modified:
        return ChosenPin(pins.resolve(repository), tuple(notes))
    if not _all_ignore_dirt(configs):
        raise Refused(
            f"uncommitted changes would not be in the run: {some(dirt.modified, _NAMED)}",
            _commit_hint(repository, dirt),
        )
    notes.append(
        f"UNSAFE_ignoreDirtyCheck: these changes are not in the run: {some(dirt.modified, _NAMED)}"
    )
    return ChosenPin(pins.resolve(repository, origin=Origin.UNSAFE), tuple(notes))


def _pin_snapshot(repository: Repository) -> ChosenPin:
    pin = take_snapshot(repository, size_limit=_LARGEST_UNTRACKED)
    changes = snapshot_changes(repository, pin)
    if changes is None:  # nothing differs from HEAD
        return ChosenPin(pin)
    return ChosenPin(pin, snapshot=Snapshot(changes, ignored_by_git(repository)))


def _commit_hint(repository: Repository, dirt: Dirt) -> str:
    hint = (
        "git commit -a, or gitorch ready --snapshot to pin the files as they are, "
        "or --at HEAD to run without them"
    )
    reveal = how_to_reveal(repository, dirt.modified)
    if reveal is None:
        return hint
    return f"git does not show some of them until: {reveal}; then {hint}"


def preview_pin(site: Site, configs: Sequence[LoadedConfig]) -> ChosenPin:
    """Return HEAD, for `check`, with notes about all uncommitted changes."""
    dirt = _dirt(site, configs)
    notes = []
    if dirt.modified:
        notes.append(
            f"checked against HEAD, without uncommitted changes: {some(dirt.modified, _NAMED)}"
        )
    if dirt.untracked:
        notes.append(f"untracked, so not in a run: {some(dirt.untracked, _NAMED)}")
    return ChosenPin(pins.resolve(site.repository), tuple(notes))


def uncommitted_code(site: Site) -> str | None:
    """Return the modified tracked files, except configs, as one line, or None if there are none."""
    modified = _dirt(site, ()).modified
    return some(modified, _NAMED) if modified else None


def _all_ignore_dirt(configs: Sequence[LoadedConfig]) -> bool:
    return all(spec.ignores_dirt for config in configs for spec in config.specs)


def _dirt(site: Site, configs: Sequence[LoadedConfig]) -> Dirt:
    """Return the modified and the untracked paths, without configs and their bases.

    The given `configs` count as configs even if they are malformed.
    """
    repository = site.repository
    given: set[Path] = set()
    for config in configs:
        given.add(resolved(Path(config.file)))
        given.update(resolved(base.path) for base in config.bases)

    def is_config_path(path: str) -> bool:
        absolute = repository.root / path
        if _is_config_file(absolute) or resolved(absolute) in given:
            return True
        return was_committed_config(path)

    def was_committed_config(path: str) -> bool:
        """Return True if the path is a config, or the base of one, in HEAD.

        The file may have been deleted, or may no longer be a config.
        """
        if not path.endswith(SUFFIXES):
            return False
        head = pins.resolve(repository)
        return path in site.code.configs(head.tree)

    dirt = pins.dirty_state(repository)
    modified = filterfalse(is_config_path, dirt.modified)
    untracked = list(filterfalse(is_config_path, dirt.untracked))
    apart = set(dirt.untracked).difference(untracked)
    names = pins.named_as_git(repository, untracked, apart=apart)
    return Dirt(tuple(modified), tuple(names))


def _is_config_file(path: Path) -> bool:
    """Return True for a config or the schema that editors use.

    They do not count as uncommitted changes: the record of a run contains its config byte for byte.
    """
    if path.name == SCHEMA:
        return True
    try:
        return path.suffix in SUFFIXES and is_config(read_config(path))
    except (OSError, UsageError):
        return False

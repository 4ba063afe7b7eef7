"""Which commit runs are pinned to, and what of the working tree is not in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gitorch.actions.validate import SCHEMA
from gitorch.config.discovery import SUFFIXES, is_config
from gitorch.config.pipeline import LoadedConfig
from gitorch.errors import Refused
from gitorch.git import pins
from gitorch.git.snapshot import snapshot as take_snapshot
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.text.phrases import some
from gitorch.runs.site import Site

_NAMED = 10  # paths in a message
_LARGEST_UNTRACKED = 100 << 20


def choose_pin(
    site: Site, configs: Sequence[LoadedConfig], *, at: str | None, snapshot: bool
) -> tuple[Pin, tuple[str, ...]]:
    """The commit to run, and what is to be said about it. Raises Refused where it would not be what the user sees."""
    repository = site.repository
    if at is not None:
        return pins.resolve(repository, at), ()
    modified, untracked = _dirt(site, configs)
    if snapshot or repository.settings.dirty == "snapshot":
        if not (modified or untracked):
            return pins.resolve(repository), ()
        return take_snapshot(repository, size_limit=_LARGEST_UNTRACKED), ()
    notes = []
    if untracked:
        notes.append(f"untracked, so not in the run: {some(untracked, _NAMED)}")
    if not modified:
        return pins.resolve(repository), tuple(notes)
    if not all(spec.ignores_dirt for config in configs for spec in config.specs):
        raise Refused(
            f"uncommitted changes would not be in the run: {some(modified, _NAMED)}",
            hint="git commit -a, or gitorch ready --snapshot to pin the files as they are, "
            "or --at HEAD to run without them",
        )
    notes.append(
        f"UNSAFE_ignoreDirtyCheck: these changes are not in the run: {some(modified, _NAMED)}"
    )
    return pins.resolve(repository, origin=Origin.UNSAFE), tuple(notes)


def preview_pin(site: Site, configs: Sequence[LoadedConfig]) -> tuple[Pin, tuple[str, ...]]:
    """HEAD, for looking only; what is not committed is said."""
    modified, untracked = _dirt(site, configs)
    notes = (
        [f"checked against HEAD, without uncommitted changes: {some(modified, _NAMED)}"]
        if modified
        else []
    )
    notes += [f"untracked, so not in a run: {some(untracked, _NAMED)}"] if untracked else []
    return pins.resolve(site.repository), tuple(notes)


def uncommitted_code(site: Site) -> str | None:
    """The tracked files that are changed, configs aside, in a line; None where none is."""
    modified, _ = _dirt(site, ())
    return some(modified, _NAMED) if modified else None


def _dirt(site: Site, configs: Sequence[LoadedConfig]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Modified and untracked paths, configs and what they extend left out: those that are looked at, well-formed or
    not, and all others.
    """
    repository = site.repository
    given = {Path(config.file).resolve() for config in configs}
    given |= {base.path.resolve() for config in configs for base in config.bases}
    dirt = pins.dirty_state(repository)

    def is_dirt(path: str) -> bool:
        here = repository.root / path
        return not (_is_config_file(here) or here.resolve() in given or was_config(path))

    def was_config(path: str) -> bool:
        """Deleted, no longer one, or one that another extends."""
        return path.endswith(SUFFIXES) and path in site.code.configs(pins.resolve(repository).tree)

    return tuple(filter(is_dirt, dirt.modified)), tuple(filter(is_dirt, dirt.untracked))


def _is_config_file(path: Path) -> bool:
    """Configs are no dirt, the record keeps them byte for byte; nor is what editors check them with."""
    try:
        return path.name == SCHEMA or (path.suffix in SUFFIXES and is_config(path.read_bytes()))
    except OSError:
        return False

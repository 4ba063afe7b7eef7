"""Checks of what runs need and have written: pinned commits, worktrees, large files, leftovers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from gitorch.errors import Refused
from gitorch.git import pins
from gitorch.git.fetching import how_to_fetch
from gitorch.git.store.artifacts import complete_copies, has_copies
from gitorch.health.checkup import Checkup, Finding, named
from gitorch.model.branch_layout import ATTEMPT, run_of, unescaped
from gitorch.model.run.record import Record
from gitorch.model.text.phrases import some
from gitorch.storage import leftovers, output_restore
from gitorch.storage.kept_logs import stored_as
from gitorch.storage.site import Site
from gitorch.tools.locks import only_one_at

_NAMED = 3


def check_pins(checkup: Checkup) -> Iterator[Finding]:
    """Find commits that a run of this clone needs, but that are missing or not kept by a pin."""
    repository = checkup.site.repository
    records_by_commit: dict[str, list[Record]] = {}
    for record in checkup.records:
        for commit in record.pins:
            records_by_commit.setdefault(commit, []).append(record)
    unpinned = records_by_commit.keys() - set(pins.kept(repository))
    existing = pins.present_commits(repository, sorted(records_by_commit))
    for commit, records in records_by_commit.items():
        pinned = f"the commit {commit[:12]} of {_names(records)}"
        if commit not in existing:
            yield Finding(
                what="commit-missing",
                message=f"{pinned} is not in this clone any more",
                hint=f"git fetch REMOTE {commit}, from a clone that still has it",
            )
        elif commit in unpinned:
            message = f"nothing keeps {pinned}: its pin is missing"
            keep = partial(pins.keep, repository, commit)
            yield checkup.repairable("pin-missing", message, repair=keep)


def check_worktrees(checkup: Checkup) -> Iterator[Finding]:
    """Find live runs whose worktree is gone or damaged.

    A worktree that was never made is not missing: it is made when it is needed.
    """
    site = checkup.site
    queued = checkup.queued()
    for record in checkup.live():
        tree = site.directory(record.id).tree
        was_made = tree.parent.exists() or site.worktrees.is_registered(tree)
        if not was_made or _is_present(site, record.id):
            continue
        is_running = record.id in queued and queued[record.id].is_running
        what, state = "worktree-missing", "gone"
        if tree.exists():
            what, state = "worktree-broken", "half-made, or damaged"
        message = f"the worktree of {named(record)} is {state}: {tree}"
        make_again = partial(_make_again, site, record, is_running=is_running)
        yield checkup.repairable(what, message, repair=make_again)


def check_leftovers(checkup: Checkup) -> Iterator[Finding]:
    """Find directories that nothing needs any more. With `fix`, also empty the trash."""
    site = checkup.site
    for leftover in leftovers.find(site):
        message = f"{leftover.path} is not needed any more ({leftover.why})"
        remove = partial(leftovers.remove, site, leftover)
        yield checkup.repairable("leftover", message, repair=remove)
    if checkup.fix:
        leftovers.empty_trash(site)


def check_large_files(checkup: Checkup) -> Iterator[Finding]:
    """Find large files that are lost, or that exist only once.

    A large file has two copies: one where git-lfs looks for it, and one that no `git lfs prune`
    reaches.
    """
    site = checkup.site
    own_records = {record.id: record for record in checkup.records}
    for path, pointer in site.results.pointers():
        record = own_records.get(run_of(path) or "")
        if record is None:
            continue
        _, _, _, *rest = path.split("/")  # see RunPaths
        name = "/".join(rest)
        if rest[0] == "outputs":
            name = unescaped("/".join(rest[1:]))
            if not _is_large(record, name):
                continue
        elif _is_of_git(site, path):
            continue
        copies = has_copies(site.repository, pointer)
        if all(copies):
            continue
        if any(copies):
            message = f"one of the two copies of {name} of {named(record)} is gone"
            complete = partial(complete_copies, site.repository, pointer)
            yield checkup.repairable("large-file-copy", message, repair=complete)
        else:
            yield Finding(
                what="large-file-missing",
                message=f"{name} of {named(record)} is lost: "
                f"the large file {pointer.sha256} is not in this clone",
                hint=f"{how_to_fetch(site.repository)}; "
                f"gitorch rerun {record.id} makes it anew",
            )


def _is_present(site: Site, run_id: str) -> bool:
    """Return True if the run has a complete worktree. Wait if another process is making it."""
    tree = site.directory(run_id).tree
    if site.worktrees.is_present(tree):
        return True
    if not tree.parent.exists():
        return False
    with only_one_at(tree):
        return site.worktrees.is_present(tree)


def _make_again(site: Site, record: Record, *, is_running: bool) -> None:
    if is_running:
        raise Refused(
            "one of its tasks is running in it",
            f"gitorch kill {record.id}, or wait for its end",
        )
    pins.require(site.repository, record.pin.commit)
    directory = site.directory(record.id)
    site.worktrees.materialise(
        record.pin.commit,
        directory.tree,
        link=record.spec.link,
        sparse=record.spec.sparse,
    )
    if record.started:
        output_restore.bring_back(site, directory, with_tree=True)


def _is_large(record: Record, name: str) -> bool:
    """Return True if the output is stored as a large file.

    The content of an output does not tell: a run may write a small file that looks like a pointer.
    """
    return any(
        output.path == name and output.stored == "lfs" for output in record.outputs
    )


def _is_of_git(site: Site, path: str) -> bool:
    """Return True if a file of an attempt is stored as it is, so that it is not a pointer."""
    directory, _, name = path.rpartition("/")
    description = site.results.read(f"{directory}/{ATTEMPT}")
    return stored_as(description, name) == "git"


def _names(records: Sequence[Record]) -> str:
    return some([named(record) for record in records], _NAMED)

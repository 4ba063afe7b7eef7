"""What runs were pinned to, execute in and have written: commits, worktrees, large files."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from gitorch.errors import Refused
from gitorch.git import pins
from gitorch.git.store.artifacts import complete_copies, has_copies
from gitorch.health.checkup import Checkup, Finding, named
from gitorch.model.branch_layout import unescaped
from gitorch.model.run.record import Record
from gitorch.model.text.phrases import some
from gitorch.runs import leftovers, outputs
from gitorch.runs.site import Site
from gitorch.tools.locks import only_one_at

_NAMED = 3


def check_pins(checkup: Checkup) -> Iterator[Finding]:
    """Every commit that a run of this clone was pinned to is kept alive by a reference."""
    repository = checkup.site.repository
    runs: dict[str, list[Record]] = {}
    for record in checkup.records:
        for commit in record.pins:
            runs.setdefault(commit, []).append(record)
    unpinned = runs.keys() - set(pins.kept(repository))
    here = pins.which_are_here(repository, sorted(runs))
    for commit, records in runs.items():
        if commit not in here:
            yield Finding(
                what="commit-missing",
                message=f"the commit {commit[:12]} of {_some(records)} is not in this clone any more",
                hint=f"git fetch REMOTE {commit}, from where it still is",
            )
        elif commit in unpinned:
            message = (
                f"nothing keeps the commit {commit[:12]} of {_some(records)}: its pin is missing"
            )
            yield checkup.found("pin-missing", message, repair=partial(pins.keep, repository, commit))


def check_worktrees(checkup: Checkup) -> Iterator[Finding]:
    """Of live runs. One that was never made is made when it is needed; one that was is missed."""
    site = checkup.site
    queued = checkup.queued()
    for record in checkup.live():
        tree = site.directory(record.id).tree
        if _is_present(site, record.id) or not (
            tree.parent.exists() or site.worktrees.is_registered(tree)
        ):
            continue
        is_running = record.id in queued and queued[record.id].is_running
        half = tree.exists()
        message = f"the worktree of {named(record)} is {'half-made, or damaged' if half else 'gone'}: {tree}"
        what = "worktree-broken" if half else "worktree-missing"
        yield checkup.found(
            what, message, repair=partial(_make_again, site, record, is_running=is_running)
        )


def check_leftovers(checkup: Checkup) -> Iterator[Finding]:
    site = checkup.site
    for left in leftovers.find(site):
        message = f"{left.path} is not needed any more ({left.why})"
        yield checkup.found("leftover", message, repair=partial(leftovers.remove, site, left))
    if checkup.fix:
        leftovers.empty_trash(site)


def check_large_files(checkup: Checkup) -> Iterator[Finding]:
    """Each is there twice: where git-lfs looks for it, and where no `git lfs prune` reaches it."""
    site = checkup.site
    ours = {record.id: record for record in checkup.records}
    for path, pointer in site.results.pointers():
        _, _, run, *rest = path.split("/")
        record = ours.get(run)
        name = unescaped("/".join(rest[1:])) if rest[0] == "outputs" else "/".join(rest)
        if record is None or (rest[0] == "outputs" and not _is_large(record, name)):
            continue
        copies = has_copies(site.repository, pointer)
        if all(copies):
            continue
        if any(copies):
            message = f"of two copies of {name} of {named(record)} one is gone"
            yield checkup.found(
                "large-file-copy", message, repair=partial(complete_copies, site.repository, pointer)
            )
            continue
        yield Finding(
            what="large-file-missing",
            message=f"{name} of {named(record)} is lost: the large file {pointer.sha256} is not in this clone",
            hint=f"git lfs fetch --all brings what was pushed; gitorch rerun {record.id} makes it anew",
        )


def _is_present(site: Site, run: str) -> bool:
    """Whether the run's worktree is there and whole; one that is just being made is waited for."""
    tree = site.directory(run).tree
    if site.worktrees.is_present(tree) or not tree.parent.exists():
        return site.worktrees.is_present(tree)
    with only_one_at(tree):
        return site.worktrees.is_present(tree)


def _make_again(site: Site, record: Record, *, is_running: bool) -> None:
    if is_running:
        raise Refused(
            "one of its tasks is running in it", f"gitorch kill {record.id}, or wait for its end"
        )
    pins.require(site.repository, record.pin.commit)
    directory = site.directory(record.id)
    site.worktrees.materialise(record.pin.commit, directory.tree, link=record.spec.link)
    if record.started:
        outputs.bring_back(site, directory, with_tree=True)


def _is_large(record: Record, name: str) -> bool:
    """Whether this output is kept as a large file; else it is a pointer that the run itself has written."""
    return any(output.path == name and output.stored == "lfs" for output in record.outputs)


def _some(records: list[Record]) -> str:
    return some([named(record) for record in records], _NAMED)

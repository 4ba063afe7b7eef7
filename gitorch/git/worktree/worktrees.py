"""The worktree that a run executes in: exactly its commit, outside the repository, whole or not there at all.

The git program does what touches a work tree: libgit2's checkout leaves LFS pointers and filters unapplied while
`git status` says clean. Hooks, sparse checkouts and what else the user's configuration could let in are switched off.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from gitorch.errors import NotFound, Refused
from gitorch.git.command import GitFailed, call_git, call_git_items, call_git_text
from gitorch.git.repository import Repository
from gitorch.git.worktree import admin
from gitorch.git.worktree.admin import (
    LOCK_REASON,
    Mark,
    admin_directory,
    empty_trash,
    only_one_at,
    throw_away,
)
from gitorch.git.worktree.stat_index import is_whole, untouched
from gitorch.git.worktree.submodules import fill_submodules
from gitorch.git.worktree.template import copy_template, is_left_to_git, save_template
from gitorch.tools.faults import boundary
from gitorch.tools.files import read_small, write_aside

__all__ = [
    "Modified",
    "discard",
    "empty_trash",
    "hand_on",
    "is_made_for",
    "is_present",
    "link_source",
    "mark_of",
    "materialise",
    "modified",
    "reset",
]


class Modified(NamedTuple):
    """Tracked files that differ from their commit, and the patch; too `large` ones are in `files` only."""

    files: tuple[str, ...]
    diff: bytes
    large: tuple[str, ...] = ()


UNMODIFIED = Modified((), b"")

_LARGEST_DIFF = 8 << 20
# A patch that `git apply` takes, whatever the user's settings make of diffs.
_DIFF = (
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-renames",
    "--no-relative",
    "--full-index",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
    "--ignore-submodules=untracked",  # of Python's caches in it, say
    "--unified=3",
    "--inter-hunk-context=0",
)
_TRIES = 4  # `worktree add` beside gc or prune failed in 4 of 163
_SWITCHES = {
    "core.hooksPath": "/dev/null",  # a failing post-checkout makes `add` fail though the tree is complete
    "core.sparseCheckout": "false",  # inherited from the main worktree: files missing, status clean
    "core.fsmonitor": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "index.sparse": "false",
    "index.threads": "1",  # no extensions for reading in parallel: `Index` knows none
    "index.skipHash": "false",
    "index.version": "2",
    "submodule.recurse": "false",
    "gc.auto": "0",  # it would inherit the lock of the worktree
    "maintenance.auto": "false",
}


def materialise(repo: Repository, commit: str, path: Path, *, link: Sequence[str] = ()) -> None:
    """Make sure that `path` is a worktree at `commit`, an oid; made anew unless it is there and whole.

    One that is there at another commit is brought to this one; its untracked files stay. `link` names paths of the main
    worktree that become symlinks. May be called again at any time, also after a crash, from several processes.
    Raises Refused if something that gitorch did not make is in the way, GitFailed if git cannot check the commit out.
    """
    with only_one_at(path) as lock:
        admin.mend(repo, path)
        mark = admin.read_mark(repo, path)
        if mark is None:
            _build(repo, commit, path, link, lock)
            return
        if mark.commit != commit or mark.target:
            _bring(repo, path, mark, commit, lock)
        _link(repo, path, link)


def is_present(repo: Repository, path: Path) -> bool:
    """Whether a whole worktree of this repository is at `path`."""
    return admin.read_mark(repo, path) is not None


def is_made_for(repo: Repository, path: Path, commit: str) -> bool:
    """Whether a whole worktree is at `path`, brought to `commit` whatever was done in it since."""
    mark = admin.read_mark(repo, path)
    return mark is not None and mark.is_for(commit)


def mark_of(repo: Repository, path: Path) -> Mark | None:
    """What the whole worktree at `path` holds; None if there is none.

    Of an earlier boot its files may be emptied, since they are not flushed: `reset` writes them again. Left alone they
    may be files that somebody has worked on.
    """
    return admin.read_mark(repo, path)


def modified(repo: Repository, path: Path, commit: str) -> Modified:
    """What was done to the files of `commit`, whatever a run did to its own index, HEAD or branches.

    No git is started where the files' stat data tell that nothing was.
    """
    kept = _kept_index(repo, path, commit)
    if untouched(path, kept):
        return UNMODIFIED
    _require_index(path, kept, commit)
    files = _changed(repo, path, kept, commit)
    if not files:
        return UNMODIFIED
    large = tuple(name for name in files if _size(path / name) > _LARGEST_DIFF)
    but = [f":(exclude,top,literal){name}" for name in large]
    patch = call_git(
        path, *_diff(repo), "--binary", commit, "--", ".", *but, env={"GIT_INDEX_FILE": str(kept)}
    )
    return Modified(files, patch, large)


def reset(repo: Repository, path: Path, commit: str) -> None:
    """Bring the tracked files of the worktree at `path` exactly to `commit`, HEAD and index with them.

    Bits that hide changes (skip-worktree, assume-unchanged) are gone afterwards; a branch that a run has switched to
    does not move; untracked files stay. Raises NotFound if there is no whole worktree.
    """
    with only_one_at(path) as lock:
        mark = admin.read_mark(repo, path)
        if mark is None:
            raise NotFound(f"{path} is no worktree of this repository")
        _bring(repo, path, mark, commit, lock)


def link_source(repo: Repository, name: str) -> Path | None:
    """Where a linked path leads: into the main worktree, or else into the one that gitorch was called in."""
    return next(
        (root / name for root in (repo.main_root, repo.root) if (root / name).exists()), None
    )


def discard(repo: Repository, path: Path) -> None:
    """Remove the worktree at `path`, if there is one. Quick: the files are deleted by `empty_trash`."""
    with only_one_at(path):
        throw_away(repo, path)


def hand_on(repo: Repository, source: Path, path: Path, commit: str) -> bool:
    """Let the worktree at `source`, which nobody needs any more, be the one at `path`, where there is none.

    Only one at `commit` whose tracked files nothing has touched; what else lies in it is removed. A fifth of what even
    a copy of the template costs. False: it cannot be done, and the worktree is as good for nothing else as before.
    """
    with only_one_at(path), only_one_at(source):
        if is_left_to_git(repo) or os.path.lexists(path) or not _is_as_made(repo, source, commit):
            return False
        _replace(admin_directory(repo, source) / "index", _kept_index(repo, source, commit))
        admin.move(repo, source, path)
    return True


def _is_as_made(repo: Repository, path: Path, commit: str) -> bool:
    """Whether the worktree is just as it was made for `commit`, once what is not tracked is removed."""
    directory, kept = admin_directory(repo, path), _kept_index(repo, path, commit)
    if (
        admin.read_mark(repo, path) != Mark(commit=commit)
        or set(os.listdir(directory)) != {*admin.FILES, kept.name}  # noqa: PTH208
        or read_small(directory / "HEAD") != f"{commit}\n".encode()
    ):
        return False
    files = untouched(path, kept)
    if files is None:
        return False
    tracked = {b".git", *files.directories, *(entry.path for entry in files.entries)}
    mode = path.stat().st_mode
    for inside in (b"", *files.directories):
        place = os.path.join(os.fsencode(path), inside)  # noqa: PTH118  bytes
        if os.stat(place).st_mode != mode:  # noqa: PTH116
            return False
        for name in os.listdir(place):  # noqa: PTH208
            if os.path.join(inside, name) not in tracked:  # noqa: PTH118
                admin.delete(Path(os.fsdecode(place), os.fsdecode(name)))
    return True


def _build(repo: Repository, commit: str, path: Path, link: Sequence[str], lock: int) -> None:
    throw_away(repo, path)
    try:
        found = _copy_or_add(repo, commit, path, lock)
        admin.point(path, admin_directory(repo, path))
        directory = admin.publish(repo, found, path)
        submodules = fill_submodules(path, _flags(repo), lock)
        _require_free(path, link, commit)
        _link(repo, path, link)
        _replace(_kept_index(repo, path, commit), directory / "index")
        Mark(commit=commit, submodules=submodules).write(directory)
    except BaseException:
        throw_away(repo, path)
        raise


def _copy_or_add(repo: Repository, commit: str, path: Path, lock: int) -> Path:
    """The files, and an administrative directory that is not yet known under its name."""
    try:
        found = copy_template(repo, commit, path)
    except OSError:  # for example a full disk: git will say so
        throw_away(repo, path)
        found = None
    if found is None:
        found = _add(repo, commit, path, lock)
        save_template(repo, commit, path, found / "index")
    return found


def _add(repo: Repository, commit: str, path: Path, lock: int) -> Path:
    """`git worktree add`; gives the administrative directory that git chose."""
    options = (
        "--detach",
        "--lock",
        "--reason",
        LOCK_REASON,
        "-f",
        "-f",
    )  # twice: also over a locked one left behind
    command: tuple[str | Path, ...] = (*_flags(repo), "worktree", "add", *options, path, commit)
    for attempt in range(_TRIES):
        try:
            call_git(repo.main_root, *command, inherit=(lock,))
            boundary()
            break
        except GitFailed as error:
            if attempt == _TRIES - 1 or "worktrees/" not in error.stderr:
                raise
            call_git(
                repo.main_root, "worktree", "prune"
            )  # one beside us, or a gc, got between the steps of `add`
    found = Path(call_git_text(path, "rev-parse", "--absolute-git-dir"))
    (found / "info" / "sparse-checkout").unlink(missing_ok=True)
    if (found / "config.worktree").exists():
        call_git(path, "config", "--worktree", "core.sparseCheckout", "false")
    return found


def _bring(repo: Repository, path: Path, mark: Mark, commit: str, lock: int) -> Mark:
    """From one whole state to another. Stopped in between, it is done again from the index kept of the first."""
    if mark.target not in (None, commit):
        mark = _bring(repo, path, mark, mark.target, lock)
    directory = admin_directory(repo, path)
    kept, head = _kept_index(repo, path, mark.commit), directory / "HEAD"
    line = f"{commit}\n".encode()
    if not mark.is_of_this_boot:
        admin.write_names(directory, path, mark.commit)
        kept.unlink(missing_ok=True)  # made anew, without stat data: every file is written again
    elif (
        mark.commit == commit
        and head.exists()
        and head.read_bytes() == line
        and untouched(path, kept)
    ):
        _replace(directory / "index", kept)
        return mark
    if mark.commit != commit:
        replace(mark, target=commit).write(directory)
    for left in directory.glob("*.lock"):
        left.unlink(missing_ok=True)  # of a git that was killed; no run is on here now
    write_aside(head, line)  # detached from now on: `reset` would move a branch along
    _require_index(path, kept, mark.commit)
    _replace(directory / "index", kept)
    _reset_hard(repo, path, commit, lock)
    if _changed(repo, path, directory / "index", commit, "--ignore-submodules=all"):
        # git trusted the stat data of files behind a symlink that stands where a directory was
        (directory / "index").unlink()
        call_git(path, "read-tree", commit)
        _reset_hard(repo, path, commit, lock)
    submodules = fill_submodules(path, _flags(repo), lock)
    for gone in set(mark.submodules) - set(submodules):
        admin.throw_away_submodule(repo, path / gone)
    _replace(_kept_index(repo, path, commit), directory / "index")
    now = Mark(commit=commit, submodules=submodules)
    now.write(directory)
    if mark.commit != commit:
        kept.unlink(missing_ok=True)
    return now


def _reset_hard(repo: Repository, path: Path, commit: str, lock: int) -> None:
    call_git(path, *_flags(repo), "reset", "--hard", "--quiet", commit, inherit=(lock,))


def _diff(repo: Repository) -> tuple[str, ...]:
    return (*_flags(repo), "-c", "diff.autoRefreshIndex=true", "diff", *_DIFF)


def _changed(
    repo: Repository, path: Path, index: Path, commit: str, *options: str
) -> tuple[str, ...]:
    """The files of `index` that differ between `commit` and the work tree."""
    env = {"GIT_INDEX_FILE": str(index)}
    return tuple(
        call_git_items(path, *_diff(repo), *options, "--name-only", "-z", commit, "--", env=env)
    )


def _kept_index(repo: Repository, path: Path, commit: str) -> Path:
    """The index as it was when the worktree was exactly at `commit`: git and runs replace theirs, never this."""
    return admin_directory(repo, path) / f"index.{commit}"


def _require_index(path: Path, kept: Path, commit: str) -> None:
    """Make the kept index anew, without stat data, where it is missing or broken."""
    if not (kept.exists() and is_whole(kept.read_bytes())):
        kept.unlink(missing_ok=True)
        call_git(path, "read-tree", commit, env={"GIT_INDEX_FILE": str(kept)})


def _replace(path: Path, source: Path) -> None:
    """Let `path` be the file `source`; its time stays, by which git knows what it may not trust."""
    if path.exists() and path.samefile(source):
        return
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        aside.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copy2(source, aside)
    aside.rename(path)
    boundary()


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _flags(repo: Repository) -> tuple[str, ...]:
    workers = repo.settings.checkout_workers
    switches = {**_SWITCHES, "checkout.workers": str(workers)}
    return tuple(word for name, value in switches.items() for word in ("-c", f"{name}={value}"))


def _require_free(path: Path, link: Sequence[str], commit: str) -> None:
    for name in link:
        if os.path.lexists(path / name):
            raise Refused(
                f"link: {name}: commit {commit[:12]} has that path itself", "leave it out of link"
            )


def _link(repo: Repository, path: Path, link: Sequence[str]) -> None:
    """Make those symlinks that are missing."""
    for name in link:
        place = path / name
        if os.path.lexists(place):
            continue
        source = link_source(repo, name)
        if source is None:
            raise NotFound(
                f"link: {name}: no such path in {repo.main_root}",
                "create it, or leave it out of link",
            )
        if not Path(os.path.realpath(place.parent)).is_relative_to(os.path.realpath(path)):
            raise Refused(
                f"link: {name}: leads out of the worktree", "name a path inside the repository"
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(source)

"""The worktrees that runs execute in.

A worktree is exactly its commit, lies outside the repository, and is whole or not there at all. The
git program does what touches a work tree: libgit2's checkout leaves LFS pointers and filters
unapplied while `git status` says clean. Hooks, sparse checkouts and everything else in the user's
configuration that could change a checkout are switched off (`git_options`).

Three shortcuts make these worktrees fast; each is checked, and git does the work where a shortcut
cannot be trusted:

- a further worktree of the same commit is copied from a template (`template`),
- a worktree that nothing has touched is recognised by the stat data in git's index, without
  starting git (`stat_index`),
- the untouched worktree of a finished run is handed on to the next run.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from gitorch.errors import NotFound, Refused
from gitorch.git.command import GitFailed, call_git, call_git_items, call_git_text
from gitorch.git.repository import Repository
from gitorch.git.worktree import admin
from gitorch.git.worktree.admin import LOCK_REASON, Mark, admin_directory
from gitorch.git.worktree.contract import (
    UNMODIFIED,
    Lacking,
    Modified,
    WorktreeState,
)
from gitorch.git.worktree.git_options import checkout_flags, diff_command
from gitorch.git.worktree.large_files import (
    fetch_pointers,
    missing_files_named,
    require_content,
)
from gitorch.git.worktree.links import make_links, require_untracked
from gitorch.git.worktree.patch_size import without_place_in_patch
from gitorch.git.worktree.sparse import leave_out, sparse_flags, write_patterns
from gitorch.git.worktree.special_files import remove_special_files
from gitorch.git.worktree.stat_index import (
    LARGEST_INDEX,
    StatIndex,
    is_whole,
    untouched,
)
from gitorch.git.worktree.submodules import fill_submodules
from gitorch.git.worktree.template import (
    copy_template,
    is_left_to_git,
    save_template,
)
from gitorch.git.worktree.trash import empty_trash, throw_away, throw_away_submodule
from gitorch.git.worktree.untracked import remove_untracked
from gitorch.model.text.phrases import some
from gitorch.tools.faults import boundary
from gitorch.tools.files import delete, read_small, write_aside
from gitorch.tools.locks import only_one_at
from gitorch.tools.random_names import random_hex
from gitorch.tools.untrusted import read_plain

_TRIES = 4  # `worktree add` failed in 4 of 163 cases beside a gc or prune


class FastWorktrees:
    """The worktrees of a repository, made with as few starts of git as possible.

    Fulfils `contract.Worktrees`.
    """

    def __init__(self, repo: Repository) -> None:
        self._repo = repo

    def materialise(
        self,
        commit: str,
        path: Path,
        *,
        link: Sequence[str] = (),
        lacking: Lacking | None = None,
        sparse: Sequence[str] = (),
    ) -> None:
        self._repo.make_workspace()
        _require_no_link(self._repo, path.parent)
        with only_one_at(path) as lock:
            admin.repair(self._repo, path)
            mark = admin.read_mark(self._repo, path)
            if mark is None or mark.sparse != tuple(sparse):
                self._build(commit, path, link, sparse, lock, lacking)
                return
            if mark.commit != commit or mark.target:
                self._bring_to(path, mark, commit, lock)
            elif mark.is_partial:
                self._complete(path, mark, lock, lacking)
            make_links(self._repo, path, link)

    def is_present(self, path: Path) -> bool:
        return admin.read_mark(self._repo, path) is not None

    def is_made_for(self, path: Path, commit: str) -> bool:
        mark = admin.read_mark(self._repo, path)
        return mark is not None and mark.commit == commit and mark.target is None

    def is_registered(self, path: Path) -> bool:
        return admin_directory(self._repo, path).exists()

    def state(self, path: Path) -> WorktreeState | None:
        mark = admin.read_mark(self._repo, path)
        if mark is None:
            return None
        commit = mark.commit if mark.target is None else None
        return WorktreeState(commit, mark.is_of_this_boot)

    def modified(
        self, path: Path, commit: str, *, but: Sequence[str] = ()
    ) -> Modified:
        """Return the changes to the tracked files of `commit`, without those to the files `but`.

        What a run did to its own index or HEAD has no influence. git is not started if the stat
        data of the files show no change.
        """
        kept = self._kept_index(path, commit)
        if untouched(path, kept):
            return UNMODIFIED
        mark = admin.read_mark(self._repo, path)
        _require_index(path, kept, commit, mark.sparse if mark else ())
        remove_special_files(path, kept)
        differing = self._differing(path, kept, commit)
        files = tuple(name for name in differing if name not in but)
        if not files:
            return UNMODIFIED
        large = without_place_in_patch(path, kept, files)
        excluded = [f":(exclude,top,literal){name}" for name in (*large, *but)]
        command = (
            *diff_command(self._repo),
            "--binary",
            commit,
            "--",
            ".",
            *excluded,
        )
        patch = call_git(path, *command, env={"GIT_INDEX_FILE": str(kept)})
        return Modified(files, patch, tuple(large))

    def reset(self, path: Path, commit: str) -> None:
        with only_one_at(path) as lock:
            mark = admin.read_mark(self._repo, path)
            if mark is None:
                raise NotFound(f"{path} is not a worktree of this repository")
            self._bring_to(path, mark, commit, lock)

    def hand_on(self, source: Path, path: Path, commit: str) -> bool:
        """Turn the worktree at `source`, which is not needed any more, into the one at `path`.

        This takes a fifth of the time of a copy of the template. Return False if the worktree
        cannot be reused (only one at `commit` can, whose tracked files nothing has touched); the
        caller should then discard it.
        """
        with only_one_at(path), only_one_at(source):
            if is_left_to_git(self._repo) or os.path.lexists(path):
                return False
            files = self._files_as_made(source, commit)
            if files is None or not remove_untracked(source, files):
                return False
            index = admin_directory(self._repo, source) / "index"
            _replace(index, self._kept_index(source, commit))
            admin.move(self._repo, source, path)
        return True

    def discard(self, path: Path) -> None:
        with only_one_at(path):
            throw_away(self._repo, path)

    def empty_trash(self) -> None:
        empty_trash(self._repo)

    def _files_as_made(self, path: Path, commit: str) -> StatIndex | None:
        """Return the tracked files of a worktree that is as it was made for `commit`, or None."""
        directory, kept = (
            admin_directory(self._repo, path),
            self._kept_index(path, commit),
        )
        if admin.read_mark(self._repo, path) != Mark(commit=commit):
            return None
        if set(os.listdir(directory)) != {*admin.FILES, kept.name}:  # noqa: PTH208
            return None
        if read_small(directory / "HEAD") != f"{commit}\n".encode():
            return None
        return untouched(path, kept)

    def _build(
        self,
        commit: str,
        path: Path,
        link: Sequence[str],
        sparse: Sequence[str],
        lock: int,
        lacking: Lacking | None,
    ) -> None:
        repo = self._repo
        throw_away(repo, path)
        try:
            unpublished = self._copy_or_add(commit, path, sparse, lock, lacking)
            admin.write_git_file(path, admin_directory(repo, path))
            directory = admin.publish(repo, unpublished, path)
            submodules = fill_submodules(repo, path, lock, lacking)
            require_untracked(path, link, commit)
            make_links(repo, path, link)
            _replace(self._kept_index(path, commit), directory / "index")
            mark = Mark(commit=commit, submodules=submodules, sparse=tuple(sparse))
            replace(mark, is_partial=bool(lacking)).write(directory)
        except BaseException:
            throw_away(repo, path)
            raise

    def _complete(
        self, path: Path, mark: Mark, lock: int, lacking: Lacking | None
    ) -> None:
        """Try again to fetch what a worktree lacks. Nothing else is changed.

        Without `lacking`, raise Refused if it still lacks something.
        """
        repo = self._repo
        directory = admin_directory(repo, path)
        found = Lacking() if lacking is None else lacking
        flags = checkout_flags(repo, partly=True)
        fetch_pointers(repo, path, directory / "index", flags)
        require_content(repo, path, directory / "index", mark.commit, found)
        submodules = fill_submodules(repo, path, lock, found)
        reached = replace(mark, submodules=submodules, is_partial=bool(found))
        reached.write(directory)
        if found and lacking is None:
            raise Refused(f"{path} lacks {some(found.paths)}")

    def _copy_or_add(
        self,
        commit: str,
        path: Path,
        sparse: Sequence[str],
        lock: int,
        lacking: Lacking | None,
    ) -> Path:
        """Make the files at `path`; return an administrative directory to be published."""
        repo = self._repo
        try:
            unpublished = None if sparse else copy_template(repo, commit, path)
        except OSError:  # for example a full disk: git will say so
            throw_away(repo, path)
            unpublished = None
        if unpublished is None:
            with missing_files_named(self._repo, commit):
                flags = checkout_flags(repo, partly=lacking is not None)
                unpublished = self._add(commit, path, sparse, lock, flags)
            index = unpublished / "index"
            require_content(repo, path, index, commit, lacking)
            if not (lacking or sparse):
                save_template(repo, commit, path, index)
        return unpublished

    def _add(
        self,
        commit: str,
        path: Path,
        sparse: Sequence[str],
        lock: int,
        flags: tuple[str, ...],
    ) -> Path:
        """Run `git worktree add`; return the administrative directory that git chose."""
        repo = self._repo
        # -f twice: also over a locked worktree that was left behind.
        options = ["--detach", "--lock", "--reason", LOCK_REASON, "-f", "-f"]
        if sparse:
            options.append("--no-checkout")
        command = (*flags, "worktree", "add", *options)
        for attempt in range(_TRIES):
            try:
                call_git(repo.main_root, *command, path, commit, lock=lock)
                boundary()
                break
            except GitFailed as error:
                if attempt == _TRIES - 1 or "worktrees/" not in error.stderr:
                    raise
                # A prune or gc that ran at the same time got between the steps of `worktree add`.
                call_git(repo.main_root, "worktree", "prune")
        directory = Path(call_git_text(path, "rev-parse", "--absolute-git-dir"))
        (directory / "info" / "sparse-checkout").unlink(missing_ok=True)
        if (directory / "config.worktree").exists():
            call_git(path, "config", "--worktree", "core.sparseCheckout", "false")
        if sparse:
            write_patterns(directory, sparse)
            reset = ("reset", "--hard", "--quiet", commit)
            call_git(path, *flags, *sparse_flags(sparse), *reset, lock=lock)
        return directory

    def _bring_to(self, path: Path, mark: Mark, commit: str, lock: int) -> Mark:
        """Bring a worktree from one whole state to another.

        After a crash, the next call starts again from the kept index of the first state.
        """
        if mark.target not in (None, commit):
            mark = self._bring_to(path, mark, mark.target, lock)
        directory = admin_directory(self._repo, path)
        kept, head = self._kept_index(path, mark.commit), directory / "HEAD"
        if not mark.is_of_this_boot:
            admin.write_names(directory, path, mark.commit)
            # `_require_index` makes a new one, without stat data, so that every file is written
            # again.
            kept.unlink(missing_ok=True)
        elif (
            mark.commit == commit and _is_at(head, commit) and untouched(path, kept)
        ):
            _replace(directory / "index", kept)
            return mark
        if mark.commit != commit:
            replace(mark, target=commit).write(directory)
        for stale in directory.glob("*.lock"):
            # A git that was killed left this lock: no run uses the worktree now.
            stale.unlink(missing_ok=True)
        write_aside(
            head, _head_line(commit)
        )  # detached: `reset` would move a branch along
        _require_index(path, kept, mark.commit, mark.sparse)
        _replace(directory / "index", kept)
        write_patterns(directory, mark.sparse)
        remove_special_files(path, kept, everywhere=mark.commit != commit)
        self._check_out(path, commit, mark.sparse, lock)
        submodules = fill_submodules(self._repo, path, lock)
        for gone in set(mark.submodules) - set(submodules):
            throw_away_submodule(self._repo, path / gone)
        _replace(self._kept_index(path, commit), directory / "index")
        reached = Mark(commit=commit, submodules=submodules, sparse=mark.sparse)
        reached.write(directory)
        if mark.commit != commit:
            kept.unlink(missing_ok=True)
        return reached

    def _check_out(
        self, path: Path, commit: str, sparse: Sequence[str], lock: int
    ) -> None:
        """Write the files of `commit` over those that the worktree's index lists."""
        index = admin_directory(self._repo, path) / "index"
        self._reset_hard(path, commit, sparse, lock)
        if self._differing(path, index, commit, "--ignore-submodules=all"):
            # git trusted the stat data of files behind a symlink that has replaced a directory.
            index.unlink()
            call_git(path, "read-tree", commit)
            self._reset_hard(path, commit, sparse, lock)
        require_content(self._repo, path, index, commit)

    def _reset_hard(
        self, path: Path, commit: str, sparse: Sequence[str], lock: int
    ) -> None:
        command = (
            *checkout_flags(self._repo),
            *sparse_flags(sparse),
            "reset",
            "--hard",
            "--quiet",
            commit,
        )
        with missing_files_named(self._repo, commit):
            call_git(path, *command, lock=lock)

    def _differing(
        self, path: Path, index: Path, commit: str, *options: str
    ) -> tuple[str, ...]:
        """Return the files of `index` that differ between `commit` and the work tree."""
        command = (
            *diff_command(self._repo),
            *options,
            "--name-only",
            "-z",
            commit,
            "--",
        )
        return tuple(
            call_git_items(path, *command, env={"GIT_INDEX_FILE": str(index)})
        )

    def _kept_index(self, path: Path, commit: str) -> Path:
        """Return the index as it was when the worktree was exactly at `commit`.

        git and the runs replace the worktree's own index, never this one.
        """
        return admin_directory(self._repo, path) / f"index.{commit}"


def _head_line(commit: str) -> bytes:
    return f"{commit}\n".encode()


def _is_at(head: Path, commit: str) -> bool:
    try:
        return read_small(head) == _head_line(commit)
    except OSError:
        return False


def _require_index(
    path: Path, kept: Path, commit: str, sparse: Sequence[str]
) -> None:
    """Make the kept index anew, without stat data, where it is missing or broken."""
    try:
        if is_whole(read_plain(kept, LARGEST_INDEX)):
            return
    except FileNotFoundError:
        pass
    except OSError:
        delete(kept)
    kept.unlink(missing_ok=True)
    call_git(path, "read-tree", commit, env={"GIT_INDEX_FILE": str(kept)})
    leave_out(path, kept, sparse)


def _replace(path: Path, source: Path) -> None:
    """Make `path` the file `source`, by a hard link and one rename.

    Unlike `write_aside` this copies no data and keeps the file's modification time, by which git
    knows which entries it must not trust.
    """
    if path.exists() and path.samefile(source):
        return
    aside = path.with_name(f"{path.name}.{random_hex(4)}")
    try:
        aside.hardlink_to(source)
    except OSError:  # a file system without hard links
        shutil.copy2(source, aside)
    aside.rename(path)
    boundary()


def _require_no_link(repo: Repository, directory: Path) -> None:
    """Raise Refused if a directory below the workspace has been replaced by a link."""
    workspace = repo.workspace
    while directory != workspace and directory.is_relative_to(workspace):
        if directory.is_symlink():
            raise Refused(
                f"{directory} is a link to {directory.readlink()}, which gitorch did not make",
                f"rm {shlex.quote(str(directory))}",
            )
        directory = directory.parent

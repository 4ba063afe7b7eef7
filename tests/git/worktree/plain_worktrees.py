"""The simplest worktrees that keep the contract: git does everything.

They keep the contract honest.

They are slow, and a crash can leave them half-made.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gitorch.errors import NotFound, Refused
from gitorch.git.command import call_git, call_git_items, call_git_lines
from gitorch.git.repository import Repository
from gitorch.git.worktree.contract import (
    LARGEST_DIFF,
    UNMODIFIED,
    Lacking,
    Modified,
    WorktreeState,
)
from gitorch.git.worktree.git_options import checkout_flags, diff_command
from gitorch.git.worktree.links import make_links, require_untracked
from gitorch.tools.files import delete
from gitorch.tools.locks import only_one_at


class PlainWorktrees:
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
        assert not sparse
        with only_one_at(path):
            if not self.is_present(path):
                self._add(commit, path, link)
            elif not self.is_made_for(path, commit):
                self.reset(path, commit)
            make_links(self._repo, path, link)

    def is_present(self, path: Path) -> bool:
        return self.state(path) is not None

    def is_made_for(self, path: Path, commit: str) -> bool:
        return self.state(path) == WorktreeState(commit, True)

    def is_registered(self, path: Path) -> bool:
        listed = call_git_lines(self._repo.root, "worktree", "list", "--porcelain")
        return f"worktree {path}" in listed

    def state(self, path: Path) -> WorktreeState | None:
        admin = self._admin(path)
        if admin is None or not (admin / "made-for").exists():
            return None
        return WorktreeState((admin / "made-for").read_text(), True)

    def modified(
        self, path: Path, commit: str, *, but: Sequence[str] = ()
    ) -> Modified:
        with tempfile.TemporaryDirectory() as room:
            environment = {"GIT_INDEX_FILE": f"{room}/index"}
            call_git(path, "read-tree", commit, env=environment)
            diff = diff_command(self._repo)
            differing = call_git_items(
                path, *diff, "--name-only", "-z", commit, "--", env=environment
            )
            files = [name for name in differing if name not in but]
            large = [name for name in files if _size(path / name) > LARGEST_DIFF]
            excluded = [f":(exclude,top,literal){name}" for name in (*large, *but)]
            patch = call_git(
                path,
                *diff,
                "--binary",
                commit,
                "--",
                ".",
                *excluded,
                env=environment,
            )
        return Modified(tuple(files), patch, tuple(large)) if files else UNMODIFIED

    def reset(self, path: Path, commit: str) -> None:
        state, admin = self.state(path), self._admin(path)
        if state is None or state.commit is None or admin is None:
            raise NotFound(f"{path} is not a worktree of this repository")
        for name in ("index.lock", "HEAD.lock", "index"):
            (admin / name).unlink(missing_ok=True)
        (admin / "HEAD").write_text(f"{commit}\n")
        # The files of the former commit, so that those that `commit` does not have are removed.
        call_git(path, "read-tree", state.commit)
        call_git(
            path, *checkout_flags(self._repo), "reset", "--hard", "--quiet", commit
        )
        (admin / "made-for").write_text(commit)

    def hand_on(self, source: Path, path: Path, commit: str) -> bool:
        if os.path.lexists(path) or not self.is_made_for(source, commit):
            return False
        self.discard(source)
        self.materialise(commit, path)
        return True

    def discard(self, path: Path) -> None:
        if not os.path.lexists(path):
            return
        admin = self._admin(path)
        if admin is None:
            raise Refused(f"{path} is in the way: gitorch did not make it")
        delete(path)
        call_git(self._repo.main_root, "worktree", "remove", "-f", "-f", path)

    def empty_trash(self) -> None:
        """Do nothing: `discard` deletes at once."""

    def _add(self, commit: str, path: Path, link: Sequence[str]) -> None:
        self.discard(path)
        options = ("--detach", "--lock", "--reason", "gitorch", "-f", "-f")
        command = (*checkout_flags(self._repo), "worktree", "add", *options)
        call_git(self._repo.main_root, *command, path, commit)
        try:
            admin = self._admin(path)
            assert admin
            if (admin / "config.worktree").exists():
                call_git(
                    path, "config", "--worktree", "core.sparseCheckout", "false"
                )
            require_untracked(path, link, commit)
            make_links(self._repo, path, link)
            (admin / "made-for").write_text(commit)
        except BaseException:
            self.discard(path)
            raise

    def _admin(self, path: Path) -> Path | None:
        """Return the administrative directory of a worktree that gitorch has locked."""
        if path.is_symlink() or not (path / ".git").is_file():
            return None
        admin = Path((path / ".git").read_text().removeprefix("gitdir: ").strip())
        is_ours = (
            admin.parent == self._repo.common_dir / "worktrees"
            and (admin / "locked").exists()
        )
        return (
            admin
            if is_ours and (admin / "locked").read_text() == "gitorch\n"
            else None
        )


def _size(path: Path) -> int:
    return path.lstat().st_size if os.path.lexists(path) else 0

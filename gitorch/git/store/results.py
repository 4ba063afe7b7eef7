"""The results branch: the durable account of every run.

It is read with git alone and written in whole commits. Readers start the git program and never load
pygit2. The parts are `branch_edit` (writing), `branch_content` (one commit of the branch) and
`branch_state` (a branch that was damaged, and its restoration).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gitorch.git.command import call_git_items, run_git
from gitorch.git.repository import Repository
from gitorch.git.store.branch_content import BranchView, missing_record
from gitorch.git.store.branch_edit import BranchEdit
from gitorch.git.store.branch_state import (
    BranchState,
    branch_state,
    former_histories,
    move_broken_aside,
    restored_tip,
    starting_commit,
)
from gitorch.git.store.lock import locked
from gitorch.git.store.object_cache import ObjectCache
from gitorch.git.store.objects import has_commit, read_bounded, read_objects
from gitorch.git.store.pointers import Pointer, parse_pointer
from gitorch.git.store.refs import read_ref
from gitorch.git.store.run_trees import run_trees, strays
from gitorch.git.store.trees import parse_tree
from gitorch.model.branch_layout import ATTRIBUTES, RECORD, RUNS, RunPaths, run_of
from gitorch.model.run.record import RecordBroken
from gitorch.model.run.record_file import LARGEST, parse_record
from gitorch.tools.files import read_small

_OID = re.compile(rb"[0-9a-f]{40}")
_CHANGES_BEFORE_FREE = 50
_LONGEST_POINTER = 200
_NEVER_POINTERS = (".json", f"/{ATTRIBUTES}")


class ResultsBranch:
    """The results branch of a repository.

    Reading uses the git program alone, and any number of processes may read at any time. The
    methods that read take a `commit` of the branch; by default they read the newest.
    """

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self.name = repo.settings.branch
        self.ref = f"refs/heads/{self.name}"
        self._changes = 0
        self._cache = ObjectCache()

    def tip(self) -> str | None:
        """Return the newest commit.

        If the branch is missing, return the commit that it would be restored from.
        """
        # In the most frequent case git is not started: the file of a reference takes precedence
        # over packed-refs.
        with contextlib.suppress(OSError):
            oid = read_small(self.repo.common_dir / self.ref).strip()
            if _OID.fullmatch(oid):
                return oid.decode()
        result = run_git(
            self.repo.root, "rev-parse", "--verify", "--quiet", self.ref
        )
        if result.returncode == 0:
            return result.stdout.decode().strip()
        return starting_commit(self.repo, self.name)

    def read(self, path: str, commit: str | None = None) -> bytes | None:
        """Return the file at `path` as it is in git: for a large file, its LFS pointer."""
        return self.read_all([path], commit)[0]

    def read_all(
        self, paths: Sequence[str], commit: str | None = None
    ) -> list[bytes | None]:
        """Return the files at `paths`, with one start of git."""
        commit = commit or self.tip()
        if commit is None:
            return [None] * len(paths)
        return read_objects(self.repo.root, [f"{commit}:{path}" for path in paths])

    def names(self, path: str, commit: str | None = None) -> list[str]:
        """Return the names in the directory at `path`."""
        commit = commit or self.tip()
        if commit is None:
            return []
        entries = parse_tree(self._tree(f"{commit}:{path}"))
        return [os.fsdecode(name) for name in entries]

    def files(self, path: str, commit: str | None = None) -> list[str]:
        """Return the paths of all files below `path`."""
        commit = commit or self.tip()
        if commit is None:
            return []
        options = ("-r", "-z", "--full-tree", "--name-only")
        return call_git_items(
            self.repo.root, "ls-tree", *options, commit, f"{path}/"
        )

    def run_ids(self, commit: str | None = None) -> list[str]:
        """Return the ids of all runs."""
        commit = commit or self.tip()
        return list(run_trees(self.repo.root, commit)) if commit else []

    def record(
        self, run_id: str, commit: str | None = None
    ) -> dict[str, Any] | None:
        """Return the record of a run, or None if the branch has no such run.

        Raises RecordBroken.
        """
        commit = commit or self.tip()
        paths = RunPaths.of(run_id)
        data = self.read(paths.record, commit)
        if data is not None:
            return parse_record(data, run_id)
        if commit and self._exist([paths.directory], commit) == [True]:
            raise missing_record(run_id)
        return None

    def records(self, commit: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the records of all runs, sorted by id. Records that are not JSON are left out."""
        for run_id, data in self.record_files(commit=commit):
            try:
                yield parse_record(data or b"", run_id)
            except RecordBroken:
                continue

    def record_files(
        self, run_ids: Sequence[str] | None = None, commit: str | None = None
    ) -> Iterator[tuple[str, bytes | None]]:
        """Yield the `record.json` of these runs, by default of all runs.

        Runs that are not on the branch are left out. None means that a run has no such file. A file
        that is too large for a record is cut off.
        """
        commit = commit or self.tip()
        if commit is None:
            return
        if run_ids is None:
            trees = run_trees(self.repo.root, commit)
            names = [f"{tree}:{RECORD}" for tree in trees.values()]
            run_ids = list(trees)
        else:
            names = [f"{commit}:{RunPaths.of(run_id).record}" for run_id in run_ids]
        missing = []
        found = read_bounded(self.repo.root, names, LARGEST + 1)
        for run_id, data in zip(run_ids, found, strict=True):
            if data is None:
                missing.append(run_id)
            else:
                yield run_id, data
        directories = [RunPaths.of(run_id).directory for run_id in missing]
        for run_id, exists in zip(
            missing, self._exist(directories, commit), strict=True
        ):
            if exists:
                yield run_id, None

    def strays(self, commit: str | None = None) -> list[str]:
        """Return the paths in the directories of all runs that belong to no run."""
        commit = commit or self.tip()
        return strays(self.repo.root, commit) if commit else []

    def changed_runs(self, since: str | None, tip: str) -> list[str]:
        """Return the runs in which `tip` differs from the commit `since`.

        Return all runs if this clone lacks `since`.
        """
        if since is None or not self.has(since):
            return self.run_ids(tip)
        command = ("diff-tree", "-r", "-z", "--name-only", since, tip, "--", RUNS)
        runs: dict[str, None] = {}
        for path in call_git_items(self.repo.root, *command):
            run_id = run_of(path)
            if run_id is not None:
                runs[run_id] = None
        return list(runs)

    def has(self, commit: str) -> bool:
        """Return True if this clone has the commit."""
        return has_commit(self.repo.root, commit)

    def pointers(self) -> Iterator[tuple[str, Pointer]]:
        """Yield every Git LFS pointer of the runs, with its path."""
        tip = self.tip()
        if tip is None:
            return
        options = ("-r", "-z", "--full-tree", "--format=%(objectsize) %(path)")
        candidates: list[str] = []
        for item in call_git_items(self.repo.root, "ls-tree", *options, tip, RUNS):
            size, path = item.split(" ", 1)
            if path.endswith(_NEVER_POINTERS):
                continue
            if size.isdecimal() and int(size) <= _LONGEST_POINTER:
                candidates.append(path)
        contents = self.read_all(candidates, tip)
        for path, data in zip(candidates, contents, strict=True):
            pointer = parse_pointer(data or b"")
            if pointer:
                yield path, pointer

    def state(self) -> BranchState:
        """Compare the branch with its state when this clone last saw it. Raises GitFailed."""
        return branch_state(self.repo, self.ref)

    def restore(self) -> None:
        """Restore the commits that the branch had when this clone last saw it.

        A broken reference is moved aside. Raises Refused.
        """
        with locked(self.repo):
            move_broken_aside(self.repo, self.ref)
        # `changing` restores the branch before it yields.
        with self.changing():
            pass

    def former_histories(self) -> list[str]:
        """Return the references to former histories that the branch does not contain."""
        return former_histories(self.repo, self.ref)

    def checked_out_at(self) -> Path | None:
        """Return the worktree that has this branch checked out.

        There, new commits show as staged changes.
        """
        path = None
        for item in call_git_items(
            self.repo.root, "worktree", "list", "--porcelain", "-z"
        ):
            name, _, value = item.partition(" ")
            if name == "worktree":
                path = Path(value)
            elif item == f"branch {self.ref}":
                return path
        return None

    def view(self) -> BranchView | None:
        """Return a view of the branch's newest commit, or None if there is no branch.

        This is for workers, because it loads pygit2, but starts no program.
        """
        tip = read_ref(self.repo, self.ref) or starting_commit(self.repo, self.name)
        return BranchView(self.repo, tip) if tip else None

    @contextlib.contextmanager
    def changing(self) -> Iterator[BranchEdit]:
        """Yield an edit of the branch, under the lock that makes it the only one.

        Changes that are not committed at the end are discarded. Raises Refused if the branch cannot
        be gitorch's, or Busy if another process holds the lock for long.
        """
        with locked(self.repo):
            tip = restored_tip(self.repo, self.ref)
            edit = BranchEdit(self.repo, self.ref, tip, self._cache)
            try:
                yield edit
            finally:
                edit.close()
                self._changes += 1
                if self._changes % _CHANGES_BEFORE_FREE == 0:
                    # libgit2 keeps open every pack that it has read, even packs that a repack has
                    # replaced.
                    self.repo.pygit.free()

    def _exist(self, paths: Sequence[str], commit: str) -> list[bool]:
        """Return True for each of these paths at which the branch has anything."""
        if not paths:
            return []
        options = ("-z", "--full-tree", "--name-only")
        found = call_git_items(self.repo.root, "ls-tree", *options, commit, *paths)
        return [path in found for path in paths]

    def _tree(self, name: str) -> bytes:
        """Return the data of a tree, empty if there is none."""
        return read_objects(self.repo.root, [name], "tree")[0] or b""

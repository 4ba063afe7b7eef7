"""The results branch: the durable account of every run.

It is read with git alone and written in whole commits. Readers start the git program and never load
pygit2. The parts are `branch_edit` (writing), `branch_content` (one commit of the branch),
`branch_state` (a branch that was damaged) and `branch_restoration` (the return of what it lost).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gitorch.git.command import (
    GitFailed,
    call_git_items,
    call_git_success,
    call_git_text,
    run_git,
)
from gitorch.git.repository import Repository
from gitorch.git.store.branch_content import BranchView, missing_record
from gitorch.git.store.branch_state import (
    KEPT,
    BranchState,
    branch_state,
    former_histories,
    starting_commit,
)
from gitorch.git.store.lock import locked
from gitorch.git.store.object_cache import ObjectCache
from gitorch.git.store.objects import has_commit, read_bounded, read_objects
from gitorch.git.store.pointers import Pointer, parse_pointer
from gitorch.git.store.refs import is_commit, read_ref
from gitorch.git.store.run_trees import run_trees, strays
from gitorch.git.store.trees import parse_tree
from gitorch.model.branch_layout import (
    ATTRIBUTES,
    ENVIRONMENTS,
    RECORD,
    RUNS,
    RunPaths,
    run_of,
)
from gitorch.model.run.record import RecordBroken
from gitorch.model.run.record_file import LARGEST, parse_record
from gitorch.tools.files import read_small

if TYPE_CHECKING:
    from gitorch.git.store.branch_edit import BranchEdit
    from gitorch.git.store.branch_restoration import BranchKeeper, Restoration

_OID = re.compile(rb"[0-9a-f]{40}")
_CHANGES_BEFORE_FREE = 50
_LONGEST_POINTER = 200
_NEVER_POINTERS = (".json", f"/{ATTRIBUTES}")


class ResultsBranch:
    """The results branch of a repository.

    Reading uses the git program alone, and any number of processes may read at any time. The
    methods that read take a `commit` of the branch; by default they read the newest.
    """

    def __init__(
        self,
        repo: Repository,
        *,
        witnesses: Callable[[], Iterable[str]] = tuple,
        report: Callable[[Restoration], None] = lambda _: None,
    ) -> None:
        """Give access to the branch.

        `witnesses` returns commits that other files of this clone know as tips of the branch.
        `report` is called after the branch was restored, under the lock.
        """
        self.repo = repo
        self.name = repo.settings.branch
        self.ref = f"refs/heads/{self.name}"
        self._witnesses = witnesses
        self._report = report
        self._changes = 0
        self._cache = ObjectCache()

    def tip(self) -> str | None:
        """Return the newest commit.

        If the branch is missing, return the commit that it would be restored from.
        """
        return self._commit_at(self.ref) or starting_commit(self.repo, self.ref)

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
        changed = None if since is None else self.changes(since, tip)
        return self.run_ids(tip) if changed is None else changed

    def changes(self, since: str, tip: str) -> list[str] | None:
        """Return the runs in which two commits differ, or None if this clone lacks `since`."""
        command = ("diff-tree", "-r", "-z", "--name-only", since, tip, "--", RUNS)
        try:
            paths = call_git_items(self.repo.root, *command)
        except GitFailed:
            # This is asked afterwards, since it takes a process and the commit is seldom missing.
            if self.has(since):
                raise
            return None
        runs: dict[str, None] = {}
        for path in paths:
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
        options = ("-r", "-z", "-l", "--full-tree")
        candidates: list[str] = []
        for item in call_git_items(self.repo.root, "ls-tree", *options, tip, RUNS):
            facts, _, path = item.partition("\t")
            size = facts.split()[-1]
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

    def lost_runs(self) -> tuple[str, ...]:
        """Return the runs that this clone knows and the branch lacks: `restore` brings them back.

        This loads pygit2.
        """
        return self._keeper.lost_runs()

    def kept(self) -> str | None:
        """Return the commit that gitorch's own reference has, which follows the branch."""
        return self._commit_at(KEPT)

    def settle(self, *, has_written: bool = True) -> None:
        """Restore the branch if another git program has changed it so that runs may be lost.

        Programs that only read call this when the tip is new to them. `has_written` is true if this
        clone has written to the branch, and not only read that of a remote. Raises Refused and
        Busy.
        """
        kept = self.kept()
        tip = self.tip()
        known = {commit for commit in (kept, *self._witnesses()) if commit}
        has_references = kept is not None or not has_written or not known
        if has_references and self._has_all(known, tip, is_own=tip == kept):
            return
        with locked(self.repo):
            self._keeper.look()

    def restore(self) -> None:
        """Restore the runs that the branch had when this clone last saw it.

        A broken reference is moved aside. Raises Refused and Busy.
        """
        with locked(self.repo):
            self._keeper.discard_broken()
            self._keeper.look()
            for commit in former_histories(self.repo, self.ref).values():
                self._keeper.look(commit)

    def former_histories(self) -> dict[str, tuple[str, ...]]:
        """Return the references to former histories, each with its runs that the branch lacks.

        Earlier versions of gitorch left such a reference when a branch had been replaced. This
        loads pygit2.
        """
        lacking: dict[str, tuple[str, ...]] = {}
        for ref, commit in former_histories(self.repo, self.ref).items():
            lost = self._keeper.lost_runs(commit)
            if lost:
                lacking[ref] = lost
        return lacking

    def checked_out_at(self) -> Path | None:
        """Return the worktree that has this branch checked out.

        There, new commits show as staged changes.
        """
        # git ends the lines with NUL (-z) since 2.36 only. A path may contain line ends.
        listed = call_git_text(self.repo.root, "worktree", "list", "--porcelain")
        for item in listed.split("\n\n"):
            path, _, facts = item.removeprefix("worktree ").rpartition("\nHEAD ")
            if f"branch {self.ref}" in facts.split("\n"):
                return Path(path)
        return None

    def view(self) -> BranchView | None:
        """Return a view of the branch's newest commit, or None if there is no branch.

        This is for workers, because it loads pygit2, but starts no program.
        """
        tip = read_ref(self.repo, self.ref)
        if tip is None or not is_commit(self.repo, tip):
            tip = starting_commit(self.repo, self.ref)
        return BranchView(self.repo, tip) if tip else None

    @contextlib.contextmanager
    def changing(self) -> Iterator[BranchEdit]:
        """Yield an edit of the branch, under the lock that makes it the only one.

        Changes that are not committed at the end are discarded. Raises Refused if the branch cannot
        be gitorch's, or Busy if another process holds the lock for long.
        """
        with locked(self.repo):
            # Imported here, because most programs only read.
            from gitorch.git.store.branch_edit import BranchEdit  # noqa: PLC0415

            edit = BranchEdit(self.repo, self.ref, self._keeper, self._cache)
            try:
                yield edit
            finally:
                edit.close()
                self._changes += 1
                if self._changes % _CHANGES_BEFORE_FREE == 0:
                    # libgit2 keeps open every pack that it has read, even packs that a repack has
                    # replaced.
                    self.repo.pygit.free()

    @cached_property
    def _keeper(self) -> BranchKeeper:
        # Imported here, because most programs only read.
        from gitorch.git.store.branch_restoration import BranchKeeper  # noqa: PLC0415

        return BranchKeeper(
            self.repo, self.ref, witnesses=self._witnesses, report=self._report
        )

    def _exist(self, paths: Sequence[str], commit: str) -> list[bool]:
        """Return True for each of these paths at which the branch has anything."""
        if not paths:
            return []
        options = ("-z", "--full-tree", "--name-only")
        found = call_git_items(self.repo.root, "ls-tree", *options, commit, *paths)
        return [path in found for path in paths]

    def _commit_at(self, ref: str) -> str | None:
        """Return the commit of a reference, or None if there is no such reference."""
        # In the most frequent case git is not started: the file of a reference takes precedence
        # over packed-refs.
        with contextlib.suppress(OSError):
            oid = read_small(self.repo.common_dir / ref).strip()
            if _OID.fullmatch(oid):
                return oid.decode()
        result = run_git(self.repo.root, "rev-parse", "--verify", "--quiet", ref)
        if result.returncode:
            return None
        return result.stdout.decode().strip()

    def _descends_from(self, commit: str, tip: str) -> bool:
        """Return True if `tip` descends from `commit`, or if this clone lacks `commit`."""
        return self._is_ancestor(commit, tip) or not self.has(commit)

    def _is_ancestor(self, commit: str, tip: str) -> bool:
        """Return False also if this clone lacks `commit`."""
        command = ("merge-base", "--is-ancestor", commit, tip)
        try:
            return call_git_success(self.repo.root, *command)
        except GitFailed:
            if self.has(commit) and self.has(tip):
                raise
            return False

    def _has_all(self, known: set[str], tip: str | None, *, is_own: bool) -> bool:
        """Return True if the commit `tip` has all runs of `known`.

        `is_own` is true if gitorch itself made `tip`, from a look at everything that was known.
        """
        if tip is None:
            return not any(self.has(commit) for commit in known)
        others = known - {tip}
        if not others:
            return self.has(tip)
        has = self._descends_from if is_own else self._has_added_to
        return all(has(commit, tip) for commit in others)

    def _has_added_to(self, commit: str, tip: str) -> bool:
        """Return True if `tip` descends from `commit`, and has only added runs to it.

        Return True if this clone does not have `commit` any more.
        """
        if not self._is_ancestor(commit, tip):
            return not self.has(commit)
        changes = ("diff-tree", "-r", "--quiet", "--diff-filter=DMT", commit, tip)
        return call_git_success(self.repo.root, *changes, "--", RUNS, ENVIRONMENTS)

    def _tree(self, name: str) -> bytes:
        """Return the data of a tree, empty if there is none."""
        return read_objects(self.repo.root, [name], "tree")[0] or b""

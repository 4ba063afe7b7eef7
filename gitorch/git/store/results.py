"""The results branch: where the durable account of every run is kept, read with git alone and written in whole commits.

A change is one pack, one commit and one compare-and-swap of the branch (see `pack.py` and `refs.py`). A private second
reference follows the branch, so that a branch which vanished or went backwards is noticed and brought back.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.errors import GitorchError, Refused
from gitorch.git.command import call_git_items, call_git_lines, call_git_success, run_git
from gitorch.git.modes import FILE
from gitorch.git.repository import Repository
from gitorch.git.store.artifacts import Pointer, Stored, parse_pointer
from gitorch.git.store.branch_readme import README
from gitorch.git.store.lock import locked
from gitorch.git.store.object_cache import ObjectCache
from gitorch.git.store.objects import read_objects
from gitorch.git.store.pack import KeptPack, ObjectType, PackWriter
from gitorch.git.store.refs import move_ref, read_ref
from gitorch.git.store.trees import Edits, TreeEntry, find, parse_tree
from gitorch.model.branch_layout import ATTRIBUTES, OWN_NAMES, RECORD, RUNS, RunPaths, run_of
from gitorch.model.run.ids import is_run_id
from gitorch.tools.readable_json import render_json

KEPT = "refs/gitorch/kept/results"
_OID = re.compile(rb"[0-9a-f]{40}")
_RECORDS_AT_ONCE = 2000
_CHANGES_BEFORE_FREE = 50
_LONGEST_POINTER = 200
_NEVER_POINTERS = (".json", f"/{ATTRIBUTES}")


class Standing(Enum):
    """The branch, beside what was kept of it."""

    WHOLE = "whole"
    MISSING = "missing"
    BEHIND = "behind"  # it went backwards
    DIVERGED = "diverged"  # it holds another history
    BROKEN = "broken"  # its reference leads nowhere


class Step(NamedTuple):
    """One commit of the branch."""

    commit: str
    at: str  # RFC 3339
    subject: str


class ResultsBranch:
    """The branch by its name; `at` is a commit of it, by default the newest.

    Reading uses the git program alone and may be done by any number of processes at any time.
    """

    def __init__(self, repo: Repository) -> None:
        self.repo = repo
        self.name = repo.settings.branch
        self.ref = f"refs/heads/{self.name}"
        self._changes = 0
        self._recent = ObjectCache()

    def tip(self) -> str | None:
        """The newest commit; of a branch that is not there, the one it would be brought back from."""
        with contextlib.suppress(
            OSError
        ):  # the commonest case without starting git: a file overrides packed-refs
            if _OID.fullmatch(oid := self._loose.read_bytes().strip()):
                return oid.decode()
        found = run_git(self.repo.root, "rev-parse", "--verify", "--quiet", self.ref)
        if found.returncode == 0:
            return found.stdout.decode().strip()
        return self._origin()

    def read(self, path: str, at: str | None = None) -> bytes | None:
        """The file at `path`, as it is in git: of a large one its LFS pointer."""
        return self.read_all([path], at)[0]

    def read_all(self, paths: Sequence[str], at: str | None = None) -> list[bytes | None]:
        tip = at or self.tip()
        if tip is None:
            return [None] * len(paths)
        return read_objects(self.repo.root, [f"{tip}:{path}" for path in paths])

    def names(self, path: str, at: str | None = None) -> list[str]:
        """The names in the directory at `path`."""
        tip = at or self.tip()
        data = read_objects(self.repo.root, [f"{tip}:{path}"], "tree")[0] if tip else None
        return [os.fsdecode(name) for name in parse_tree(data)] if data else []

    def files(self, path: str, at: str | None = None) -> list[str]:
        """The paths of all files below `path`."""
        tip = at or self.tip()
        if tip is None:
            return []
        return call_git_items(
            self.repo.root, "ls-tree", "-r", "-z", "--full-tree", "--name-only", tip, f"{path}/"
        )

    def run_ids(self, at: str | None = None) -> list[str]:
        return [run for run, _ in self._runs(at or self.tip())]

    def record(self, run: str, at: str | None = None) -> dict[str, Any] | None:
        return _parsed(self.read(RunPaths.of(run).record, at))

    def records(self, at: str | None = None) -> Iterator[dict[str, Any]]:
        """The records of all runs, by id."""
        return self._records([f"{tree}:{RECORD}" for _, tree in self._runs(at or self.tip())])

    def records_of(self, runs: Sequence[str], at: str | None = None) -> Iterator[dict[str, Any]]:
        """Those of these runs that are there."""
        tip = at or self.tip()
        return self._records([f"{tip}:{RunPaths.of(run).record}" for run in runs] if tip else [])

    def changed_runs(self, since: str | None, tip: str) -> list[str]:
        """The runs in which `tip` differs from the commit `since`; all of them where that is not known."""
        if since is None or not self.has(since):
            return self.run_ids(tip)
        paths = call_git_items(
            self.repo.root, "diff-tree", "-r", "-z", "--name-only", since, tip, "--", RUNS
        )
        return list(dict.fromkeys(run_of(path) for path in paths))

    def has(self, commit: str) -> bool:
        """Whether this clone has the commit."""
        return run_git(self.repo.root, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def history(self, path: str) -> list[Step]:
        """The commits that changed `path`, newest first; they go on where it was removed since."""
        tip = self.tip()
        if tip is None:
            return []
        arguments = (
            "--literal-pathspecs",
            "log",
            "--no-show-signature",
            "--format=%H%n%cI%n%s",
            "-z",
        )
        items = call_git_items(self.repo.root, *arguments, tip, "--", path)
        return [Step(*item.split("\n", 2)) for item in items]

    def pointers(self) -> Iterator[tuple[str, Pointer]]:
        """Every Git LFS pointer of the runs, by its path."""
        tip = self.tip()
        if tip is None:
            return
        arguments = (
            "ls-tree",
            "-r",
            "-z",
            "--full-tree",
            "--format=%(objectsize) %(path)",
            tip,
            RUNS,
        )
        found = [item.split(" ", 1) for item in call_git_items(self.repo.root, *arguments)]
        paths = [path for size, path in found if size.isdecimal() and int(size) <= _LONGEST_POINTER]
        likely = [path for path in paths if not path.endswith(_NEVER_POINTERS)]
        for path, data in zip(likely, self.read_all(likely, tip), strict=True):
            if data is not None and (pointer := parse_pointer(data)):
                yield path, pointer

    def standing(self) -> Standing:
        """How the branch compares with what it held when this clone last saw it. Raises GitFailed."""
        kept = self._commit_at(KEPT)
        tip = self._commit_at(self.ref)
        if tip is None and self._loose.is_file():
            return Standing.BROKEN
        if kept is None or kept == tip:
            return Standing.WHOLE
        if tip is None:
            return Standing.MISSING
        if self._is_ancestor(kept, tip):
            return Standing.WHOLE
        return Standing.BEHIND if self._is_ancestor(tip, kept) else Standing.DIVERGED

    def bring_back(self) -> None:
        """Let the branch hold again what it held; a broken reference is moved aside. Raises Refused."""
        with locked(self.repo):
            if self.standing() is Standing.BROKEN:
                if self._commit_at(KEPT) is None:
                    raise Refused(
                        f"{self.ref} leads nowhere, and nothing was kept of it",
                        "git fsck --lost-found",
                    )
                self._loose.rename(self.repo.state_dir / f"broken-reference.{secrets.token_hex(4)}")
        with self.changing():
            pass

    def kept_aside(self) -> list[str]:
        """References to histories of the branch that it does not hold."""
        tip = self._commit_at(self.ref)
        names = call_git_lines(
            self.repo.root, "for-each-ref", "--format=%(refname)", "refs/gitorch/kept/"
        )
        return [
            name
            for name in names
            if tip and not self._is_ancestor(name, tip) and not self._is_ancestor(tip, name)
        ]

    @property
    def _loose(self) -> Path:
        return self.repo.common_dir / self.ref

    def _commit_at(self, ref: str) -> str | None:
        found = run_git(self.repo.root, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return found.stdout.decode().strip() if found.returncode == 0 else None

    def _is_ancestor(self, older: str, newer: str) -> bool:
        return call_git_success(self.repo.root, "merge-base", "--is-ancestor", older, newer)

    def checked_out_at(self) -> Path | None:
        """The worktree that has this branch checked out: there, new commits show as staged changes."""
        path = None
        for item in call_git_items(self.repo.root, "worktree", "list", "--porcelain", "-z"):
            name, _, value = item.partition(" ")
            if name == "worktree":
                path = Path(value)
            elif item == f"branch {self.ref}":
                return path
        return None

    def look(self) -> BranchView | None:
        """The branch as it is now; None where there is none. For workers: this loads pygit2, and starts no program."""
        tip = read_ref(self.repo, self.ref) or self._origin()
        return BranchView(self.repo, tip) if tip else None

    @contextlib.contextmanager
    def changing(self) -> Iterator[BranchEdit]:
        """The only one who changes the branch. What is not committed when it ends is given up.

        Raises Refused where the branch cannot be gitorch's, Busy where somebody else holds it for long.
        """
        with locked(self.repo):
            change = BranchEdit(self.repo, self.ref, self._brought_back(), self._recent)
            try:
                yield change
            finally:
                change.close()
                self._changes += 1
                if self._changes % _CHANGES_BEFORE_FREE == 0:
                    # libgit2 keeps every pack open that it ever read, also those that a repack has replaced.
                    self.repo.pygit.free()

    def _records(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(names), _RECORDS_AT_ONCE):
            for data in read_objects(self.repo.root, names[start : start + _RECORDS_AT_ONCE]):
                if record := _parsed(data):
                    yield record

    def _runs(self, tip: str | None) -> list[tuple[str, str]]:
        """Every run's id and tree."""
        top = read_objects(self.repo.root, [f"{tip}:runs"], "tree")[0] if tip else None
        fans = [entry.oid.hex() for entry in parse_tree(top or b"").values()]
        return [
            (run, entry.oid.hex())
            for fan in read_objects(self.repo.root, fans, "tree")
            for run, entry in (
                (os.fsdecode(name), entry) for name, entry in parse_tree(fan or b"").items()
            )
            if is_run_id(run)
        ]

    def _brought_back(self) -> str | None:
        """The branch's tip, once it holds at least what it held when it was last seen."""
        tip, kept = read_ref(self.repo, self.ref), read_ref(self.repo, KEPT)
        if tip is None:
            return self._begun(kept)
        if kept is None:
            self._require_ours(tip)
        if kept in (None, tip) or self.repo.pygit.descendant_of(tip, kept):
            return tip
        if self.repo.pygit.descendant_of(kept, tip):
            move_ref(self.repo, self.ref, tip, kept, "gitorch: bring back")
            return kept
        # Two histories: the other one is kept beside, under its own name, until they are united.
        move_ref(self.repo, f"refs/gitorch/kept/{kept}", None, kept, "gitorch: keep aside")
        return tip

    def _begun(self, kept: str | None) -> str | None:
        """The tip of a branch that was not there: where it starts from, if there is anything."""
        origin = self._origin()
        if origin is None:
            self._require_free_name()
            return None
        if kept is None:
            self._require_ours(origin)
        move_ref(self.repo, self.ref, None, origin, "gitorch: bring back")
        return origin

    def _origin(self) -> str | None:
        """Where a branch that is not there starts from: what was kept of it, else what was fetched."""
        patterns = (KEPT, f"refs/remotes/origin/{self.name}", f"refs/remotes/*/{self.name}")
        lines = call_git_lines(
            self.repo.root, "for-each-ref", "--format=%(refname) %(objectname)", *patterns
        )
        found = dict(line.split(" ") for line in lines)
        return next((found[name] for name in (*patterns[:2], *found) if name in found), None)

    def _require_free_name(self) -> None:
        if not call_git_success(self.repo.root, "check-ref-format", self.ref):
            raise Refused(
                f"gitorch.branch is {self.name!r}, which cannot be a branch",
                "git config gitorch.branch NAME",
            )
        parts = self.ref.split("/")
        above = ["/".join(parts[:length]) for length in range(3, len(parts))]
        for name in call_git_lines(
            self.repo.root, "for-each-ref", "--format=%(refname)", *above, f"{self.ref}/"
        ):
            if name in above or name.startswith(f"{self.ref}/"):
                other = name.removeprefix("refs/heads/")
                raise Refused(
                    f"the branch {other!r} leaves no room for the results branch {self.name!r}",
                    f"git branch -m {other} NEW-NAME, or git config gitorch.branch NAME",
                )

    def _require_ours(self, tip: str) -> None:
        """A branch that this clone never wrote to may be anybody's."""
        odb = self.repo.pygit.odb
        names = set(parse_tree(odb.read(_tree_of(odb.read(tip)[1]).hex())[1]))
        if not names <= OWN_NAMES or names == {b"README.md"}:
            raise Refused(
                f"the branch {self.name!r} holds something else than results of gitorch",
                "git config gitorch.branch NAME chooses another branch",
            )


class BranchView:
    """The branch at one commit."""

    def __init__(self, repo: Repository, tip: str) -> None:
        self._repo = repo
        self._tree = _tree_of(self.read(bytes.fromhex(tip)))
        self.tip = tip

    def entry(self, path: str) -> TreeEntry | None:
        """What lies at `path`."""
        return find(os.fsencode(path), self._tree, Edits(), self.read)

    def read(self, oid: bytes) -> bytes:
        """The data of an object."""
        data: bytes = self._repo.pygit.odb.read(oid.hex())[1]
        return data

    def record(self, run: str) -> dict[str, Any] | None:
        entry = self.entry(RunPaths.of(run).record)
        return _parsed(self.read(entry.oid)) if entry else None


class BranchEdit:
    """Edits to the branch that become visible together, when they are committed. Made by `ResultsBranch.changing`."""

    def __init__(self, repo: Repository, ref: str, tip: str | None, recent: ObjectCache) -> None:
        self._repo = repo
        self._ref = ref
        self._tip = tip
        self._recent = recent
        self._edits = Edits()
        self._pack: PackWriter | None = None
        if tip is None:
            self.put("README.md", README.encode())

    @property
    def tip(self) -> str | None:
        """The commit that this builds upon; after `commit`, the one it made."""
        return self._tip

    def read(self, path: str) -> bytes | None:
        """The file at `path`, what is not yet committed included."""
        entry = find(os.fsencode(path), self._tree(), self._edits, self._read)
        return None if entry is None else self._read(entry.oid)

    def record(self, run: str) -> dict[str, Any] | None:
        return _parsed(self.read(RunPaths.of(run).record))

    def put(self, path: str, data: bytes | Stored | TreeEntry, mode: int = FILE) -> None:
        """Put a file at `path`; a stored artifact brings its own mode, and so does what the branch has elsewhere."""
        if isinstance(data, TreeEntry):
            self._edits.put(os.fsencode(path), data)
            return
        if isinstance(data, Stored):
            mode, data = data.mode, data.data
        with _explained():
            self._edits.put(
                os.fsencode(path), TreeEntry(mode, self._packing().add(ObjectType.BLOB, data))
            )

    def put_record(self, record: dict[str, Any]) -> None:
        with _explained():
            written = self._add(ObjectType.BLOB, render_json(record))
        self._edits.put(os.fsencode(RunPaths.of(record["id"]).record), TreeEntry(FILE, written))

    def remove(self, path: str) -> None:
        """Remove the file or directory at `path`, if it is there."""
        self._edits.remove(os.fsencode(path))

    def commit(self, subject: str, trailers: Sequence[tuple[str, str]] = ()) -> str:
        """Commit what was put and removed, and give the branch's tip; durable when this returns.

        Where nothing differs from the branch there is no new commit, so that a step can be repeated. Raises Busy.
        """
        published: list[KeptPack] = []
        try:
            with _explained():
                while (tip := self._committed(_message(subject, trailers), published)) is None:
                    self._tip = read_ref(
                        self._repo, self._ref
                    )  # somebody's own git moved it: once more, on top
        finally:
            for pack in published:
                pack.release()
        self._tip, self._edits = tip, Edits()
        return tip

    def close(self) -> None:
        """Give up what is not committed."""
        if self._pack:
            self._pack.close()
        self._pack = None

    def _committed(self, message: bytes, published: list[KeptPack]) -> str | None:
        """The new tip, or None where the branch is no longer at the one this built upon."""
        base = self._tree()
        tree = self._edits.apply(base, self._read, lambda data: self._add(ObjectType.TREE, data))
        if tree == base and self._tip:
            return self._tip
        tree = tree or self._add(ObjectType.TREE, b"")
        commit = self._add(
            ObjectType.COMMIT, _render_commit(tree, self._tip, self._repo, message)
        ).hex()
        published.append(self._packing().publish())
        self.close()
        if not move_ref(self._repo, self._ref, self._tip, commit, "gitorch"):
            return None
        move_ref(self._repo, KEPT, read_ref(self._repo, KEPT), commit, "gitorch")
        return commit

    def _tree(self) -> bytes | None:
        """The tree at the tip."""
        if self._tip is None:
            return None
        return _tree_of(self._read(bytes.fromhex(self._tip)))

    def _read(self, oid: bytes) -> bytes:
        data = self._recent.get(oid)
        if data is None and self._pack:
            data = self._pack.read(oid)
        return self._repo.pygit.odb.read(oid.hex())[1] if data is None else data

    def _add(self, kind: ObjectType, data: bytes) -> bytes:
        """The oid of an object that the next change reads again."""
        oid = self._packing().add(kind, data)
        self._recent.put(oid, data)
        return oid

    def _packing(self) -> PackWriter:
        if self._pack is None:
            self._pack = PackWriter(self._repo.common_dir)
        return self._pack


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """A full disk and the like is nobody's bug."""
    try:
        yield
    except OSError as error:
        raise GitorchError(
            f"the results cannot be written: {error}", "make room, then try again"
        ) from error


def _parsed(data: bytes | None) -> dict[str, Any] | None:
    """A record. Raises GitorchError where it is none: nobody writes them but gitorch, and people with git."""
    try:
        return None if data is None else json.loads(data)
    except ValueError as error:
        raise GitorchError(
            f"a record on the results branch cannot be read: {error}", "gitorch doctor"
        ) from error


def _tree_of(commit: bytes) -> bytes:
    """The oid in a commit's first line."""
    return bytes.fromhex(commit[len(b"tree ") : len(b"tree ") + 40].decode())


def _message(subject: str, trailers: Sequence[tuple[str, str]]) -> bytes:
    lines = [" ".join(subject.split()), ""] + [
        f"{key}: {' '.join(value.split())}" for key, value in trailers
    ]
    return ("\n".join(lines).strip() + "\n").replace("\0", "").encode(errors="replace")


def _render_commit(tree: bytes, parent: str | None, repo: Repository, message: bytes) -> bytes:
    name, email = repo.signature()
    now = time.time()
    who = f"{name} <{email}> {int(now)} {time.strftime('%z', time.localtime(now))}"
    header = [
        f"tree {tree.hex()}",
        *([f"parent {parent}"] if parent else []),
        f"author {who}",
        f"committer {who}",
    ]
    return "\n".join(header).encode(errors="replace") + b"\n\n" + message

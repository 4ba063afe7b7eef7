"""The transfer of code and files to a host without a shared file system, and back.

What a host has is transferred once: commits, programs and the contents of files are known there by
their digests. Large files go in parts, so that neither side needs the memory for a whole file.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from gitorch.engines.dask import files, programs
from gitorch.engines.dask.cluster import Cluster, DaskWorker, HostRefused
from gitorch.engines.dask.files import Entry, Tree
from gitorch.engines.dask.programs import PROGRAMS
from gitorch.engines.dask.watch import GROWING, PART, append, opened, size_of
from gitorch.tools.files import resolved

# The files that describe an attempt to its task, in which paths are those of the host.
_DESCRIPTIONS = ("config.json", "inputs.json", "params.json")
# Files up to this size go with the request for which the host needs them.
_SMALL = 64 << 10
_MOST_SMALL = 1 << 20  # bytes of all those
# A host that lacks something lacks first the commit, and then the contents of files.
_ROUNDS = 4


class Place(NamedTuple):
    """A run on a host: the worker of Dask there, and the names and paths of the run's files.

    `run` is the run directory here, and `there` the one on the host. `attempt` is relative to both.
    """

    worker: DaskWorker
    repository: str
    run: Path
    there: str
    attempt: str

    @property
    def id(self) -> str:
        return self.run.name


class Transfer:
    """Transfers of one attempt between this machine and one place."""

    def __init__(self, cluster: Cluster, place: Place) -> None:
        self._cluster = cluster
        self.place = place
        # The links that are data itself on the host.
        self._shipped: set[str] = set()
        # The files before the attempt, as they are here.
        self._before: dict[str, Tree] = {}

    @property
    def directory(self) -> str:
        """Return the attempt's directory on the host."""
        return f"{self.place.there}/{self.place.attempt}"

    @property
    def programs(self) -> str:
        """Return the directory of the programs on the host."""
        return self.here_to_there(PROGRAMS)

    def ask(self, function: str, *arguments: Any) -> Any:
        return self._cluster.ask(
            self.place.worker, function, self.place.repository, *arguments
        )

    # -- to the host

    def prepare(
        self,
        commit: str,
        submodules: Sequence[str],
        before: Tree,
        ship: Sequence[str],
    ) -> None:
        """Bring the files of the run on the host to the state that they have here.

        `before` has the differences of the worktree here from the commit. Raises HostRefused if
        data that is linked is neither on the host nor shipped.
        """
        run = self.place.run
        sources: dict[str, Path | bytes] = {}
        self._before = {"tree": before, "output": files.walk(run / "output")}
        tree, expected = self._with_shipped(before, ship, sources)
        trees = {
            "tree": tree,
            "output": self._before["output"],
            "attempt": self._descriptions(sources),
        }
        for name in ("tree", "output"):
            for path, entry in trees[name].items():
                if entry[0] == "file":
                    sources.setdefault(entry[3], run / name / path)
        names = (self.place.id, self.place.attempt)
        small = _small_contents(trees, sources)
        code = (programs.digest(), commit, submodules)
        request = (*names, *code, trees, small, expected)
        lacking = self.ask("prepare", *request)
        if not lacking:
            return
        with self._cluster.supply_of(self.place.worker):
            # Another attempt may have brought it meanwhile.
            for _ in range(_ROUNDS):
                lacking = self.ask("prepare", *request)
                if not lacking:
                    return
                self._supply(lacking, commit, sources)
        raise HostRefused(f"{self.place.worker.host}: files were lost on the way")

    def _supply(
        self,
        lacking: Mapping[str, Any],
        commit: str,
        sources: Mapping[str, Path | bytes],
    ) -> None:
        """Send what the host lacks."""
        host = self.place.worker.host
        if "missing" in lacking:
            raise HostRefused(
                f"{host} does not have {lacking['missing']} as it is here",
                "copy it there, or have it sent: gitorch: {ship: [GLOB]}",
            )
        if "programs" in lacking:
            name = self._send(io.BytesIO(programs.archive()))
            self.ask("take_program", name, programs.digest())
        if "commits" in lacking:
            self._send_commit(self.place.run / "tree", commit, lacking["commits"])
        for digest in lacking.get("contents", ()):
            self._send_content(digest, sources[digest])

    def _send_commit(self, tree: Path, commit: str, theirs: Sequence[str]) -> None:
        """Send the objects of a commit that the host lacks, without its history."""
        with tempfile.TemporaryFile() as pack:
            _pack(tree, commit, theirs, pack)
            pack.seek(0)
            name = self._send(pack)
        self.ask("take_pack", name, commit)

    def here_to_there(self, text: str) -> str:
        """Return a text with the paths of the host."""
        text = text.replace(str(self.place.run), self.place.there)
        base = self.place.there.split("/runs/")[0]
        return text.replace(PROGRAMS, f"{base}/programs/{programs.digest()}")

    def _descriptions(self, sources: dict[str, Path | bytes]) -> Tree:
        described: Tree = {}
        for name in _DESCRIPTIONS:
            path = self.place.run / self.place.attempt / name
            if path.exists():
                data = self.here_to_there(path.read_text()).encode()
                digest = hashlib.sha256(data).hexdigest()
                sources[digest] = data
                described[name] = ("file", 0o644, len(data), digest)
        return described

    def _with_shipped(
        self, tree: Tree, ship: Sequence[str], sources: dict[str, Path | bytes]
    ) -> tuple[Tree, Tree]:
        """Return the tree with the data itself in place of links to shipped data.

        Return also the files, by absolute path, to which the other links lead: the host must have
        them.
        """
        found: Tree = {}
        expected: Tree = {}
        for path, entry in tree.items():
            target = Path(entry[1]) if entry[0] == "link" else None
            if target is None or not target.is_absolute():
                found[path] = entry
            elif any(fnmatch.fnmatchcase(path, glob) for glob in ship):
                self._shipped.add(path)
                for below, data in data_at(target).items():
                    inner = str(PurePosixPath(path, below))
                    found[inner] = data
                    if data[0] == "file":
                        sources[data[3]] = target / below
            else:
                found[path] = entry
                for below, data in data_at(target).items():
                    expected[str(target / below)] = data
        return found, expected

    def _send_content(self, digest: str, source: Path | bytes) -> None:
        if isinstance(source, bytes):
            name = self._send(io.BytesIO(source))
        else:
            with source.open("rb") as file:
                name = self._send(file)
        self.ask("keep_content", name, digest)

    def _send(self, file: IO[bytes]) -> str:
        """Send a file in parts, and return its name among what the host has received."""
        name = secrets.token_hex(8)
        offset = 0
        while True:
            data = file.read(PART)
            if not data and offset:
                return name
            self.ask("receive", name, offset, data)
            offset += len(data)
            if not data:
                return name

    # -- back

    def fetch_results(self, left: Mapping[str, Any]) -> None:
        """Bring the files of the run here to the state that the attempt has `left` on the host."""
        run, attempt = self.place.run, self.place.attempt
        trees, contents = left["trees"], left["contents"]
        before = self._without_shipped(self._before["tree"])
        tree = self._without_shipped(trees["tree"])
        self._replace("tree", tree, before, contents)
        self._replace("output", trees["output"], self._before["output"], contents)
        kept = dict(trees["attempt"])
        status = {"status.json": kept.pop("status.json", ("gone",))}
        for name in GROWING:
            self._complete(name, kept.get(name), contents)
        own = files.walk(run / attempt)
        self._fetch(attempt, kept, own, contents)
        self._translate_used(run / attempt / "used")
        # Last: it says that the others are whole.
        self._fetch(attempt, status, {}, contents)

    def _complete(
        self, name: str, entry: Entry | None, contents: Mapping[str, bytes]
    ) -> None:
        """Fetch what was added to a file whose beginning is here already."""
        if entry is None or entry[0] != "file":
            return
        path = self.place.run / self.place.attempt / name
        _, _, size, digest = entry
        offset = size_of(path)
        while offset < size:
            if digest in contents:
                data = contents[digest][offset:]
            else:
                there = f"{self.place.attempt}/{name}"
                part = min(PART, size - offset)
                data = self.ask("read", self.place.id, there, offset, part)
            if not data:
                return  # the comparison of the digests finds it
            append(path, offset, data)
            offset += len(data)

    def _without_shipped(self, tree: Tree) -> Tree:
        """Return the tree without data that was shipped: it stays a link here."""
        found = {}
        for path, entry in tree.items():
            above = {str(parent) for parent in PurePosixPath(path).parents}
            if not self._shipped & {path, *above}:
                found[path] = entry
        return found

    def _replace(
        self, name: str, entries: Tree, before: Tree, contents: Mapping[str, bytes]
    ) -> None:
        """Bring the files in a directory of the run to this state."""
        self._fetch(name, entries, before, contents)
        for path in before.keys() - entries.keys():
            if before[path][0] in ("file", "link"):
                (self.place.run / name / path).unlink(missing_ok=True)

    def _translate_used(self, path: Path) -> None:
        """Give the list of used files the paths of this machine."""
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            there, here = self.place.there.encode(), str(self.place.run).encode()
            path.write_bytes(data.replace(there, here))

    def _fetch(
        self,
        name: str,
        entries: Tree,
        before: Mapping[str, Entry],
        contents: Mapping[str, bytes],
    ) -> None:
        base = self.place.run / name
        for path, entry in entries.items():
            if before.get(path) == tuple(entry):
                continue
            place = _inside(base, path)
            if entry[0] == "gone":
                place.unlink(missing_ok=True)
            elif entry[0] == "directory":
                place.mkdir(exist_ok=True)
            elif entry[0] == "link":
                place.unlink(missing_ok=True)
                place.symlink_to(entry[1])
            else:
                self._fetch_file(f"{name}/{path}", place, entry, contents)

    def _fetch_file(
        self, path: str, place: Path, entry: Entry, contents: Mapping[str, bytes]
    ) -> None:
        _, mode, size, digest = entry
        aside = place.with_name(f".{secrets.token_hex(4)}.part")
        received = hashlib.sha256()
        with opened(aside, os.O_EXCL) as file:
            offset = 0
            while offset < size:
                data = contents.get(digest, b"")
                if digest not in contents:
                    part = min(PART, size - offset)
                    data = self.ask("read", self.place.id, path, offset, part)
                if not data:
                    break
                file.write(data)
                received.update(data)
                offset += len(data)
        if received.hexdigest() != digest:
            aside.unlink()
            raise HostRefused(
                f"{self.place.worker.host}: {path} changed on the way"
            )
        aside.chmod(mode)
        aside.rename(place)


def _small_contents(
    trees: Mapping[str, Tree], sources: Mapping[str, Path | bytes]
) -> dict[str, bytes]:
    """Return the contents of small files by their digests."""
    contents: dict[str, bytes] = {}
    room = _MOST_SMALL
    for entries in trees.values():
        for entry in entries.values():
            if entry[0] != "file" or entry[2] > min(_SMALL, room):
                continue
            source = sources[entry[3]]
            data = source if isinstance(source, bytes) else source.read_bytes()
            contents[entry[3]] = data
            room -= len(data)
    return contents


def order_there(transfer: Transfer, document: Mapping[str, Any]) -> Any:
    """Return the JSON of an order with the paths of the host."""
    return json.loads(transfer.here_to_there(json.dumps(document)))


def data_at(target: Path) -> Tree:
    """Return the files at the end of a link: one with the path ".", or those of a directory."""
    if target.is_dir():
        return files.walk(target)
    entry = files.entry_of(resolved(target)) if target.exists() else None
    return {} if entry is None else {".": entry}


def _inside(base: Path, path: str) -> Path:
    """Return the place of a file that a host names. It does not lead out of `base`."""
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or not parts:
        raise HostRefused(f"a host has sent the path {path!r}")
    place = base
    for part in parts[:-1]:
        place = place / part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)
    return place / parts[-1]


def _pack(tree: Path, commit: str, theirs: Sequence[str], pack: IO[bytes]) -> None:
    """Write a pack of a commit without its parents, for a repository that has the commits `theirs`.

    What has changed is sent as a difference from what these commits have.
    """
    known = _known_commits(tree, theirs)
    # Git looks for bases of differences in the trees of `known` only in a shallow repository. If
    # there are none, it would look for them among the files of the commit, which takes four times
    # as long and saves little.
    how = ["--revs", "--thin", "--shallow", "-q", "--stdout"]
    if not known:
        how.append("--window=0")
    with tempfile.NamedTemporaryFile("w") as shallow:
        shallow.write(_lines([commit, *known]))
        shallow.flush()
        git = ["git", "-C", str(tree), "--shallow-file", shallow.name]
        without = [f"^{oid}" for oid in known]
        subprocess.run(
            [*git, "pack-objects", *how],
            input=_lines([commit, *without]).encode(),
            stdout=pack,
            stderr=subprocess.PIPE,
            check=True,
        )


def _lines(words: Sequence[str]) -> str:
    return "".join(f"{word}\n" for word in words)


def _known_commits(tree: Path, commits: Sequence[str]) -> list[str]:
    """Return those of the commits that are in this repository."""
    done = subprocess.run(
        ["git", "-C", str(tree), "cat-file", "--batch-check=%(objectname)"],
        input=_lines(commits).encode(),
        capture_output=True,
        check=True,
    )
    found = set(done.stdout.decode().split("\n"))
    return [oid for oid in commits if oid in found]

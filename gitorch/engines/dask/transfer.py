"""The transfer of code and files to a host without a shared file system, and back.

What a host has is transferred once: commits, programs and the contents of files are known there by
their digests. Everything goes in parts of `PART` bytes, so that neither side needs the memory for a
whole file.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import secrets
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import gitorch
from gitorch.engines.dask import files
from gitorch.engines.dask.cluster import Cluster, DaskWorker, HostRefused
from gitorch.engines.dask.files import Entry, Tree
from gitorch.model.run.outcome import Outcome

PART = 4 << 20  # bytes
_PACKAGE = Path(gitorch.__file__).parent
PROGRAMS = str(_PACKAGE.parent)  # on a host that shares the file system
# The parts of gitorch that an attempt needs.
_PARTS = ("*.py", "engines/**/*.py", "model/**/*.py", "tools/*.py", "runner/**/*")
# The files that describe an attempt to its task, in which paths are those of the host.
_DESCRIPTIONS = ("config.json", "inputs.json", "params.json")
# The files that grow while an attempt runs.
GROWING = ("log.txt", "events.jsonl")


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


@lru_cache(maxsize=1)
def programs() -> tuple[str, bytes]:
    """Return the programs of attempts as an archive, and its digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as tar:
        for pattern in _PARTS:
            for path in sorted(_PACKAGE.glob(pattern)):
                if path.is_file() and path.suffix != ".pyc":
                    tar.add(path, f"gitorch/{path.relative_to(_PACKAGE)}")
    digest = hashlib.sha256()
    with tarfile.open(fileobj=io.BytesIO(buffer.getvalue())) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            digest.update(member.name.encode() + b"\0")
            digest.update(b"" if file is None else file.read())
    return digest.hexdigest()[:32], buffer.getvalue()


class Transfer:
    """Transfers between this machine and one place."""

    def __init__(self, cluster: Cluster, place: Place) -> None:
        self._cluster = cluster
        self._place = place
        self._shipped: set[str] = (
            set()
        )  # the links that are data itself on the host

    def ask(self, function: str, *arguments: Any) -> Any:
        return self._cluster.ask(
            self._place.worker, function, self._place.repository, *arguments
        )

    # -- to the host

    def send_programs(self) -> str:
        """Send the programs of attempts, if the host lacks them. Return their directory there."""
        digest, archive = programs()
        if not self.ask("has_program", digest):
            name = self._send(io.BytesIO(archive))
            self.ask("take_program", name, digest)
        return self.here_to_there(PROGRAMS)

    def send_commit(self, tree: Path, commit: str) -> None:
        """Send the objects of a commit that the host lacks, without its history."""
        theirs = self.ask("commits")
        if commit in theirs:
            return
        known = [
            other
            for other in theirs
            if _git_succeeds(tree, "cat-file", "-e", other)
        ]
        without = [f"^{other}^{{tree}}" for other in known]
        wanted = [f"{commit}^{{tree}}", *without]
        listed = _git(tree, "rev-list", "--objects", "--no-object-names", *wanted)
        with tempfile.TemporaryFile() as pack:
            subprocess.run(
                ["git", "-C", str(tree), "pack-objects", "-q", "--stdout"],
                input=f"{commit}\n".encode() + listed,
                stdout=pack,
                check=True,
            )
            pack.seek(0)
            name = self._send(pack)
        self.ask("take_pack", name, commit)

    def lay_out(self, commit: str, ship: Sequence[str]) -> None:
        """Bring the files of the run on the host to the state that they have here.

        Raises HostRefused if data that is linked is neither on the host nor shipped.
        """
        run = self._place.run
        sources: dict[str, Path | bytes] = {}
        tree = self._with_shipped(files.delta(run / "tree"), ship, sources)
        output = files.walk(run / "output")
        for name, entries in (("tree", tree), ("output", output)):
            for path, entry in entries.items():
                if entry[0] == "file":
                    sources.setdefault(entry[3], run / name / path)
        trees = {
            "tree": tree,
            "output": output,
            "attempt": self._descriptions(sources),
        }
        arguments = (self._place.id, self._place.attempt, commit, trees)
        lacking = self.ask("lay_out", *arguments)
        for digest in lacking:
            self._send_content(digest, sources[digest])
        if lacking and self.ask("lay_out", *arguments):
            raise HostRefused(
                f"{self._place.worker.host}: files were lost on the way"
            )

    def here_to_there(self, text: str) -> str:
        """Return a text with the paths of the host."""
        text = text.replace(str(self._place.run), self._place.there)
        digest, _ = programs()
        base = self._place.there.split("/runs/")[0]
        return text.replace(PROGRAMS, f"{base}/programs/{digest}")

    def _descriptions(self, sources: dict[str, Path | bytes]) -> Tree:
        described: Tree = {}
        for name in _DESCRIPTIONS:
            path = self._place.run / self._place.attempt / name
            if path.exists():
                data = self.here_to_there(path.read_text()).encode()
                digest = hashlib.sha256(data).hexdigest()
                sources[digest] = data
                described[name] = ("file", 0o644, len(data), digest)
        return described

    def _with_shipped(
        self, tree: Tree, ship: Sequence[str], sources: dict[str, Path | bytes]
    ) -> Tree:
        """Return the tree with the data itself in place of links to shipped data."""
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
        missing = self._cluster.ask(self._place.worker, "lacks", expected)
        if missing:
            raise HostRefused(
                f"{self._place.worker.host} does not have {missing[0]} as it is here",
                "copy it there, or have it sent: gitorch: {ship: [GLOB]}",
            )
        return found

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

    def request_end(self, token: str, outcome: Outcome) -> None:
        """Ask the attempt to end with this outcome."""
        place = self._place
        self.ask("request_end", place.id, place.attempt, token, outcome.to_json())

    # -- back

    def fetch_news(self) -> None:
        """Fetch what was added to the log and the events of the attempt."""
        directory = self._place.run / self._place.attempt
        while True:
            offsets = {name: _size(directory / name) for name in GROWING}
            added = self.ask(
                "news", self._place.id, self._place.attempt, offsets, PART
            )
            for name, data in added.items():
                if data:
                    with _opened(directory / name, os.O_APPEND) as file:
                        file.write(data)
            if not any(len(data) == PART for data in added.values()):
                return

    def fetch_results(self) -> None:
        """Bring the files of the run here to the state that the attempt has left on the host."""
        run = self._place.run
        trees = self.ask("results", self._place.id, self._place.attempt)
        tree = self._without_shipped(trees["tree"])
        self._replace(
            "tree", tree, self._without_shipped(files.delta(run / "tree"))
        )
        self._replace("output", trees["output"], files.walk(run / "output"))
        attempt = self._place.attempt
        own = files.walk(run / attempt)
        kept = {}
        for path, entry in trees["attempt"].items():
            if path not in _DESCRIPTIONS and not path.startswith("taken."):
                kept[path] = entry
        status = {"status.json": kept.pop("status.json", ("gone",))}
        self._fetch(attempt, kept, own)
        self._translate_used(run / attempt / "used")
        self._fetch(attempt, status, {})  # last: it says that the others are whole

    def _without_shipped(self, tree: Tree) -> Tree:
        """Return the tree without data that was shipped: it stays a link here."""
        found = {}
        for path, entry in tree.items():
            above = {str(parent) for parent in PurePosixPath(path).parents}
            if not self._shipped & {path, *above}:
                found[path] = entry
        return found

    def _replace(self, name: str, entries: Tree, before: Tree) -> None:
        """Bring the files in a directory of the run to this state."""
        self._fetch(name, entries, before)
        for path in before.keys() - entries.keys():
            if before[path][0] != "gone":
                (self._place.run / name / path).unlink(missing_ok=True)

    def _translate_used(self, path: Path) -> None:
        """Give the list of used files the paths of this machine."""
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            there, here = self._place.there.encode(), str(self._place.run).encode()
            path.write_bytes(data.replace(there, here))

    def _fetch(self, name: str, entries: Tree, before: Mapping[str, Entry]) -> None:
        base = self._place.run / name
        for path, entry in entries.items():
            if before.get(path) == tuple(entry):
                continue
            place = _inside(base, path)
            if entry[0] == "gone":
                place.unlink(missing_ok=True)
            elif entry[0] == "link":
                place.unlink(missing_ok=True)
                place.symlink_to(entry[1])
            else:
                self._fetch_file(f"{name}/{path}", place, entry)

    def _fetch_file(self, path: str, place: Path, entry: Entry) -> None:
        _, mode, size, digest = entry
        aside = place.with_name(f".{secrets.token_hex(4)}.part")
        received = hashlib.sha256()
        with _opened(aside, os.O_EXCL) as file:
            offset = 0
            while offset < size:
                data = self.ask(
                    "read", self._place.id, path, offset, min(PART, size - offset)
                )
                if not data:
                    break
                file.write(data)
                received.update(data)
                offset += len(data)
        if received.hexdigest() != digest:
            aside.unlink()
            raise HostRefused(
                f"{self._place.worker.host}: {path} changed on the way"
            )
        aside.chmod(mode)
        aside.rename(place)


def order_there(transfer: Transfer, document: Mapping[str, Any]) -> Any:
    """Return the JSON of an order with the paths of the host."""
    return json.loads(transfer.here_to_there(json.dumps(document)))


def data_at(target: Path) -> Tree:
    """Return the files at the end of a link: one with the path ".", or those of a directory."""
    if target.is_dir():
        return files.walk(target)
    entry = files.entry_of(target.resolve()) if target.exists() else None
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


def _opened(path: Path, flags: int) -> IO[bytes]:
    whole = (
        os.O_WRONLY
        | os.O_CREAT
        | os.O_NOFOLLOW
        | os.O_NONBLOCK
        | os.O_CLOEXEC
        | flags
    )
    return os.fdopen(os.open(path, whole, 0o600), "wb")


def _size(path: Path) -> int:
    return path.lstat().st_size if os.path.lexists(path) else 0


def _git(directory: Path, *words: str) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(directory), *words], capture_output=True, check=True
    )
    return done.stdout


def _git_succeeds(directory: Path, *words: str) -> bool:
    done = subprocess.run(
        ["git", "-C", str(directory), *words], capture_output=True, check=False
    )
    return done.returncode == 0

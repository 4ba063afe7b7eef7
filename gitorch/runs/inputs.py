"""The data that tasks read: found and hashed when a run is readied, and looked at again before each
attempt.

A relative input is what the run's worktree has of it: files of the pinned commit, and what `link`
leads to. Where it has nothing, the main worktree's files are meant, which a task finds only if it
is told where they are.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gitorch.errors import GitorchError
from gitorch.git.code_digest import TreeFile
from gitorch.git.store.objects import read_objects
from gitorch.model.run.inputs import entries_of
from gitorch.model.run.payload import Payload
from gitorch.model.run.record import Data, Record
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.text.globs import is_glob, matcher
from gitorch.model.text.spelling import nearest
from gitorch.runs.contents import (
    Content,
    Place,
    Tell,
    Unusable,
    contents_of_blobs,
    contents_of_files,
    unheard,
)
from gitorch.runs.site import Site
from gitorch.tools.globbing import named

LISTED = 50  # files of one input that have an entry each; more have one together
_DIGITS = 12  # of a digest in a message
_LEADS_NOWHERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_HOPS = 8  # links of the commit that lead to links


class InputChanged(GitorchError):
    """An input that is not as it was when the run was readied."""

    kind = "input"

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; restore it and retry, or gitorch ready makes a run with the data as it is now"
        )


class FoundInputs(Struct, frozen=True, kw_only=True):
    """The files that an input names; `is_out_of_sight`: none of them is where a run's worktree has
    it.
    """

    files: Mapping[str, Place]
    is_out_of_sight: bool


class Inputs:
    """The inputs of runs at one commit, as they are now: each looked for once, and each file hashed
    once.
    """

    def __init__(self, site: Site, tree: str, link: Sequence[str], tell: Tell = unheard) -> None:
        self._site = site
        self._tell = tell
        self._tree = tree
        self._link = tuple(link)
        self._root = site.repository.main_root
        self._found: dict[str, FoundInputs] = {}
        self._contents: dict[Place, Content | Unusable] = {}
        self._data: dict[str, tuple[Data, ...]] = {}

    def find(self, pattern: str) -> FoundInputs:
        """Raises Unusable where there is nothing, or something else than files that can be read."""
        if pattern not in self._found:
            try:
                self._found[pattern] = self._look(pattern)
            except OSError as error:
                raise Unusable(f"{error.filename} cannot be read: {error.strerror}") from None
            except RecursionError:
                raise Unusable(f"'{pattern}' holds directories that are too deep") from None
        return self._found[pattern]

    def hash(self, patterns: Iterable[str]) -> None:
        """Read the files of all these inputs together; without it `data` reads those of each by
        themselves.
        """
        places = {place for pattern in patterns for place in self.find(pattern).files.values()}
        new = places - self._contents.keys()
        self._contents |= contents_of_blobs(
            self._site, [place for place in new if isinstance(place, str)]
        )
        files = [place for place in new if isinstance(place, Path)]
        self._contents |= contents_of_files(self._site, files, self._tell)

    def data(self, pattern: str) -> tuple[Data, ...]:
        """What an input holds. Raises Unusable."""
        if pattern not in self._data:
            self._data[pattern] = self._described(pattern)
        return self._data[pattern]

    def data_of(self, spec: RunSpec) -> tuple[Data, ...]:
        """What all tasks of a run read, each file once. Raises Unusable."""
        self.hash(spec.reads)
        return tuple(
            {entry.path: entry for name in spec.reads for entry in self.data(name)}.values()
        )

    def content(self, place: Place) -> Content:
        """Of a file that was hashed. Raises Unusable where it could not be."""
        found = self._contents[place]
        if isinstance(found, Unusable):
            raise found
        return found

    def _described(self, pattern: str) -> tuple[Data, ...]:
        self.hash([pattern])
        files = self.find(pattern).files
        contents = {name: self.content(files[name]) for name in sorted(files)}
        if len(contents) <= LISTED:
            return tuple(
                Data(path=name, size=found.size, sha256=found.sha256)
                for name, found in contents.items()
            )
        lines = "".join(f"{found.sha256}  {name}\n" for name, found in contents.items())
        return (
            Data(
                path=pattern,
                size=sum(found.size for found in contents.values()),
                sha256=hashlib.sha256(os.fsencode(lines)).hexdigest(),
                files=len(contents),
            ),
        )

    def _look(self, pattern: str) -> FoundInputs:
        is_out_of_sight = False
        if pattern.startswith("/"):
            files: dict[str, Place] = dict(_on_disk(Path("/"), pattern[1:], "/"))
        elif pattern.startswith("~/"):
            files = dict(_on_disk(Path.home(), pattern[2:], "~/"))
        else:
            files = {**dict(self._linked(pattern)), **self._committed(pattern)}
            if not files:
                self._require_outside_submodules(pattern)
                files = dict(_on_disk(self._root, pattern, ""))
                is_out_of_sight = True
        if not files:
            raise Unusable(*self._nothing(pattern))
        for name, place in files.items():
            _require_file(name, place)
        return FoundInputs(files=files, is_out_of_sight=is_out_of_sight)

    def _nothing(self, pattern: str) -> tuple[str, str | None]:
        if is_glob(pattern):
            return f"'{pattern}' names no file", None
        path = self._root / Path(pattern).expanduser()
        if path.is_dir():
            return f"'{pattern}' holds no file", None
        beside = [entry.name for entry in os.scandir(path.parent)] if path.parent.is_dir() else []
        if near := nearest(path.name, beside):
            return (
                f"there is no '{pattern}'",
                f"did you mean '{posixpath.join(posixpath.dirname(pattern), near)}'?",
            )
        return (
            f"there is no '{pattern}'",
            f"a relative path begins at the commit's root, or at {self._root}",
        )

    def _linked(self, pattern: str) -> Iterator[tuple[str, Path]]:
        """What a run sees of an input through the links into its worktree."""

        def leads_there(name: str) -> bool:
            return any(_is_in(link, name) or _is_in(name, link) for link in self._link)

        for name in named(self._root, _head(pattern), enters=leads_there) if self._link else ():
            for link in self._link:
                if _is_in(name, link):
                    yield from _below(self._root, pattern, name)
                elif _is_in(link, name):
                    yield from _below(self._root, pattern, link)

    def _committed(self, pattern: str) -> dict[str, Place]:
        is_named = matcher(pattern).fullmatch
        found: dict[str, Place] = {}
        for file in self._site.code.files(self._tree):
            if file.is_link and _can_reach(pattern, file.path):
                found |= {
                    name: place for name, place in self._behind(file, _HOPS) if is_named(name)
                }
            elif is_named(file.path) and not (file.is_link or file.is_submodule):
                found[file.path] = file.oid
        return found

    def _behind(self, link: TreeFile, hops: int) -> Iterator[tuple[str, Place]]:
        """The files that a link in the commit leads to, under its own name."""
        [content] = read_objects(self._site.repository.root, [link.oid])
        target = os.fsdecode(content or b"")
        if target.startswith("/"):
            yield from _files_at(Path(target), link.path)
            return
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), target))
        for file in self._site.code.files(self._tree):
            if not _is_in(file.path, inside):
                continue
            name = link.path + file.path[len(inside) :]
            if file.is_link and hops:
                yield from (
                    (name + rest[len(file.path) :], place)
                    for rest, place in self._behind(file, hops - 1)
                )
            elif not (file.is_link or file.is_submodule):
                yield name, file.oid
        if any(_is_in(inside, linked) for linked in self._link):
            yield from _files_at(self._root / inside, link.path)

    def _require_outside_submodules(self, pattern: str) -> None:
        for file in self._site.code.files(self._tree):
            if file.is_submodule and _is_in(pattern, file.path):
                raise Unusable(
                    f"'{pattern}' lies in the submodule {file.path}",
                    "leave it out: the commit says which one of the submodule's a run has",
                )


def data_at(site: Site, record: Record, tree: str) -> tuple[Data, ...]:
    """The data of a run that goes on at another commit: what that commit has as it has it, the rest
    as it was.

    Raises Unusable where it has not what was committed before.
    """
    if not record.data:
        return ()
    inputs = Inputs(site, tree, record.spec.link)
    before = {entry.path: entry for entry in record.data}
    data: dict[str, Data] = {}
    for pattern in record.spec.reads:
        files = inputs.find(pattern).files
        if not any(isinstance(place, str) for place in files.values()):
            data |= {entry.path: entry for entry in entries_of(pattern, record.data)}
            continue
        for entry in inputs.data(pattern):
            is_elsewhere = isinstance(files.get(entry.path), Path)
            data[entry.path] = before.get(entry.path, entry) if is_elsewhere else entry
    return tuple(data.values())


def require_unchanged(site: Site, payload: Payload, task: TaskSpec) -> None:
    """That what the task reads is as it was when the run was readied. What is committed always is.

    Raises InputChanged, or Unusable where an input can no longer be read.
    """
    inputs = Inputs(site, payload.pin.tree, payload.spec.link)
    known = [
        (pattern, entries)
        for pattern in task.reads
        if (entries := entries_of(pattern, payload.data))
    ]
    for pattern, entries in known:
        try:
            inputs.find(pattern)
        except Unusable as error:
            raise InputChanged(
                f"input {pattern} was there when the run was readied: {error.message}"
            ) from None
        if entries[0].files is None:
            _require_same_files(inputs, pattern, entries)
        else:
            _require_same_group(inputs, pattern, entries[0])


def _require_same_files(inputs: Inputs, pattern: str, entries: Sequence[Data]) -> None:
    files = inputs.find(pattern).files
    before = {entry.path: entry for entry in entries}
    for name in before.keys() - files.keys():
        raise InputChanged(f"input {name} is gone since the run was readied")
    outside = {name: place for name, place in files.items() if isinstance(place, Path)}
    for name in outside.keys() - before.keys():
        raise InputChanged(f"input {name} is new since the run was readied")
    if outside:
        inputs.hash([pattern])
    for name, place in outside.items():
        _require_same(f"input {name}", before[name].sha256, inputs.content(place).sha256)


def _require_same_group(inputs: Inputs, pattern: str, before: Data) -> None:
    files = inputs.find(pattern).files
    if len(files) == before.files and not any(isinstance(place, Path) for place in files.values()):
        return
    if len(files) != before.files:
        raise InputChanged(
            f"input {pattern} named {before.files} files when the run was readied, and names {len(files)}"
        )
    [now] = inputs.data(pattern)
    _require_same(f"input {pattern} ({before.files} files)", before.sha256, now.sha256)


def _require_same(what: str, before: str, now: str) -> None:
    if before != now:
        raise InputChanged(
            f"{what} changed since the run was readied (was {before[:_DIGITS]}, is {now[:_DIGITS]})"
        )


def _on_disk(root: Path, pattern: str, prefix: str) -> Iterator[tuple[str, Path]]:
    """The files that a glob names below `root`, whatever is git's own left out."""
    for start in named(
        root, _head(pattern), enters=lambda path: posixpath.basename(path) != ".git"
    ):
        yield from ((f"{prefix}{name}", path) for name, path in _below(root, pattern, start))


def _head(pattern: str) -> str:
    """As much of a glob as comes before a `**`: what that stands for is all below."""
    return pattern.partition("**")[0].rstrip("/") or "."


def _below(root: Path, pattern: str, start: str) -> Iterator[tuple[str, Path]]:
    is_named = matcher(pattern).fullmatch
    return ((name, path) for name, path in _files_at(root / start, start) if is_named(name))


def _files_at(
    path: Path, name: str, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, Path]]:
    """The file, or all files below the directory: links are followed, but not in circles, nor into
    nothing.

    Raises OSError.
    """
    try:
        facts = path.stat()
    except OSError as error:
        if error.errno in _LEADS_NOWHERE:
            return
        raise
    if not stat.S_ISDIR(facts.st_mode):
        yield name, path
        return
    itself = facts.st_dev, facts.st_ino
    if itself not in above:
        for child in sorted(entry.name for entry in os.scandir(path)):
            if child != ".git":
                yield from _files_at(
                    path / child, child if name == "." else f"{name}/{child}", above | {itself}
                )


def _is_in(path: str, directory: str) -> bool:
    return directory == "." or f"{path}/".startswith(f"{directory}/")


def _can_reach(pattern: str, path: str) -> bool:
    """Whether a glob can name something at `path` or below it."""
    leading = pattern.split("/")[: path.count("/") + 1]
    if "**" in leading:
        leading = leading[: leading.index("**") + 1]
    return matcher("/".join(leading)).fullmatch(path) is not None


def _require_file(name: str, place: Place) -> None:
    if isinstance(place, Path):
        if not stat.S_ISREG(place.stat().st_mode):
            raise Unusable(
                f"{name} is neither a file nor a directory",
                "name what can be read from beginning to end",
            )
        if not os.access(place, os.R_OK):
            raise Unusable(f"{name} may not be read", f"chmod u+r {place}")

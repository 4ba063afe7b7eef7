"""The data that tasks read. It is found and hashed when a run is readied.

A relative input is searched for in the run's worktree, that is, among the files of the pinned
commit and behind the links into the worktree. If nothing is found there, the input names files of
the main worktree. A task can read these files only if it gets their absolute paths.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gitorch.config.dvc_file import SUFFIX
from gitorch.git.code_digest import TreeFile
from gitorch.git.file_system import is_true
from gitorch.git.store.objects import read_objects
from gitorch.model.run.record import Data
from gitorch.model.run.remote_input import RemoteInput
from gitorch.model.run.spec import RunSpec
from gitorch.model.text.globs import is_glob, matcher
from gitorch.model.text.spelling import nearest
from gitorch.storage.contents import (
    CommittedFile,
    Content,
    Location,
    Notify,
    PointedContent,
    Unusable,
    contents_of_blobs,
    contents_of_files,
    ignore_notice,
)
from gitorch.storage.input_files import (
    can_reach,
    files_at,
    files_on_disk,
    fixed_part,
    is_in,
    matching_files,
    require_readable_file,
)
from gitorch.storage.pointed_data import follow_pointer, stand_in
from gitorch.storage.site import Site
from gitorch.tools.globbing import named

# The record has one entry for each file of an input. If the input has more files than this, the
# record has one entry for all of them.
LISTED = 50
_HOPS = 8  # a link in the commit can lead to another link; at most this many others are followed


class FoundInputs(Struct, frozen=True, kw_only=True):
    """The files that an input names, by name.

    `is_out_of_sight` is True if they are only in the main worktree. `is_absent` is True if only a
    pointer file is on this machine.
    """

    files: Mapping[str, Location]
    is_out_of_sight: bool = False
    is_absent: bool = False


class Inputs:
    """The current inputs of runs at one commit. Each input is found, and each file hashed, once."""

    def __init__(
        self,
        site: Site,
        tree: str,
        link: Sequence[str],
        notify: Notify = ignore_notice,
    ) -> None:
        self._site = site
        self._notify = notify
        self._tree = tree
        self._link = tuple(link)
        self._root = site.repository.main_root
        self._found: dict[str, FoundInputs] = {}
        self._contents: dict[Location, Content | Unusable] = {}
        self._data: dict[str, tuple[Data, ...]] = {}

    def find(self, pattern: str) -> FoundInputs:
        """Return the files of an input.

        Raises Unusable if there is none, or if one is not a file that can be read.
        """
        if pattern not in self._found:
            try:
                self._found[pattern] = self._find(pattern)
            except OSError as error:
                raise Unusable(
                    f"{error.filename} cannot be read: {error.strerror}"
                ) from None
            except RecursionError:
                raise Unusable(
                    f"'{pattern}' holds directories that are too deep"
                ) from None
        return self._found[pattern]

    def hash(self, patterns: Iterable[str], worktree: Path | None = None) -> None:
        """Hash the files of all these inputs together.

        Committed files are read in `worktree`, a worktree of the commit. Without a worktree, their
        blobs are read, which is right only if a checkout does not convert them (`is_converted`).
        Without this call, `data` hashes the files of one input at a time. Raises Unusable as `find`
        does.
        """
        paths: dict[Path, Location] = {}
        unread: list[CommittedFile] = []
        for pattern in patterns:
            for location in self.find(pattern).files.values():
                if location in self._contents:
                    continue
                if isinstance(location, Path):
                    paths[location] = location
                elif isinstance(location, PointedContent):
                    self._contents[location] = Content(
                        location.size, "", location.digest
                    )
                elif worktree is not None:
                    paths[worktree / location.path] = location
                else:
                    unread.append(location)
        blobs = contents_of_blobs(
            self._site, list({location.blob_id for location in unread})
        )
        for committed in unread:
            self._contents[committed] = blobs[committed.blob_id]
        contents = contents_of_files(self._site, list(paths), self._notify)
        for path, content in contents.items():
            self._contents[paths[path]] = content

    def data(self, pattern: str) -> tuple[Data, ...]:
        """Return the entries of an input in the record. Raises Unusable."""
        if pattern not in self._data:
            self._data[pattern] = self._described(pattern)
        return self._data[pattern]

    def data_of(self, spec: RunSpec) -> tuple[Data, ...]:
        """Return the entries of all files that a run's tasks read, each once. Raises Unusable."""
        self.hash(spec.reads)
        entries = {}
        for pattern in spec.reads:
            for entry in self.data(pattern):
                entries[entry.path] = entry
        for address in spec.addresses:
            entries[address.url] = _address_data(address)
        return tuple(entries.values())

    def content(self, location: Location) -> Content:
        """Return the content of a file that was hashed. Raises Unusable if it could not be read."""
        content = self._contents[location]
        if isinstance(content, Unusable):
            raise content
        return content

    def _described(self, pattern: str) -> tuple[Data, ...]:
        """Return an entry for each file of an input, or one for all if there are many."""
        self.hash([pattern])
        files = self.find(pattern).files
        contents = {name: self.content(files[name]) for name in sorted(files)}
        if len(contents) > LISTED:
            return (_summary(pattern, contents),)
        entries = []
        for name, content in contents.items():
            size, sha256, digest = content
            entries.append(Data(path=name, size=size, sha256=sha256, digest=digest))
        return tuple(entries)

    def _find(self, pattern: str) -> FoundInputs:
        files: dict[str, Location] = {}
        is_out_of_sight = False
        if pattern.startswith("/"):
            files.update(files_on_disk(Path("/"), pattern[1:], "/"))
        elif pattern.startswith("~/"):
            files.update(files_on_disk(Path.home(), pattern[2:], "~/"))
        else:
            files.update(self._linked(pattern))
            files.update(self._committed(pattern))
            if not files:
                self._require_outside_submodules(pattern)
                files.update(files_on_disk(self._root, pattern, ""))
                is_out_of_sight = True
        if not files:
            pointed = self._stand_in(pattern)
            if pointed is None:
                raise self._not_found(pattern)
            return FoundInputs(files={pattern: pointed}, is_absent=True)
        for name, location in list(files.items()):
            if name.endswith(SUFFIX):
                del files[name]
                files.update(follow_pointer(self._site, name, location))
        for name, location in files.items():
            require_readable_file(name, location)
        return FoundInputs(files=files, is_out_of_sight=is_out_of_sight)

    def _stand_in(self, pattern: str) -> PointedContent | None:
        """Return what the pointer file beside a missing file says about the file."""
        name = f"{pattern}{SUFFIX}"
        for file in self._site.code.files(self._tree):
            if file.path == name:
                committed = CommittedFile(file.oid, name)
                return stand_in(self._site, pattern, committed)
        return stand_in(self._site, pattern, self._root / Path(name).expanduser())

    def _not_found(self, pattern: str) -> Unusable:
        if is_glob(pattern):
            return Unusable(f"'{pattern}' names no file")
        path = self._root / Path(pattern).expanduser()
        if path.is_dir():
            return Unusable(f"'{pattern}' holds no file")
        similar = None
        if path.parent.is_dir():
            similar = nearest(
                path.name, [entry.name for entry in os.scandir(path.parent)]
            )
        if similar is None:
            hint = (
                f"a relative path begins at the commit's root, or at {self._root}"
            )
        else:
            suggestion = posixpath.join(posixpath.dirname(pattern), similar)
            hint = f"did you mean '{suggestion}'?"
        return Unusable(f"there is no '{pattern}'", hint)

    def _linked(self, pattern: str) -> Iterator[tuple[str, Path]]:
        """Yield the files of an input that a run sees through the links into its worktree."""

        def leads_to_link(name: str) -> bool:
            return any(
                is_in(link, name) or is_in(name, link) for link in self._link
            )

        if not self._link:
            return
        for name in named(self._root, fixed_part(pattern), enters=leads_to_link):
            for link in self._link:
                if is_in(name, link):
                    yield from matching_files(self._root, pattern, name)
                elif is_in(link, name):
                    yield from matching_files(self._root, pattern, link)

    def _committed(self, pattern: str) -> Iterator[tuple[str, Location]]:
        """Yield the files of an input that are in the commit, or behind links in the commit."""
        is_named = matcher(pattern).fullmatch
        for file in self._site.code.files(self._tree):
            if file.is_link and can_reach(pattern, file.path):
                for name, location in self._behind(file, _HOPS):
                    if is_named(name):
                        yield name, location
            elif is_named(file.path) and not (file.is_link or file.is_submodule):
                yield file.path, CommittedFile(file.oid, file.path)

    def _behind(self, link: TreeFile, hops: int) -> Iterator[tuple[str, Location]]:
        """Yield the files that a link in the commit leads to, with names below the link's path.

        At most `hops` further links are followed.
        """
        [content] = read_objects(self._site.repository.root, [link.oid])
        target = os.fsdecode(content or b"")
        if target.startswith("/"):
            yield from files_at(Path(target), link.path)
            return
        inside = posixpath.normpath(
            posixpath.join(posixpath.dirname(link.path), target)
        )
        for file in self._site.code.files(self._tree):
            if is_in(file.path, inside):
                name = link.path + file.path[len(inside) :]
                yield from self._committed_at(file, name, hops)
        if any(is_in(inside, linked) for linked in self._link):
            yield from files_at(self._root / inside, link.path)

    def _committed_at(
        self, file: TreeFile, name: str, hops: int
    ) -> Iterator[tuple[str, Location]]:
        """Yield a committed file that is called `name`, or the files behind it if it is a link."""
        if file.is_submodule:
            return
        if not file.is_link:
            yield name, CommittedFile(file.oid, name)
        elif hops:
            for further, location in self._behind(file, hops - 1):
                yield name + further[len(file.path) :], location

    def _require_outside_submodules(self, pattern: str) -> None:
        for file in self._site.code.files(self._tree):
            if file.is_submodule and is_in(pattern, file.path):
                raise Unusable(
                    f"'{pattern}' lies in the submodule {file.path}",
                    "leave it out: the commit says which version of the submodule a run has",
                )


def is_converted(site: Site, tree: str) -> bool:
    """Return True if files of a worktree can have other bytes than their blobs in `tree`.

    Attributes convert line ends and encodings, and replace LFS pointers by their files.
    """
    repository = site.repository
    if any(path.exists() for path in repository.attributes_files):
        return True
    line_ends = repository.git_config.get("core.autocrlf", ["false"])[-1]
    if is_true(line_ends) and line_ends.lower() != "input":
        return True
    return any(
        posixpath.basename(file.path) == ".gitattributes"
        for file in site.code.files(tree)
    )


def _address_data(address: RemoteInput) -> Data:
    """Return the entry of an address in the record. It has no size: gitorch need not read it."""
    digest = "" if address.sha256 else address.identity
    return Data(path=address.url, size=0, sha256=address.sha256, digest=digest)


def _summary(pattern: str, contents: Mapping[str, Content]) -> Data:
    """Return one entry for all files of an input."""
    size = 0
    digest = hashlib.sha256()
    for name, content in contents.items():
        size += content.size
        line = f"{content.identity}  {name}\n"  # as sha256sum prints it
        digest.update(os.fsencode(line))
    return Data(
        path=pattern, size=size, sha256=digest.hexdigest(), files=len(contents)
    )

"""The paths of the main worktree that the worktree of a run gets links to.

A config names them with `link`: paths, directories that the commit has files in as well, or globs.
Inputs that git ignores are linked too. Globs and such directories are expanded when a run is
readied, and the record has the expansion.

A task writes through a link into the user's data. Therefore an input is not linked as a directory:
each of its files gets a link of its own. What a task adds to the directory then stays in the
worktree, and what it deletes or replaces there is only a link.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from gitorch.errors import NotFound, Refused
from gitorch.git.pins import ignored_paths
from gitorch.git.worktree.links import link_source
from gitorch.model.run.pin import Pin
from gitorch.model.text.globs import flaw, is_glob, literal_head
from gitorch.storage.input_files import files_on_disk
from gitorch.storage.site import Site
from gitorch.tools.globbing import named

# The links of a run are part of its record.
LARGEST = 1000  # links to which one entry of a config may expand
_EACH_FILE = 200  # files of an input that are linked one by one


class Links:
    """The paths to link into the worktrees of one commit."""

    def __init__(self, site: Site, pin: Pin) -> None:
        self._site = site
        self._commit = pin.commit[:12]
        self._tree = pin.tree
        self._root = site.repository.main_root

    def named_by(self, entry: str) -> list[str]:
        """Return the paths that an entry of `link` stands for.

        Raises Refused or NotFound if there is none.
        """
        if not is_glob(entry) or link_source(self._site.repository, entry):
            return self._named_by_path(entry)
        if reason := flaw(entry):
            raise Refused(f"'{entry}' is not a glob: {reason}")
        paths = []
        for path in named(self._root, entry, enters=_is_not_of_git):
            if path != "." and _is_not_of_git(path):
                paths.append(path)
        links = self._ignored(paths)
        if not links:
            raise NotFound(
                f"'{entry}' matches nothing that git ignores in {self._root}"
            )
        return _few_enough(entry, links)

    def _named_by_path(self, path: str) -> list[str]:
        if path in self._files:
            raise Refused(
                f"commit {self._commit} contains {path} itself",
                "remove it from link: a run has it as it is in its commit",
            )
        if path not in self._directories:
            return [path]
        # The commit has files in this directory. What git ignores there is put beside them.
        if not (self._root / path).is_dir():
            raise NotFound(f"there is no directory {path} in {self._root}")
        links = self._ignored(self._children(path))
        if not links:
            raise Refused(
                f"commit {self._commit} contains {path}, and git ignores nothing in yours",
                "remove it from link, or add to .gitignore what is to be linked",
            )
        return _few_enough(path, links)

    def of_input(self, pattern: str, linked: Sequence[str]) -> list[str]:
        """Return the paths to link so that a run has the files of an input that git ignores.

        `linked` are the links that the run has anyway.
        """
        if pattern.startswith(("/", "~")) or pattern in self._files:
            return []
        missing = []
        for name, _ in files_on_disk(self._root, pattern, ""):
            if name not in self._files and not any_is_above(linked, name):
                missing.append(name)
        ignored = sorted(ignored_paths(self._site.repository, missing))
        if len(ignored) <= _EACH_FILE:
            return ignored
        return self._directories_of(pattern)

    def _directories_of(self, pattern: str) -> list[str]:
        """Return the links for an input with many files: its directory, or what is in it."""
        head = literal_head(pattern)
        if head == ".":
            return []
        links = self._ignored([head])
        return links if len(links) <= LARGEST else []

    def _ignored(self, paths: Iterable[str]) -> list[str]:
        """Return what git ignores of the paths and below them, without what the commit has."""
        found: list[str] = []
        level = sorted(set(paths))
        while level:
            absent = [path for path in level if path not in self._files]
            undivided = [path for path in absent if path not in self._directories]
            ignored = set(ignored_paths(self._site.repository, undivided))
            found += ignored
            level = []
            for path in absent:
                if path not in ignored:
                    level += self._children(path)
        return topmost(found)

    def _children(self, directory: str) -> Iterator[str]:
        path = self._root / directory
        if path.is_symlink() or (path / ".git").exists():
            return
        try:
            names = sorted(os.listdir(path))  # noqa: PTH208 - only the names
        except OSError:  # not a directory, for example
            return
        for name in names:
            if name != ".git":
                yield f"{directory}/{name}"

    @cached_property
    def _files(self) -> frozenset[str]:
        return frozenset(file.path for file in self._site.code.files(self._tree))

    @cached_property
    def _directories(self) -> frozenset[str]:
        directories: set[str] = set()
        for file in self._files:
            parent = posixpath.dirname(file)
            while parent and parent not in directories:
                directories.add(parent)
                parent = posixpath.dirname(parent)
        return frozenset(directories)


def any_is_above(links: Iterable[str], path: str) -> bool:
    """Return True if one of the links is the path, or a directory that contains it."""
    return any(PurePosixPath(path).is_relative_to(link) for link in links)


def _few_enough(entry: str, links: list[str]) -> list[str]:
    if len(links) > LARGEST:
        raise Refused(
            f"'{entry}' stands for {len(links)} links, and at most {LARGEST} are made",
            "name the directories that hold the files",
        )
    return links


def topmost(paths: Iterable[str]) -> list[str]:
    """Return the paths that are not below another one of them, sorted."""
    topmost: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.split("/")):
        if not topmost or not PurePosixPath(path).is_relative_to(topmost[-1]):
            topmost.append(path)
    return topmost


def _is_not_of_git(path: str) -> bool:
    return ".git" not in path.split("/")

"""The likely reason why a program did not find a file or a module that it needs.

A worktree has the files of its commit only, or those that `sparse` names. What git ignores, such as
data or generated modules, is there only if the config links it.
"""

from __future__ import annotations

import glob
import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from gitorch.config.flow_text import flow_text
from gitorch.git.command import call_git_items
from gitorch.git.pins import ignored_paths
from gitorch.model.text.globs import is_in_cone
from gitorch.storage.leftovers import ENVIRONMENTS
from gitorch.storage.links import any_is_above
from gitorch.storage.site import Site

# `re` compiles the patterns when a program fails.
_NO_FILE = (
    r"No such file|FileNotFound|[Nn]ot found|not exist|cannot open|can't open"
    r"|[Uu]nable to open|cannot access|[Cc]annot find|ENOENT"
)
_NO_MODULE = r"No module named '?([\w.]+)"
_NO_NAME = (
    r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'"
)
_QUOTED = r"'([^']+)'|\"([^\"]+)\"|`([^`']+)['`]"
_MOST_WORDS = 50
_LONGEST_PATH = 4096  # PATH_MAX on Linux


def hint_on_missing(
    site: Site,
    reason: str,
    *,
    tree: Path,
    link: Sequence[str],
    sparse: Sequence[str],
    interpreter: str,
) -> str | None:
    """Return what to do if `reason` says that a file or a module is missing, or None.

    `tree` is the worktree in which the program ran, with the links `link` and the directories
    `sparse`.
    """
    module = re.search(_NO_MODULE, reason)
    if module:
        name = module[1].strip(".")
        of_module = _of_module(site, name, link, sparse)
        return of_module or _of_package(site, name, interpreter)
    imported = re.search(_NO_NAME, reason)
    if imported:
        return _of_module(site, f"{imported[2]}.{imported[1]}", link, sparse)
    if re.search(_NO_FILE, reason):
        return _of_file(site, _paths_in(reason, tree), link, sparse)
    return None


def _of_package(site: Site, module: str, interpreter: str) -> str:
    """Return how to give tasks a Python that has the module."""
    package = module.partition(".")[0]
    if Path(interpreter).is_relative_to(site.workspace / ENVIRONMENTS):
        return (
            f"the tasks run with the environment of a lock, which has no {package}: "
            "add it to the lock, and commit the lock"
        )
    return (
        f"the tasks run with {interpreter}: "
        f"install {package} there ({interpreter} -m pip install …), "
        "or choose another Python: activate its environment, make one in .venv, "
        "or write gitorch: {python: PATH}"
    )


def link_line(path: str) -> str:
    """Return the line of a config that links a path."""
    line = flow_text({"link": [glob.escape(path)]})
    return f"gitorch: {line} makes it a symbolic link to yours"


def _of_file(
    site: Site, paths: Iterable[str], link: Sequence[str], sparse: Sequence[str]
) -> str | None:
    root = site.repository.main_root
    there = []
    for path in paths:
        if os.path.lexists(root / path) and not any_is_above(link, path):
            there.append(path)
    for path in ignored_paths(site.repository, there):
        return _is_ignored(site, path)
    for path in there:
        if call_git_items(root, "ls-files", "--others", "-z", "--", f"./{path}"):
            command = f"git add {shlex.quote(path)}"
            return f"{path} is not committed, so a run does not have it: {command}"
        if not is_in_cone(path, sparse):
            line = flow_text({"sparse": [*sparse, posixpath.dirname(path)]})
            return (
                f"{path} is outside of sparse, so a run does not have it; "
                f"write gitorch: {line}"
            )
    return None


def _is_ignored(site: Site, path: str) -> str:
    parents = [str(parent) for parent in reversed(PurePosixPath(path).parents)]
    candidates = [*parents[1:], path]
    top = min(ignored_paths(site.repository, candidates), key=len, default=path)
    return f"{path} is ignored by git, so a run does not have it; {link_line(top)}"


def _paths_in(reason: str, tree: Path) -> Iterator[str]:
    """Yield the words of a message that can be paths in the repository, relative to its root."""
    words = []
    for match in re.finditer(_QUOTED, reason):
        words += [text for text in match.groups() if text]
    words += reason.split()
    for word in words[:_MOST_WORDS]:
        path = word.strip("'\"`‘’“”:,;()[]<>")
        if path.startswith(f"{tree}/"):
            path = path[len(str(tree)) + 1 :]
        is_relative = path and not path.startswith(("/", "~"))
        if not is_relative or len(path) > _LONGEST_PATH or "\0" in path:
            continue
        path = posixpath.normpath(path)
        if path != "." and not path.startswith(".."):
            yield path


def _of_module(
    site: Site, module: str, link: Sequence[str], sparse: Sequence[str]
) -> str | None:
    """Return a hint if a run does not have the file of a module of the project."""
    root = site.repository.main_root
    inner = module.replace(".", "/")
    last = posixpath.basename(inner)
    names = (f"{last}.py", f"{last}.*so", f"{last}.so", f"{last}/__init__.py")
    globs = [f":(glob)**/{name}" for name in names]
    found = []
    for path in call_git_items(root, "ls-files", "--others", "-z", "--", *globs):
        if _is_module(path, inner) and not any_is_above(link, path):
            found.append(path)
    for path in (
        call_git_items(root, "ls-files", "-z", "--", *globs) if sparse else ()
    ):
        if _is_module(path, inner) and not is_in_cone(path, sparse):
            found.append(path)
    return _of_file(site, sorted(found, key=len)[:1], link, sparse)


def _is_module(path: str, inner: str) -> bool:
    """Return True if a file is the module `a/b`: `a/b.py`, `src/a/b.abi3.so`, `a/b/__init__.py`."""
    directory, name = posixpath.split(path)
    if "site-packages" in directory.split("/"):
        return False
    stem = posixpath.join(directory, name.partition(".")[0])
    stem = stem.removesuffix("/__init__")
    return stem == inner or stem.endswith(f"/{inner}")

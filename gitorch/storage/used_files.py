"""The files that an attempt has opened, read from the list of its recorder and classified.

`runner/standin/gitorch_recorder.py` describes the list. The task may have changed it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from msgspec import Struct

import gitorch
from gitorch.git.modes import LINK
from gitorch.model.run.used import Used, summarised
from gitorch.model.text.globs import matcher
from gitorch.storage.claimed_attempt import ClaimedAttempt
from gitorch.storage.site import Site
from gitorch.tools.files import real_path
from gitorch.tools.untrusted import read_plain, reason

_OF_SHELL = frozenset(";&|<`(\n")
_LARGEST = 32 << 20  # bytes of a list
_MARKS = frozenset({"\n@", "\n^", "\n+", "\n-", "\n!", "\n="})
# The files in these directories belong to the system or to gitorch.
_SYSTEM = (
    *("/bin", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/sbin", "/sys"),
    *("/usr", str(Path(gitorch.__file__).parent)),
)


class Use(Struct, frozen=True, kw_only=True):
    """The known facts about the files that an attempt used. `used` is None if there are none."""

    used: Used | None = None
    undeclared: tuple[str, ...] = ()  # see `summarised`
    notes: tuple[str, ...] = ()


class _Opened(Struct, frozen=True):
    """The content of a list.

    `own` are the directories of interpreters. `is_complete`: the attempt was a Python program, and
    every process has reported.
    """

    paths: set[str]
    own: tuple[str, ...]
    is_complete: bool


def read_use(
    site: Site,
    attempt: ClaimedAttempt,
    started: str,
    environment: Mapping[str, str],
) -> Use:
    """Return the use of files by an attempt, which began at the time `started`.

    The home directory is that of the `environment`.
    """
    home = environment.get("HOME")
    directory = attempt.directory
    try:
        data = read_plain(directory.used, _LARGEST, below=directory.workspace)
    except FileNotFoundError:
        return Use()
    except OSError as error:
        note = f"the files that it used are not known: {reason(error)}"
        return Use(notes=(note,))
    opened = _parsed(data)
    inside, outside = _divided(attempt, opened.paths)
    used, targets = _tracked(site, attempt, inside)
    outside_targets: set[str] = set()
    if targets:
        inside_targets, outside_targets = _divided(attempt, targets)
        used |= _tracked(site, attempt, inside_targets)[0]
    is_complete = opened.is_complete and not _has_other_programs(attempt)
    if not (used or is_complete):
        return Use()
    others = outside | outside_targets
    others = {path for path in others if not path.startswith(opened.own)}
    undeclared: set[str] = set()
    if others:
        undeclared = _undeclared(site, attempt, others, started=started, home=home)
    return Use(
        used=Used(files=tuple(sorted(used)), complete=is_complete),
        undeclared=summarised(undeclared),
    )


def _parsed(data: bytes) -> _Opened:
    # The last entry has no NUL if a process was killed while it wrote.
    *entries, _ = os.fsdecode(data).split("\0")
    paths = set()
    own = set()
    marks = []
    here = "/"
    for entry in entries:  # there may be thousands
        if entry[:1] == "/":
            paths.add(entry)
        elif entry[:2] not in _MARKS:
            paths.add(here + entry)
        elif entry[1] == "@":
            here = f"{entry[2:].rstrip('/')}/"
        elif entry[1] == "^":
            own.add(entry[2:])
        else:
            marks.append(entry[1])
    has_all = marks.count("+") == marks.count("-") and "!" not in marks
    return _Opened(paths, tuple(own), has_all and "=" in marks)


def _has_other_programs(attempt: ClaimedAttempt) -> bool:
    """Return True if a shell may read files itself, or execute more than one program.

    A shell replaces itself with the last program of its command, which is then that of the attempt.
    """
    command = attempt.task.command
    return isinstance(command, str) and not _OF_SHELL.isdisjoint(command)


def _divided(
    attempt: ClaimedAttempt, paths: Iterable[str]
) -> tuple[set[str], set[str]]:
    """Return the paths in the worktree, relative to it, and the other paths."""
    tree = str(attempt.run.tree)
    roots = tuple({f"{tree}/", f"{real_path(tree)}/"})
    inside = set()
    outside = set()
    for path in paths:
        plain = path
        if "/." in path or "//" in path:
            plain = os.path.normpath(path)
            if path.endswith("/"):
                plain += "/"
        for root in roots:
            if plain.startswith(root):
                inside.add(plain[len(root) :])
                break
        else:
            outside.add(plain)
    return inside, outside


def _tracked(
    site: Site, attempt: ClaimedAttempt, names: Iterable[str]
) -> tuple[set[str], set[str]]:
    """Return the names that the commit has, and the targets of its links among them.

    A name in a submodule, or behind a link to a directory, stands for the submodule or the link.
    """
    committed = site.code.committed(attempt.payload.pin.tree)
    used = set()
    targets = set()
    for name in names:
        source = _source(name)
        committed_name = source
        mode = committed.mode(committed_name)
        while mode is None and "/" in committed_name:
            committed_name = committed_name.rpartition("/")[0]
            mode = committed.mode(committed_name)
        if mode is not None:
            used.add(committed_name)
        if mode == LINK:
            targets.add(real_path(attempt.run.tree / source))
    return used, targets


def _source(name: str) -> str:
    """Return the source of a compiled module: `a/__pycache__/b.cpython-311.pyc` is from `a/b.py`.

    Any other name is returned as it is (https://peps.python.org/pep-3147/).
    """
    if not name.endswith(".pyc"):
        return name
    directory, _, file = name.rpartition("/")
    package, _, last = directory.rpartition("/")
    if last != "__pycache__":
        return name
    module = file.partition(".")[0]
    return f"{package}/{module}.py".lstrip("/")


def _undeclared(
    site: Site,
    attempt: ClaimedAttempt,
    paths: Iterable[str],
    *,
    started: str,
    home: str | None,
) -> set[str]:
    """Return the paths that the config should have declared as inputs.

    These are neither inputs nor linked, belong neither to the system nor to the settings and caches
    in the user's home, and are older than the attempt, which therefore has not made them.
    """
    own = [str(attempt.run.path), str(site.repository.common_dir), *_SYSTEM]
    own += [real_path(attempt.run.path)]
    own += _linked(site, attempt)
    prefixes = [f"{directory}/" for directory in own]
    if home and home != "/":
        prefixes.append(f"{home.rstrip('/')}/.")
    ignored = tuple(prefixes)
    inputs = [matcher(pattern).fullmatch for pattern in _inputs(site, attempt)]
    began = datetime.fromisoformat(started).timestamp()
    undeclared = set()
    for path in paths:
        if f"{path}/".startswith(ignored):
            continue
        if any(matches(path.rstrip("/")) for matches in inputs):
            continue
        if path.endswith("/") or _is_older(path, began):
            undeclared.add(path)
    return undeclared


def _linked(site: Site, attempt: ClaimedAttempt) -> Iterator[str]:
    """Yield the paths, in the user's worktree and resolved, that the run has links to."""
    for name in attempt.payload.spec.link:
        for root in {site.repository.main_root, site.repository.root}:
            yield str(root / name)
            yield real_path(root / name)


def _inputs(site: Site, attempt: ClaimedAttempt) -> Iterator[str]:
    """Yield the inputs of the run as absolute paths and globs, and with their links resolved."""
    names = {entry.path for entry in attempt.payload.data}
    for name in names.union(attempt.payload.spec.reads):
        for root in {site.repository.main_root, attempt.run.tree}:
            path = str(root / Path(name).expanduser())
            yield str(PurePosixPath(path))
            yield real_path(path)


def _is_older(path: str, began: float) -> bool:
    """Return True if this is a file that was last changed or put there before that time."""
    try:
        facts = os.stat(path)  # noqa: PTH116  a Path takes longer, and the paths can be thousands
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_ctime < began

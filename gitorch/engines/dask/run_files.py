"""The files of a run on a host: how they get to the state that they have on the worker's machine.

    runs/<id>/tree      a worktree of `code.git` at the commit of the run
    runs/<id>/output    the outputs
    runs/<id>/log/…     the directories of attempts
    runs/<id>/lock      held while the files are prepared or an attempt uses them
    runs/<id>/state     what `tree` holds, for the next attempt

The worker has all these files too, so they can be removed at any time when no attempt uses them.
Those of the last few runs stay: the next task of a run then finds its files, and a new run gets a
worktree that is there already.

Standard library only: Dask transports these functions by value.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from gitorch.engines.dask.files import (
    Entry,
    Tree,
    call_git,
    delta,
    entry_of,
    locked,
    try_lock,
    walk,
    walk_submodule,
)
from gitorch.engines.dask.host import (
    HostError,
    commits,
    has_commit,
    has_program,
    root,
)

_PATIENCE_S = 60.0  # for an earlier attempt of the run to end
_LOOK_S = 0.2
_KEPT = 16  # runs whose files stay
_FORGOTTEN_S = 3600.0  # an attempt that has not begun for so long will not
# The names of the files by which an attempt is steered and described are not results.
_STEERING = (
    "order.json",
    "cancel.json",
    "config.json",
    "inputs.json",
    "params.json",
)
_SMALL = 64 << 10  # bytes of a file that is returned with the list of results
_MOST_SMALL = 1 << 20  # bytes of all those


class State(NamedTuple):
    """The commit of a worktree, the paths of its submodules, and its differences from the commit.

    All files of submodules count as differences.
    """

    commit: str
    submodules: tuple[str, ...]
    tree: Tree


def prepare(
    repository: str,
    run: str,
    attempt: str,
    programs: str,
    commit: str,
    submodules: Sequence[str],
    trees: Mapping[str, Tree],
    contents: Mapping[str, bytes],
    expected: Mapping[str, Entry],
) -> dict[str, Any]:
    """Bring the files of a run to the state in `trees`: "tree", "output" and "attempt".

    Return what the host lacks for that, which is nothing in the end: it is called again when it has
    the rest. `contents` are those of small files, `expected` are files beside the run that have to
    be here. An attempt at the run that a dead worker has left is ended first. Raises HostError.
    """
    lacking: dict[str, Any] = {}
    missing = _missing(expected)
    if missing:
        return {"missing": missing}
    if not has_program(repository, programs):
        lacking["programs"] = True
    if not has_commit(repository, commit):
        return {**lacking, "commits": commits(repository)}
    base = root(repository)
    directory = base / "runs" / run
    with _locked_run(directory, attempt):
        (directory / "prepared").touch()
        tree, output = directory / "tree", directory / "output"
        wanted = State(commit, tuple(submodules), trees["tree"])
        _bring_to_state(base, directory, wanted)
        for path in walk(output).keys() - trees["output"].keys():
            (output / path).unlink()
        digests: dict[str, None] = {}
        places = {"tree": tree, "output": output, "attempt": directory / attempt}
        for name, entries in trees.items():
            places[name].mkdir(parents=True, exist_ok=True)
            # First those that are gone: a file may have taken the place of their directory.
            for path, entry in sorted(entries.items(), key=_is_there):
                _make_parents(places[name], places[name] / path)
                if not _put(base, places[name] / path, entry, contents):
                    digests[entry[3]] = None
        if not digests:
            write_state(directory, wanted)
    if digests:
        lacking["contents"] = list(digests)
    return lacking


def _is_there(item: tuple[str, Entry]) -> bool:
    return bool(item[1][0] != "gone")


def _put(
    base: Path, path: Path, entry: Entry, contents: Mapping[str, bytes]
) -> bool:
    """Bring a path to the state of an entry. Return False if the host lacks the content."""
    found = entry_of(path) if os.path.lexists(path) else None
    match tuple(entry):
        case ("gone",):
            path.unlink(missing_ok=True)
            with suppress(OSError):
                os.removedirs(path.parent)  # those that are empty now
        case ("directory",):
            path.mkdir(exist_ok=True)
        case ("link", target):
            if found != ("link", target):
                path.unlink(missing_ok=True)
                path.symlink_to(target)
        case ("file", mode, size, digest):
            is_same = found is not None and found[2:] == (size, digest)
            if not is_same and not _put_content(base, path, digest, contents):
                return False
            path.chmod(mode)
    return True


def _make_parents(top: Path, path: Path) -> None:
    """Make the directories between, also where an attempt has put a file or a link."""
    parent = top
    for name in path.parent.relative_to(top).parts:
        parent /= name
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            parent.unlink()
        parent.mkdir(exist_ok=True)


def _put_content(
    base: Path, path: Path, digest: str, contents: Mapping[str, bytes]
) -> bool:
    """Write a file anew. Return False if the host lacks the content."""
    content = base / "content" / digest
    if digest in contents:
        path.unlink(missing_ok=True)
        path.write_bytes(contents[digest])
    elif content.exists():
        path.unlink(missing_ok=True)
        shutil.copyfile(content, path)
    else:
        return False
    return True


def _missing(expected: Mapping[str, Entry]) -> str | None:
    """Return one of the absolute paths that is not here as expected, or None."""
    for path, entry in expected.items():
        found = entry_of(Path(path)) if os.path.lexists(path) else None
        if found is None or found[0] != entry[0] or found[2:] != tuple(entry[2:]):
            return path
    return None


@contextmanager
def _locked_run(directory: Path, attempt: str) -> Iterator[None]:
    """Have the files of a run. End an attempt that a dead worker has left, and still uses them.

    Raises HostError if that attempt does not end.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        lock = try_lock(directory / "lock")
        if lock is not None:
            break
        _end_others(directory, attempt)
        if time.monotonic() > deadline:
            raise HostError("an earlier attempt at the run does not end")
        time.sleep(_LOOK_S)
    try:
        os.utime(directory / "lock")
        yield
    finally:
        os.close(lock)


def _end_others(directory: Path, attempt: str) -> None:
    for order in directory.glob("log/*/*/taken.*"):
        if str(order.parent.relative_to(directory)) != attempt:
            with suppress(OSError, ValueError, KeyError):
                token = json.loads(order.read_text())["token"]
                lost = {"kind": "lost", "message": "superseded"}
                end(order.parent, token, lost)


def end(directory: Path, token: str, outcome: Mapping[str, Any]) -> None:
    """Ask the keeper of an attempt to end it."""
    with suppress(FileNotFoundError):
        aside = directory / ".cancel.json"
        aside.write_text(json.dumps({"token": token, "outcome": outcome}))
        aside.rename(directory / "cancel.json")


# ---- worktrees


def _bring_to_state(base: Path, directory: Path, wanted: State) -> None:
    """Bring the worktree of a run to a commit, unless it is already as wanted."""
    tree = directory / "tree"
    if not tree.is_dir():
        _take_worktree(base, directory)
    state = take_state(directory)
    if state in (wanted, wanted._replace(tree={})):
        return
    if tree.is_dir():
        with suppress(subprocess.CalledProcessError):
            call_git(tree, "checkout", "-q", "--force", "--detach", wanted.commit)
            call_git(tree, "clean", "-ffdxq")
            # Git leaves files in the directories of submodules that it does not know.
            for submodule in wanted.submodules:
                shutil.rmtree(tree / submodule, ignore_errors=True)
            return
        shutil.rmtree(tree)
    code = base / "code.git"
    with locked(base / "code.lock"):
        call_git(code, "worktree", "prune")
        how = ("-q", "--detach", "--force")
        call_git(code, "worktree", "add", *how, str(tree), wanted.commit)


def _take_worktree(base: Path, directory: Path) -> None:
    """Give a new run the worktree of the one that was used longest ago, if there are many."""
    runs = [run for run in (base / "runs").iterdir() if not _is_prepared(run)]
    if len(runs) < _KEPT:
        return
    for run in sorted(runs, key=_last_used):
        lock = try_lock(run / "lock")
        if lock is None:
            continue
        try:
            with locked(base / "code.lock"):
                _move_worktree(run, directory)
            remove_run(base, run)
        finally:
            os.close(lock)
        return


def remove_run(base: Path, run: Path) -> None:
    """Remove the files of a run, whose lock is held."""
    incoming = base / "incoming"
    incoming.mkdir(exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=incoming))
    run.rename(aside / run.name)
    shutil.rmtree(aside, ignore_errors=True)


def _is_prepared(run: Path) -> bool:
    """Return True if an attempt at a run is about to begin."""
    with suppress(OSError):
        age_s = time.time() - (run / "prepared").stat().st_mtime
        return age_s < _FORGOTTEN_S
    return False


def _move_worktree(run: Path, directory: Path) -> None:
    """Move a worktree and the notes on its state from one run to another.

    A directory that is not a worktree any more stays where it is.
    """
    tree = directory / "tree"
    with suppress(OSError, ValueError):
        (run / "state").rename(directory / "state")
    with suppress(OSError, ValueError):
        git_file = (run / "tree" / ".git").read_text()
        admin = Path(git_file.removeprefix("gitdir: ").strip())
        if admin.parent.name != "worktrees" or not admin.is_dir():
            return
        (run / "tree").rename(tree)
        (admin / "gitdir").write_text(f"{tree / '.git'}\n")


def _last_used(run: Path) -> float:
    with suppress(OSError):
        return (run / "lock").stat().st_mtime
    return 0.0


def write_state(directory: Path, state: State) -> None:
    """Note what the worktree of a run holds."""
    document = {**state._asdict(), "boot": _boot()}
    (directory / "state").write_text(json.dumps(document))


def take_state(directory: Path) -> State | None:
    """Return what the worktree holds, None if that is not known, as from now on."""
    path = directory / "state"
    with suppress(OSError, ValueError, KeyError):
        found = json.loads(path.read_text())
        path.unlink()
        if found.pop("boot") == _boot():
            tree = {name: tuple(entry) for name, entry in found["tree"].items()}
            return State(found["commit"], tuple(found["submodules"]), tree)
    path.unlink(missing_ok=True)
    return None


def _boot() -> str:
    """Return the id of this boot: files that are not flushed to a disk can be lost with it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _head_of(tree: Path) -> str | None:
    """Return the commit of a worktree, None if an attempt has put it on a branch."""
    with suppress(OSError):
        admin = (tree / ".git").read_text().removeprefix("gitdir: ").strip()
        head = Path(tree, admin, "HEAD").read_text().strip()
        return None if head.startswith("ref:") else head
    return None


# ---- results


def results(
    repository: str, run: str, attempt: str, state: State
) -> dict[str, Any]:
    """Return the `trees` that an attempt has left, as `prepare` gets them, and small `contents`.

    `state` is that of the worktree before the attempt.
    """
    directory = root(repository) / "runs" / run
    kept = walk(directory / attempt)
    for name in list(kept):
        if name in _STEERING or name.startswith("taken."):
            del kept[name]
    tree = delta(directory / "tree", state.commit)
    for submodule in state.submodules:
        tree.update(walk_submodule(directory / "tree", submodule))
    if _head_of(directory / "tree") == state.commit:
        write_state(directory, state._replace(tree=tree))
    trees = {
        "attempt": kept,
        "tree": tree,
        "output": walk(directory / "output"),
    }
    contents: dict[str, bytes] = {}
    room = _MOST_SMALL
    for name, entries in trees.items():
        base = directory / (attempt if name == "attempt" else name)
        for path, entry in entries.items():
            if entry[0] == "file" and entry[2] <= min(_SMALL, room):
                contents[entry[3]] = read_part(base / path, 0, entry[2])
                room -= entry[2]
    return {"trees": trees, "contents": contents}


def read(repository: str, run: str, path: str, offset: int, size: int) -> bytes:
    """Return a part of a file of a run."""
    return read_part(root(repository) / "runs" / run / path, offset, size)


def read_part(path: Path, offset: int, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(size)


def forget(repository: str, runs: Sequence[str]) -> None:
    """Remove the files of runs, unless an attempt uses them."""
    base = root(repository)
    for run in runs:
        directory = base / "runs" / run
        if not directory.is_dir():
            continue
        lock = try_lock(directory / "lock")
        if lock is not None:
            remove_run(base, directory)
            os.close(lock)

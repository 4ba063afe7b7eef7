"""The functions of the Dask engine on the hosts of Dask's workers.

gitorch is not installed there: Dask transports these functions by value, and the programs of an
attempt as an archive. A host keeps everything in one directory, `$GITORCH_HOST_CACHE` or below the
user's cache, with a part for each repository:

    code.git          the commits that were transferred, a bare repository
    programs/<digest> gitorch, as far as an attempt needs it
    content/<digest>  files that the host lacked, by their SHA-256
    incoming/         what is being transferred
    runs/<id>/        tree, output and log of a run, as on the worker's machine

Standard library only.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitorch.engines.dask.files import (
    Entry,
    Tree,
    call_git,
    delta,
    digest_of,
    entry_of,
    locked,
    try_lock,
    walk,
)

_PATIENCE_S = 60.0  # for an earlier attempt of the run to end
_LOOK_S = 0.2
# The names of the files by which an attempt is steered are not results.
_STEERING = ("order.json", "cancel.json", "lease")

# The keeper's parent, which ends it when its own standard input is closed: with Dask's worker.
_GUARD = """
import os, select, signal, subprocess, sys
keeper = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
watched = select.poll()
watched.register(0, 0)
if hasattr(os, "pidfd_open"):
    watched.register(os.pidfd_open(keeper.pid), select.POLLIN)
while keeper.poll() is None:
    ready = watched.poll(200)
    if any(descriptor == 0 for descriptor, _ in ready) and keeper.poll() is None:
        keeper.send_signal(signal.SIGTERM)
        keeper.wait()
sys.exit(keeper.returncode)
"""


class HostError(Exception):
    """Something that a host lacks, or cannot do, in words for the user."""


def root(repository: str) -> Path:
    """Return the directory of a repository on this host. Only the user can read it."""
    chosen = os.environ.get("GITORCH_HOST_CACHE")
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    base = Path(chosen) if chosen else Path(cache, "gitorch", "hosts")
    directory = base / repository
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


async def call(name: str, *arguments: Any) -> dict[str, Any]:
    """Call one of the functions below in a thread, so that Dask's worker goes on meanwhile.

    Return its `value`, or in words why it is `refused`.
    """
    loop = asyncio.get_running_loop()
    try:
        value = await loop.run_in_executor(None, _FUNCTIONS[name], *arguments)
    except HostError as error:
        return {"refused": str(error)}
    except subprocess.CalledProcessError as error:
        return {"refused": error.stderr.decode(errors="replace")[-1000:]}
    except OSError as error:
        return {"refused": str(error)}
    return {"value": value}


# ---- transfers


def receive(repository: str, name: str, offset: int, data: bytes) -> None:
    """Write a part of a file that is being transferred. To be repeated safely."""
    incoming = root(repository) / "incoming"
    incoming.mkdir(exist_ok=True)
    descriptor = os.open(incoming / name, os.O_CREAT | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.seek(offset)
        file.write(data)


def keep_content(repository: str, name: str, digest: str) -> None:
    """Keep a transferred file under its SHA-256. Raises HostError if it has another one."""
    base = root(repository)
    incoming = base / "incoming" / name
    if digest_of(incoming) != digest:
        incoming.unlink()
        raise HostError("a file was damaged on the way")
    content = base / "content"
    content.mkdir(exist_ok=True)
    incoming.rename(content / digest)


def commits(repository: str) -> list[str]:
    """Return the commits that the host has."""
    code = root(repository) / "code.git"
    if not code.is_dir():
        return []
    return call_git(code, "for-each-ref", "--format=%(objectname)").split()


def take_pack(repository: str, name: str, commit: str) -> None:
    """Take a pack with the objects of a commit that the host lacks."""
    base = root(repository)
    code = base / "code.git"
    with locked(base / "code.lock"):
        if not code.is_dir():
            call_git(base, "init", "-q", "--bare", str(code))
            call_git(code, "config", "gc.auto", "0")
        pack = base / "incoming" / name
        with pack.open("rb") as file:
            call_git(code, "index-pack", "--stdin", stdin=file)
        pack.unlink()
        # The parents of the commit stay where they are.
        shallow = code / "shallow"
        known = shallow.read_text().split() if shallow.exists() else []
        if commit not in known:
            shallow.write_text("".join(f"{oid}\n" for oid in [*known, commit]))
        call_git(code, "update-ref", f"refs/gitorch/pins/{commit}", commit)


def has_program(repository: str, digest: str) -> bool:
    return (root(repository) / "programs" / digest).is_dir()


def take_program(repository: str, name: str, digest: str) -> None:
    """Unpack the programs of attempts."""
    base = root(repository)
    archive = base / "incoming" / name
    programs = base / "programs"
    programs.mkdir(exist_ok=True)
    aside = programs / f".{name}"
    with tarfile.open(archive) as tar:
        tar.extractall(aside)  # noqa: S202  gitorch has made it
    archive.unlink()
    with suppress(OSError):  # another worker of this host was faster
        aside.rename(programs / digest)
    shutil.rmtree(aside, ignore_errors=True)


# ---- the files of a run


def run_directory(repository: str, run: str) -> str:
    return str(root(repository) / "runs" / run)


def lay_out(
    repository: str, run: str, attempt: str, commit: str, trees: Mapping[str, Tree]
) -> list[str]:
    """Bring the files of a run to the state in `trees`: "tree", "output" and "attempt".

    Return the digests of the files that the host lacks: it is called again when it has them. An
    attempt at the run that a dead worker has left is ended first. Raises HostError.
    """
    base = root(repository)
    directory = base / "runs" / run
    directory.mkdir(parents=True, exist_ok=True)
    _end_others(directory, attempt)
    tree, output = directory / "tree", directory / "output"
    _bring_to_commit(base / "code.git", tree, commit)
    for path in walk(output).keys() - trees["output"].keys():
        (output / path).unlink()
    lacking: dict[str, None] = {}
    places = {"tree": tree, "output": output, "attempt": directory / attempt}
    for name, entries in trees.items():
        places[name].mkdir(parents=True, exist_ok=True)
        for path, entry in entries.items():
            if not _put(base, places[name] / path, entry):
                lacking[entry[3]] = None
    return list(lacking)


def _put(base: Path, path: Path, entry: Entry) -> bool:
    """Put a file or a link. Return False if the host lacks the content of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry[0] == "gone":
        path.unlink(missing_ok=True)
        return True
    if entry[0] == "link":
        if not (path.is_symlink() and str(path.readlink()) == entry[1]):
            path.unlink(missing_ok=True)
            path.symlink_to(entry[1])
        return True
    _, mode, size, digest = entry
    is_same = (
        path.is_file() and not path.is_symlink() and path.stat().st_size == size
    )
    if is_same and digest_of(path) == digest:
        path.chmod(mode)
        return True
    content = base / "content" / digest
    if not content.exists():
        return False
    path.unlink(missing_ok=True)
    shutil.copyfile(content, path)
    path.chmod(mode)
    return True


def _bring_to_commit(code: Path, tree: Path, commit: str) -> None:
    if tree.is_dir():
        with suppress(subprocess.CalledProcessError):
            if call_git(tree, "rev-parse", "HEAD").strip() == commit:
                call_git(tree, "reset", "-q", "--hard")
                call_git(tree, "clean", "-ffdxq")
                return
        shutil.rmtree(tree)
    with locked(code.parent / "code.lock"):
        call_git(code, "worktree", "prune")
        call_git(
            code, "worktree", "add", "-q", "--detach", "--force", str(tree), commit
        )


def lacks(expected: Mapping[str, Entry]) -> list[str]:
    """Return those of the absolute paths that are not here as expected."""
    missing = []
    for path, entry in expected.items():
        found = entry_of(Path(path)) if os.path.lexists(path) else None
        if found is None or found[0] != entry[0] or found[2:] != tuple(entry[2:]):
            missing.append(path)
    return missing


def results(repository: str, run: str, attempt: str) -> dict[str, Tree]:
    """Return what an attempt has left, as `lay_out` gets it."""
    directory = root(repository) / "runs" / run
    kept = walk(directory / attempt)
    for name in _STEERING:
        kept.pop(name, None)
    return {
        "tree": delta(directory / "tree"),
        "output": walk(directory / "output"),
        "attempt": kept,
    }


def read(repository: str, run: str, path: str, offset: int, size: int) -> bytes:
    """Return a part of a file of a run."""
    file_path = root(repository) / "runs" / run / path
    descriptor = os.open(file_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(size)


def news(
    repository: str, run: str, attempt: str, offsets: Mapping[str, int], most: int
) -> dict[str, bytes]:
    """Return what was added to files of an attempt, by name. The host knows that we still care."""
    directory = root(repository) / "runs" / run / attempt
    with suppress(OSError):
        os.utime(directory / "lease")
    added = {}
    for name, offset in offsets.items():
        with suppress(OSError):
            path = f"{attempt}/{name}"
            added[name] = read(repository, run, path, offset, most)
    return added


def forget(repository: str, run: str) -> None:
    """Remove the files of a run, unless an attempt at it runs."""
    directory = root(repository) / "runs" / run
    if directory.is_dir() and try_lock(directory / "lock") is not None:
        shutil.rmtree(directory, ignore_errors=True)


# ---- attempts


def sees(path: str) -> bool:
    """Return True if the host has this file: it shares the file system of the worker."""
    return Path(path).exists()


def renew(directory: str) -> None:
    """Let an attempt know that somebody still cares."""
    with suppress(OSError):
        os.utime(Path(directory, "lease"))


def carry_out(
    run: str,
    attempt: str,
    programs: str,
    order: Mapping[str, Any],
    job: str,
    lease_s: float,
    is_shared: bool,
) -> None:
    """Execute an attempt. This is the task that Dask executes. The attempt records its own end.

    `run` is the directory of the run, `attempt` is relative to it, and `programs` has gitorch. The
    attempt ends if nobody has asked for its news for `lease_s`: its worker is gone.
    """
    directory = Path(run, attempt)
    locks = []
    if not is_shared:
        lock = try_lock(Path(run, "lock"))
        if lock is None:
            raise HostError("another attempt at the run is running on the host")
        locks.append(lock)
    document = {**order, "argv": _argv(order["argv"])}
    (directory / "lease").touch()
    (directory / "order.json").write_text(json.dumps(document))
    keeper = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _KEEPER,
        programs,
        str(directory),
        job,
    ]
    try:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, *keeper],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=locks,
            start_new_session=True,
        )
    finally:
        for descriptor in locks:
            os.close(descriptor)
    _wait(guard, directory, order["token"], lease_s)
    _, printed = guard.communicate()
    if not (directory / "status.json").exists():
        reason = printed.decode(errors="replace").strip()
        raise HostError(reason[-1000:] or "the attempt did not start")


_KEEPER = """
import sys
sys.path.insert(0, sys.argv[1])
from gitorch.engines.keeper import main
sys.exit(main(sys.argv[2], sys.argv[3]))
"""


def _wait(
    guard: subprocess.Popen[bytes], directory: Path, token: str, lease_s: float
) -> None:
    while True:
        with suppress(subprocess.TimeoutExpired):
            guard.wait(_LOOK_S)
            return
        with suppress(OSError):
            if time.time() - (directory / "lease").stat().st_mtime > lease_s:
                message = f"nobody has asked for it for {lease_s:g} s"
                end(directory, token, {"kind": "lost", "message": message})


def request_end(
    repository: str, run: str, attempt: str, token: str, outcome: Mapping[str, Any]
) -> None:
    """End an attempt with this outcome, if it runs on this host."""
    end(root(repository) / "runs" / run / attempt, token, outcome)


def end(directory: Path, token: str, outcome: Mapping[str, Any]) -> None:
    with suppress(FileNotFoundError):
        aside = directory / ".cancel.json"
        aside.write_text(json.dumps({"token": token, "outcome": outcome}))
        aside.rename(directory / "cancel.json")


def _argv(argv: list[str]) -> list[str]:
    """Return the command. A Python that the host does not have is replaced by Dask's."""
    program = Path(argv[0])
    is_python = program.name.startswith("python")
    if program.is_absolute() and is_python and not program.exists():
        return [sys.executable, *argv[1:]]
    return argv


def _end_others(directory: Path, attempt: str) -> None:
    """End the attempt that a dead worker has left. Raises HostError if it does not end."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        lock = try_lock(directory / "lock")
        if lock is not None:
            os.close(lock)
            return
        for order in directory.glob("log/*/*/taken.*"):
            if str(order.parent.relative_to(directory)) != attempt:
                with suppress(OSError, ValueError, KeyError):
                    token = json.loads(order.read_text())["token"]
                    end(
                        order.parent,
                        token,
                        {"kind": "lost", "message": "superseded"},
                    )
        if time.monotonic() > deadline:
            raise HostError("an earlier attempt at the run does not end")
        time.sleep(_LOOK_S)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        receive,
        keep_content,
        commits,
        take_pack,
        has_program,
        take_program,
        run_directory,
        lay_out,
        lacks,
        results,
        read,
        news,
        forget,
        sees,
        renew,
        request_end,
    )
}

"""The environments that are built from locks: `<workspace>/environments/<name>`.

The name is made of the lock and the Python, so all runs with the same lock share an environment.
A virtual environment cannot be moved. It is therefore built in its final place, and is used only if
the file `about.json`, which is written last, is there. The directory itself is the lock of its
environment: who builds or removes it holds the lock alone. Each process that has asked for an
environment shares the lock until the process ends, so nothing that it uses is removed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitorch.errors import Refused
from gitorch.git.store.objects import read_objects
from gitorch.git.worktree.trash import move_to_trash
from gitorch.interpreter.choose import choose
from gitorch.interpreter.lock_files import (
    Lock,
    PinnedFiles,
    find_lock,
    local_projects,
)
from gitorch.interpreter.locked_environment import (
    Construction,
    Program,
    Python,
    build,
    find_program,
    python_for,
)
from gitorch.interpreter.probe import probe
from gitorch.model.run.identity import digest
from gitorch.model.run.locked_python import LockedPython
from gitorch.model.run.pin import Pin
from gitorch.storage.contents import Notify, ignore_notice
from gitorch.storage.leftovers import ENVIRONMENTS
from gitorch.storage.scratch import scratch
from gitorch.tools.files import delete, write_aside
from gitorch.tools.filesystem import flush
from gitorch.tools.locks import only_one_at, only_one_at_now, share
from gitorch.tools.private import private_directory
from gitorch.tools.untrusted import read_plain

if TYPE_CHECKING:
    from gitorch.storage.site import Site

_ABOUT = "about.json"
_LARGEST_ABOUT = 4 << 20  # bytes
_TRIES = 100


class LockedEnvironment(Struct, frozen=True, kw_only=True):
    """An environment that is there: its interpreter, and the projects it leaves to the worktree."""

    executable: str
    projects: tuple[str, ...]  # relative to the root of the repository


class Unneeded(NamedTuple):
    """An environment that no live run needs. It is not complete if its build was killed."""

    path: Path
    is_complete: bool

    @property
    def why(self) -> str:
        if self.is_complete:
            return "no live run needs this environment"
        return "an environment whose build was killed"


class LockedEnvironments:
    """The environments of a workspace. Any thread may use this."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._root = site.workspace / ENVIRONMENTS
        self._lock = threading.Lock()
        self._locks: dict[tuple[str, LockedPython], Lock] = {}
        self._held: dict[Path, int] = {}  # descriptors of the shared locks
        self._known: dict[Path, LockedEnvironment] = {}

    def provide(
        self,
        locked: LockedPython,
        pin: Pin,
        environ: Mapping[str, str],
        *,
        recorded: str | None = None,
        notify: Notify = ignore_notice,
    ) -> LockedEnvironment:
        """Return the environment of the lock in the pin, which is built if it is not there.

        `recorded` is the interpreter that a run was readied with. It is used again if it belongs
        to the same lock. `notify` is called before the environment is built. Raises Refused if
        there is no lock or if it cannot be satisfied, ProgramMissing, UserInterrupted, OSError.
        """
        with self._lock:
            lock = self._lock_in(locked, pin)
            chosen: Python | None = None
            directory = self._recorded_directory(lock, recorded)
            if directory is None or not _is_complete(directory):
                chosen = self._python(lock, environ)
                directory = self._directory(lock, chosen)
            for _ in range(_TRIES):
                if self._hold(directory):
                    return _with_project(self._about(directory), lock)
                chosen = chosen or self._python(lock, environ)
                self._build(directory, lock, locked, pin, chosen, environ, notify)
            raise OSError(f"other programs remove {directory} again and again")

    def is_held(self, executable: str) -> bool:
        """Return True if this process has asked for the environment, and it is there."""
        directory = self._directory_of(executable)
        return directory in self._held and _is_complete(directory)

    def unneeded(self, interpreters: Iterable[str]) -> Iterator[Unneeded]:
        """Yield the environments that none of the interpreters of live runs is in.

        Those that a process uses or builds are left out.
        """
        needed = set(map(self._directory_of, interpreters))
        for directory in sorted(self._entries()):
            if directory in needed:
                continue
            with only_one_at_now(directory / _ABOUT) as is_free:
                if not is_free:
                    continue
            yield Unneeded(directory, _is_complete(directory))

    def remove(self, directory: Path, needed: Iterable[str]) -> bool:
        """Move an environment to the trash. Return False if it is needed again.

        `needed` yields the interpreters of the live runs, and is read under the lock.
        """
        with only_one_at_now(directory / _ABOUT) as is_free:
            if not is_free:
                return False
            if directory in map(self._directory_of, needed):
                return False
            move_to_trash(self._site.repository, directory)
        return True

    def _directory_of(self, interpreter: str) -> Path | None:
        """Return the directory of the environment that an interpreter is in, None if in none."""
        path = Path(interpreter)
        if not path.is_relative_to(self._root) or path == self._root:
            return None
        return self._root / path.relative_to(self._root).parts[0]

    def _entries(self) -> list[Path]:
        if self._root.is_symlink():
            return []
        try:
            entries = list(self._root.iterdir())
        except FileNotFoundError:
            return []
        return [
            entry for entry in entries if entry.is_dir() and not entry.is_symlink()
        ]

    def _lock_in(self, locked: LockedPython, pin: Pin) -> Lock:
        key = (pin.tree, locked)
        if key not in self._locks:
            self._locks[key] = find_lock(locked, self._files(pin))
        return self._locks[key]

    def _files(self, pin: Pin) -> PinnedFiles:
        oids = {}
        for file in self._site.code.files(pin.tree):
            if not (file.is_link or file.is_submodule):
                oids[file.path] = file.oid

        def read(path: str) -> bytes:
            (data,) = read_objects(self._site.repository.root, [oids[path]])
            return data or b""

        return PinnedFiles(pin.commit, oids, read)

    def _python(self, lock: Lock, environ: Mapping[str, str]) -> Python:
        """Return the Python to build with: the project's own, without its environment."""
        if lock.kind == "conda" or lock.python is not None:
            return python_for(lock, "", "")
        repository = self._site.repository
        chosen = choose(None, repository.root, environ)
        interpreter = probe(
            chosen,
            cwd=repository.main_root,
            env=environ,
            memory=self._site.interpreters,
        )
        return python_for(lock, interpreter.executable, interpreter.version)

    def _directory(self, lock: Lock, python: Python) -> Path:
        libc = ""
        with suppress(ValueError, OSError):  # not of GNU
            libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
        kind = digest([python, os.uname().machine, libc])
        return self._root / f"{lock.digest[:16]}-{kind[:8]}"

    def _recorded_directory(self, lock: Lock, recorded: str | None) -> Path | None:
        """Return the directory of a recorded interpreter, if it was built from this lock."""
        directory = self._directory_of(recorded or "")
        if directory and directory.name.startswith(f"{lock.digest[:16]}-"):
            return directory
        return None

    def _hold(self, directory: Path) -> bool:
        """Share the lock of a complete environment. Return False if it is not complete."""
        if directory in self._held:
            if _is_complete(directory):
                return True
            # It was removed by hand. Who builds it needs the lock alone.
            os.close(self._held.pop(directory))
            self._known.pop(directory, None)
        if not _is_complete(directory):
            return False
        descriptor = share(directory / _ABOUT)
        if _is_complete(directory):
            self._held[directory] = descriptor
            return True
        os.close(descriptor)
        return False

    def _about(self, directory: Path) -> LockedEnvironment:
        if directory not in self._known:
            data = read_plain(
                directory / _ABOUT, _LARGEST_ABOUT, below=self._site.workspace
            )
            self._known[directory] = LockedEnvironment(
                executable=str(_python_in(directory)),
                projects=tuple(json.loads(data)["projects"]),
            )
        return self._known[directory]

    def _build(
        self,
        directory: Path,
        lock: Lock,
        locked: LockedPython,
        pin: Pin,
        python: Python,
        environ: Mapping[str, str],
        notify: Notify,
    ) -> None:
        program = find_program(locked.tool, environ)
        projects = local_projects(lock)
        self._site.repository.make_workspace()
        private_directory(self._root)
        target = directory / "venv"
        with only_one_at(directory / _ABOUT) as held:
            if _is_complete(directory):
                return  # another program has built it
            # The mark first: it must not be beside an environment that is being built.
            (directory / _ABOUT).unlink(missing_ok=True)
            delete(target)
            notify(f"building the environment of {lock.path} with {program.name}")
            try:
                with scratch(self._site, pin.commit) as tree:
                    build(
                        Construction(
                            program,
                            lock,
                            target,
                            tree,
                            python,
                            projects,
                            locked.options,
                            environ,
                            pass_fds=(held,),
                        )
                    )
                _require_python(directory, lock)
            except BaseException:
                delete(target)
                with suppress(OSError):
                    directory.rmdir()
                raise
            # The files must survive a power cut that the mark survives.
            flush(directory)
            about = _description(
                lock, program, python, [project.path for project in projects]
            )
            write_aside(directory / _ABOUT, about, durable=True)


def _with_project(environment: LockedEnvironment, lock: Lock) -> LockedEnvironment:
    """Add the project that the lock belongs to, which only a uv.lock always names."""
    if not lock.is_of_project or lock.directory in environment.projects:
        return environment
    return replace(environment, projects=(*environment.projects, lock.directory))


def _description(
    lock: Lock, program: Program, python: Python, projects: list[str]
) -> bytes:
    about = {
        "lock": lock.path,
        "digest": lock.digest,
        "program": program.path,
        "python": python.path or python.request,
        "projects": projects,
    }
    return json.dumps(about, indent=1).encode()


def _require_python(directory: Path, lock: Lock) -> None:
    if not _python_in(directory).exists():
        raise Refused(
            f"the environment of {lock.path} has no Python",
            "add python to its dependencies",
        )


def _is_complete(directory: Path) -> bool:
    return (directory / _ABOUT).exists() and _python_in(directory).exists()


def _python_in(directory: Path) -> Path:
    return directory / "venv" / "bin" / "python"

"""The lock in a pin: which file it is, what decides the environment, and what is left out of it.

Projects that lie in the repository are not installed: their code comes from the worktree. The
formats are uv.lock (version 1), pylock.toml (PEP 751), and the requirements files of pip, in which
every line must have a hash.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from gitorch.errors import Refused
from gitorch.model.run.locked_python import LockedPython

_FORMAT = 1  # of the digest, and of what is built from a lock
LOOKED_FOR = (
    "uv.lock, pylock.toml, and a requirements*.txt in which every line has a hash"
)
_HINT = "uv lock makes a uv.lock; commit it"
_REQUIRES = re.compile(rb'^requires-python = "([^"]*)"', re.MULTILINE)
# Packages in files and directories of this machine, in a uv.lock.
_LOCAL_SOURCE = re.compile(
    rb'^source = \{ (?:registry|path) = "([^"]+)"', re.MULTILINE
)
_PROJECT = re.compile(r"(?:-e|--editable)[ =]\s*(?P<editable>\S+)|(?P<plain>\.\S*)")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_OPTIONS = (  # lines of a requirements file that name no package
    "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index",
    "--no-binary", "--only-binary", "--prefer-binary", "--pre", "--trusted-host",
)  # fmt: skip
_VERSION = re.compile(r"[A-Za-z0-9<>=~!][\w.@+*<>=~!,-]*")

Kind = Literal["uv", "pylock", "requirements", "conda"]


class PinnedFiles(NamedTuple):
    """The regular files of a commit: their object ids by path, and a function that reads one."""

    commit: str
    oids: Mapping[str, str]
    read: Callable[[str], bytes]

    def below(self, path: str) -> list[tuple[str, str]]:
        """Return path and id of the file at `path`, or of all files in the directory `path`."""
        prefix = "" if path == "." else f"{path}/"
        return [
            (name, oid)
            for name, oid in self.oids.items()
            if name == path or name.startswith(prefix)
        ]


class Lock(Struct, frozen=True, kw_only=True):
    """A lock in a pin.

    `digest` is that of everything in the pin that decides what is installed. `python` is the
    version that the pin or the config asks for. `requires` is the range of versions that the lock
    was made for. `is_of_project`: it lies beside the file that describes a project.
    """

    path: str
    kind: Kind
    data: bytes
    digest: str
    python: str | None = None
    requires: str | None = None
    is_of_project: bool = False

    @property
    def directory(self) -> str:
        return posixpath.dirname(self.path) or "."


class LocalProject(NamedTuple):
    """A project in the repository. Its code comes from the worktree. `name` may be unknown."""

    path: str  # relative to the root of the repository
    name: str | None = None


def find_lock(locked: LockedPython, files: PinnedFiles) -> Lock:
    """Return the lock in the pin. Raises Refused if there is none that can be used."""
    if locked.tool == "conda":
        path = locked.file or ""
        if path not in files.oids:
            raise _missing(path, files, "commit it, or name another: conda: FILE")
        data = files.read(path)
        return Lock(
            path=path,
            kind="conda",
            data=data,
            digest=_digest([data]),
            is_of_project=_has_project(posixpath.dirname(path), files),
        )
    path = _path_of_lock(locked, files)
    kind = _kind(path)
    if kind != "uv" and locked.options:
        raise Refused(
            f"{locked.options[0]} chooses from a uv.lock, but the lock is {path}",
            "leave it out of `python:`, or make a uv.lock: uv lock",
        )
    data = files.read(path)
    if kind == "requirements":
        _require_hashes(path, data)
    directory = posixpath.dirname(path)
    requires = _REQUIRES.search(data)
    asked = _python_version(directory, files)
    considered = [
        data,
        [path, locked.options, asked],
        _settings_of_uv(directory, files),
        _local_sources(path, data, files) if kind == "uv" else [],
    ]
    return Lock(
        path=path,
        kind=kind,
        data=data,
        digest=_digest(considered),
        python=locked.python or asked,
        requires=requires[1].decode() if requires else None,
        is_of_project=_has_project(directory, files),
    )


def local_projects(lock: Lock) -> list[LocalProject]:
    """Return the projects in the repository that the lock names. Raises Refused."""
    found: dict[LocalProject, None] = {}
    for name, path in _LOCAL_PROJECTS[lock.kind](lock):
        found[LocalProject(_inside(lock, path, name), name)] = None
    return list(found)


def without_projects(lock: Lock) -> bytes:
    """Return the text of a lock that is not a uv.lock, without the projects in the repository.

    Raises Refused if a pylock.toml is not written as uv, pip and PDM write it.
    """
    text = lock.data.decode()
    if lock.kind == "requirements":
        lines = []
        for _, line in _logical_lines(text):
            if _project_path(line) is None:
                lines.append(line)
        return "".join(f"{line}\n" for line in lines).encode()
    wanted = _parsed(lock)
    wanted["packages"] = [
        package for package in wanted["packages"] if "directory" not in package
    ]
    blocks = re.split(r"^(?=\[\[packages\]\])", text, flags=re.MULTILINE)
    kept = [blocks[0]]
    for block in blocks[1:]:
        package = tomllib.loads(block)["packages"][0]
        if "directory" not in package:
            kept.append(block)
    remaining = "".join(kept)
    read_again = tomllib.loads(remaining)
    if read_again.get("packages", []) != wanted["packages"]:
        raise Refused(
            f"{lock.path} has packages in an order that gitorch does not know",
            "write it anew: uv export --format pylock.toml -o pylock.toml",
        )
    return remaining.encode()


def satisfies(version: str, wanted: str) -> bool:
    """Return True if a version of Python, such as 3.11.7, is in a range, such as `>=3.9,<4`."""
    return all(_is_in(version, clause.strip()) for clause in wanted.split(","))


def _path_of_lock(locked: LockedPython, files: PinnedFiles) -> str:
    if locked.file is not None:
        if locked.file not in files.oids:
            raise _missing(locked.file, files, _HINT)
        return locked.file
    for name in ("uv.lock", "pylock.toml"):
        if name in files.oids:
            return name
    return _path_of_requirements(files)


def _path_of_requirements(files: PinnedFiles) -> str:
    """Return the only requirements*.txt in which every line has a hash. Raises Refused."""
    faults: list[str] = []
    hashed = []
    for path in sorted(files.oids):
        if "/" in path or not fnmatchcase(path, "requirements*.txt"):
            continue
        try:
            _require_hashes(path, files.read(path))
            hashed.append(path)
        except Refused as error:
            faults.append(error.message)
    if not hashed:
        details = "; ".join(["", *faults])
        raise Refused(
            f"commit {files.commit[:12]} has no lock for `python: uv` "
            f"(looked for {LOOKED_FOR}{details})",
            _HINT,
        )
    if len(hashed) > 1 and "requirements.txt" not in hashed:
        raise Refused(
            f"commit {files.commit[:12]} has several locks: {', '.join(hashed)}",
            f"name one of them: python: uv {hashed[0]}",
        )
    return "requirements.txt" if "requirements.txt" in hashed else hashed[0]


def _missing(path: str, files: PinnedFiles, hint: str) -> Refused:
    return Refused(f"there is no file {path} in commit {files.commit[:12]}", hint)


def _kind(path: str) -> Kind:
    name = posixpath.basename(path)
    if name == "uv.lock":
        return "uv"
    if name.endswith(".toml"):
        return "pylock"
    return "requirements"


def _python_version(directory: str, files: PinnedFiles) -> str | None:
    """Return the version in the `.python-version` of the project, or of the repository."""
    for place in dict.fromkeys((directory, "")):
        path = posixpath.join(place, ".python-version")
        if path not in files.oids:
            continue
        for line in files.read(path).decode("utf-8", "replace").splitlines():
            word = line.strip()
            if not word or word.startswith("#"):
                continue
            if not _VERSION.fullmatch(word):
                raise Refused(
                    f"{path} names {word!r}, which is not a version of Python",
                    "write it like 3.12",
                )
            return word
    return None


def _has_project(directory: str, files: PinnedFiles) -> bool:
    """Return True if a file in the directory describes a Python project."""
    path = posixpath.join(directory, "pyproject.toml")
    if path in files.oids:
        tables = _toml(path, files.read(path))
        if "project" in tables or "build-system" in tables:
            return True
    return posixpath.join(directory, "setup.py") in files.oids


def _settings_of_uv(directory: str, files: PinnedFiles) -> list[Any]:
    """Return the settings of uv in the project, which say how packages are installed."""
    settings: list[Any] = []
    for name in ("pyproject.toml", "uv.toml"):
        path = posixpath.join(directory, name)
        if path in files.oids:
            document = _toml(path, files.read(path))
            if name == "pyproject.toml":
                document = document.get("tool", {}).get("uv", {})
            settings.append([name, document])
    return settings


def _local_sources(
    path: str, data: bytes, files: PinnedFiles
) -> list[tuple[str, str]]:
    """Return path and id of the archives in the repository that a uv.lock takes packages from.

    A uv.lock has no hashes of them. Raises Refused if they are beside the repository.
    """
    found: list[tuple[str, str]] = []
    for written in sorted(set(_LOCAL_SOURCE.findall(data))):
        source = written.decode()
        if "://" in source or source.startswith("/"):
            continue
        place = posixpath.normpath(posixpath.join(posixpath.dirname(path), source))
        if place.startswith("../"):
            raise Refused(
                f"{path} takes packages from {source}, which is not in the repository",
                "commit them, or write an absolute path: a worktree lies elsewhere",
            )
        found += files.below(place)
    return found


def _projects_of_uv(lock: Lock) -> Iterator[tuple[str | None, str]]:
    for package in _parsed(lock).get("package", []):
        source = package.get("source", {})
        for kind in ("editable", "virtual", "directory"):
            if kind in source:
                yield package["name"], source[kind]


def _projects_of_pylock(lock: Lock) -> Iterator[tuple[str | None, str]]:
    for package in _parsed(lock).get("packages", []):
        if "directory" in package:
            yield package["name"], package["directory"]["path"]


def _projects_of_requirements(lock: Lock) -> Iterator[tuple[str | None, str]]:
    for _, line in _logical_lines(lock.data.decode()):
        path = _project_path(line)
        if path is not None:
            yield None, path


def _no_projects(lock: Lock) -> Iterator[tuple[str | None, str]]:
    yield from ()


_LOCAL_PROJECTS: Mapping[
    Kind, Callable[[Lock], Iterator[tuple[str | None, str]]]
] = {
    "uv": _projects_of_uv,
    "pylock": _projects_of_pylock,
    "requirements": _projects_of_requirements,
    "conda": _no_projects,
}


def _inside(lock: Lock, written: str, name: str | None) -> str:
    """Return the path of a project, relative to the root. Raises Refused if it is outside."""
    path = posixpath.normpath(posixpath.join(lock.directory, written))
    if path.startswith(("/", "../")) or path == "..":
        raise Refused(
            f"{lock.path} takes {name or 'a project'} from {written}, which is not in the "
            "repository, so no commit says which code that is",
            "depend on a released version or on a commit: "
            "uv add 'NAME @ git+https://…'; then uv lock",
        )
    return path


def _require_hashes(path: str, data: bytes) -> None:
    """Raise Refused if a line of a requirements file names a package without a hash."""
    count = 0
    for number, line in _logical_lines(data.decode("utf-8", "replace")):
        if re.split(r"[\s=]", line)[0] in _OPTIONS:
            continue
        count += 1
        if "--hash" not in line and _project_path(line) is None:
            raise Refused(
                f"{path}:{number}: {line.split()[0]!r} has no hash",
                f"uv export --format requirements.txt -o {path} writes hashes",
            )
    if not count:
        raise Refused(f"{path} names no package", _HINT)


def _project_path(line: str) -> str | None:
    """Return the directory of a project that a line of a requirements file names."""
    match = _PROJECT.match(line)
    if match is None or "--hash" in line:
        return None
    path: str = match["editable"] or match["plain"]
    path = path.removeprefix("file:").partition("[")[0]
    if path.endswith(_ARCHIVES) or "://" in path:
        return None
    return path


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a requirements file, without comments, and with their numbers.

    A line that ends in a backslash continues.
    """
    begun = ""
    first = 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if begun else number
        stripped = re.sub(r"(^|\s)#.*$", "", line).strip()
        begun = f"{begun} {stripped.removesuffix(chr(92))}".strip()
        if not stripped.endswith("\\"):
            if begun:
                yield first, begun
            begun = ""
    if begun:
        yield first, begun


def _is_in(version: str, clause: str) -> bool:
    match = re.fullmatch(r"(>=|<=|==|!=|~=|>|<)\s*([\d.]+?)(\.\*)?", clause)
    if match is None:
        return False
    operator, bound, is_prefix = match.groups()
    given = _numbers(version)
    limit = _numbers(bound)
    depth = bound.count(".") + 1
    is_same = given[:depth] == limit[:depth] if is_prefix else given == limit
    match operator:
        case "==":
            return is_same
        case "!=":
            return not is_same
        case ">=":
            return given >= limit
        case "<=":
            return given <= limit
        case ">":
            return given > limit
        case "<":
            return given < limit
        case _:
            return given >= limit and given[: depth - 1] == limit[: depth - 1]


def _numbers(version: str) -> tuple[int, ...]:
    """Return the parts of a version, filled up so that 3.11 equals 3.11.0."""
    parts = [int(part) for part in version.split(".") if part]
    return (*parts, 0, 0, 0)[:4]


def _parsed(lock: Lock) -> dict[str, Any]:
    return _toml(lock.path, lock.data)


def _toml(path: str, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode())
    except ValueError as error:
        raise Refused(f"{path} is not TOML: {error}") from None


def _digest(considered: list[Any]) -> str:
    text = json.dumps([_FORMAT, *considered], sort_keys=True, default=_in_json)
    return hashlib.sha256(text.encode()).hexdigest()


def _in_json(value: Any) -> str:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return str(value)  # a date

"""The layout of the results branch: all paths on it are defined here.

    runs/<first 2 of id>/<id>/
        record.json, config.yaml, bases/<n>-<name>, .gitattributes
        tasks/<task>/<attempt>/attempt.json, log.txt, events.jsonl, series.jsonl,
            changes.diff, used.json, .gitattributes
        outputs/<path>
    killed/<first 2 of id>/<id>
    environments/<first 2 of digest>/<digest>.json

The runs are distributed over 256 directories, because an insertion into a flat tree of 20,000
entries takes 40 times as long.
"""

from __future__ import annotations

import re

from msgspec import Struct

RUNS = "runs/"
KILLED = "killed/"
ENVIRONMENTS = "environments/"
# The names that belong to gitorch at the top level of the branch.
OWN_NAMES = frozenset({b"README.md", b"runs", b"killed", b"environments"})

RECORD = "record.json"
CONFIG = "config.yaml"
ATTEMPT = "attempt.json"
LOG = "log.txt"
EVENTS = "events.jsonl"
SERIES = "series.jsonl"
CHANGES = "changes.diff"
USED = "used.json"
ATTRIBUTES = ".gitattributes"

# HFS+ ignores these characters in a name, so git refuses a `.git` that contains them.
# Compiled where it is used, which is seldom.
_IGNORED = "[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]"
# Names that must be escaped. `gi…~` are the short names that NTFS gives to .git, .gitmodules and
# others. `%` is the escape character itself.
_GIT_NAME = re.compile(r"\.git|gi[^~]*~|%", re.IGNORECASE)
# Found in every ASCII path with such a name, and in few others.
_MAY_NEED_ESCAPE = re.compile(r"[%~]|\.git", re.IGNORECASE)
# NTFS ignores spaces and dots at the end of a name, and everything after a colon.
_DOT_GIT = r"(?is)(?:\.git|git~1)[ .]*(?::.*)?\Z"
_COMPONENT = re.compile(r"[^/\\]+")
# The two digits before the id are the first of the id.
_RUN = re.compile(r"runs/(?=(..)/\1)../([0-9a-f]{12})(?=/|\Z)", re.DOTALL)


class AttemptPaths(Struct, frozen=True):
    """The paths of one attempt at a task."""

    directory: str

    @property
    def attempt(self) -> str:
        return f"{self.directory}/{ATTEMPT}"

    @property
    def log(self) -> str:
        return f"{self.directory}/{LOG}"

    @property
    def used(self) -> str:
        return f"{self.directory}/{USED}"

    @property
    def attributes(self) -> str:
        return f"{self.directory}/{ATTRIBUTES}"

    def file(self, name: str) -> str:
        return f"{self.directory}/{name}"


class RunPaths(Struct, frozen=True):
    """The paths of one run."""

    directory: str

    @classmethod
    def of(cls, run_id: str) -> RunPaths:
        return cls(f"{RUNS}{run_id[:2]}/{run_id}")

    @property
    def record(self) -> str:
        return f"{self.directory}/{RECORD}"

    @property
    def attributes(self) -> str:
        return f"{self.directory}/{ATTRIBUTES}"

    @property
    def tasks(self) -> str:
        return f"{self.directory}/tasks"

    @property
    def outputs(self) -> str:
        return f"{self.directory}/outputs"

    def attempt(self, task: str, number: int) -> AttemptPaths:
        return AttemptPaths(f"{self.tasks}/{task}/{number}")

    def output(self, path: str) -> str:
        """Return the path on the branch of the output at `path` in the output directory."""
        return self.file(output_name(path))

    def file(self, name: str) -> str:
        return f"{self.directory}/{name}"


def killed_mark(run_id: str) -> str:
    """Return the path of the file that marks a run as killed.

    A merge with another clone's branch does not bring a marked run back.
    """
    return f"{KILLED}{run_id[:2]}/{run_id}"


def environment_path(digest: str) -> str:
    """Return the path of the environment with this SHA-256, which all of its runs share."""
    return f"{ENVIRONMENTS}{digest[:2]}/{digest}.json"


def run_of(path: str) -> str | None:
    """Return the id of the run to which a path belongs, or None if it belongs to no run."""
    match = _RUN.match(path)
    return match[2] if match else None


def output_name(path: str) -> str:
    """Return the path of an output relative to the directory of its run."""
    return f"outputs/{escaped(path)}"


def escaped(path: str) -> str:
    """Return `path` with a `%` before each component that git would refuse or treat as its own."""
    if path.isascii() and not _MAY_NEED_ESCAPE.search(path):
        return path

    def escape(component: re.Match[str]) -> str:
        name = component[0]
        name_for_git = re.sub(_IGNORED, "", name)
        if _GIT_NAME.match(name_for_git):
            return f"%{name}"
        return name

    return _COMPONENT.sub(escape, path)


def escaped_for_checkout(path: str, *, is_link: bool = False) -> str:
    """Return `path` with a `%` before each component that git refuses to check out.

    These are `.git`, and every name that HFS+ or NTFS treats as `.git`. A symbolic link must not be
    named `.gitmodules`, `.gitattributes` or the like either (verify_path in git's read-cache.c).
    """
    *directories, name = path.split("/")
    components = []
    for directory in directories:
        components.append(f"%{directory}" if _is_dot_git(directory) else directory)
    if _is_dot_git(name) or (is_link and _is_git_name(name)):
        name = f"%{name}"
    return "/".join([*components, name])


def _is_dot_git(name: str) -> bool:
    """Return True for `.git` and its other names, also behind the `%` of an escaped name."""
    bare = re.sub(_IGNORED, "", name).lstrip("%")
    return any(re.match(_DOT_GIT, part) for part in bare.split("\\"))


def _is_git_name(name: str) -> bool:
    return _GIT_NAME.match(re.sub(_IGNORED, "", name).lstrip("%")) is not None


def unescaped(stored: str) -> str:
    """Return the path from which `escaped` made `stored`."""
    return re.sub(r"(?<![^/\\])%", "", stored)

"""The repository that gitorch was called in: its places, its settings, and whether it can be worked with."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from gitorch.errors import NotFound, Refused
from gitorch.git.command import (
    SETTING_VARIABLES,
    call_git_items,
    call_git_text,
    run_git,
)
from gitorch.model.settings import Settings, parse_settings
from gitorch.tools.faults import boundary
from gitorch.tools.files import write_aside

if TYPE_CHECKING:
    import pygit2

_QUESTIONS = (
    "--is-bare-repository",
    "--show-object-format",
    "--path-format=absolute",
    "--absolute-git-dir",
    "--git-common-dir",
    "--show-toplevel",  # last: it fails where there is no work tree, and the other answers still tell why
)
_REFTABLE = (
    "its references are kept in a reftable, which gitorch cannot write",
    "git refs migrate --ref-format=files (git 2.48 and newer)",
)
_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


class Signature(NamedTuple):
    """Who commits."""

    name: str
    email: str


class Repository(Struct, frozen=True, dict=True):
    """A non-bare repository, seen from one of its worktrees.

    `root` is the top of the worktree it was called in, `git_dir` that worktree's own directory (HEAD, index),
    `common_dir` what all worktrees share, `main_root` the top of the main worktree.
    """

    root: Path
    git_dir: Path
    common_dir: Path

    @classmethod
    def discover(cls, start: Path) -> Repository:
        """The repository that `start` lies in; what a caller's GIT_DIR says is left aside.

        Raises NotFound where there is none, Refused where there is one that gitorch cannot work with.
        """
        if not start.is_dir():
            raise NotFound(f"no such directory: {start}")
        result = run_git(start, "rev-parse", *_QUESTIONS, env={"LC_ALL": "C"})
        answers = os.fsdecode(result.stdout).removesuffix("\n").split("\n")
        if len(answers) < 4:
            raise _unreadable(start, os.fsdecode(result.stderr))
        if answers[0] == "true":
            raise Refused(
                f"{answers[2]} is a bare repository, without a work tree to run from",
                f"git clone {answers[2]} and work in the clone",
            )
        if result.returncode:
            raise NotFound(
                f"{start} lies inside a git directory, not in a work tree", "cd to the work tree"
            )
        if len(answers) != 5:
            raise Refused(
                "the path of the repository contains a line break", "move it to a path without one"
            )
        if answers[1] != "sha1":
            raise Refused(
                f"the repository's objects are named by {answers[1].upper()}, which gitorch cannot read",
                "git init --object-format=sha1 makes one that it can",
            )
        git_dir, common_dir, root = map(Path, answers[2:])
        if (common_dir / "reftable").is_dir():
            raise Refused(*_REFTABLE)
        if common_dir.stat().st_uid != os.geteuid():
            raise _foreign(common_dir)
        return cls(root=root, git_dir=git_dir, common_dir=common_dir)

    @cached_property
    def main_root(self) -> Path:
        """The top of the main worktree; where git itself cannot tell it from here, `home`."""
        return self.root if self.git_dir == self.common_dir else self.home

    @cached_property
    def home(self) -> Path:
        """What names this repository, the same from all its worktrees: in most the top of the main one."""
        if self.common_dir.name == ".git":
            return self.common_dir.parent
        inside = self.git_config.get("core.worktree")  # as of a submodule
        return Path(os.path.normpath(self.common_dir / inside[-1])) if inside else self.common_dir

    @cached_property
    def pygit(self) -> pygit2.Repository:
        """This worktree's repository for objects and references, whose writes of references survive a power cut."""
        import pygit2  # noqa: PLC0415  50 ms that listing and showing do not need

        pygit2.settings.enable_fsync_gitdir(True)
        return pygit2.Repository(str(self.root))

    # Places

    @property
    def store_dir(self) -> Path:
        """Where files lie that must be on the file system of the objects."""
        return self.common_dir / "gitorch"

    @cached_property
    def state_dir(self) -> Path:
        """Where the queue, locks and this clone's id are kept; made if missing."""
        chosen = self.settings.state_dir
        path = self._own_directory_in(Path(chosen)) if chosen else self.store_dir
        path.mkdir(parents=True, exist_ok=True)
        return path

    @cached_property
    def workspace(self) -> Path:
        """Where the worktrees and live outputs of this repository's runs are; not made here."""
        chosen = os.environ.get("GITORCH_WORKSPACE") or self.settings.workspace
        if chosen:
            return self._own_directory_in(Path(chosen))
        sibling = self.home.with_name(f"{self.home.name}.gitorch")
        if _is_writable(sibling) and not _is_in_work_tree(sibling):
            return sibling
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return self._own_directory_in(Path(data) / "gitorch")

    def _own_directory_in(self, parent: Path) -> Path:
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:8]
        return self.home / parent.expanduser() / f"{self.home.name}-{digest}"

    def clone_id(self) -> str:
        """What tells this clone from all others: drawn once, by whoever asks first."""
        path = self.state_dir / "clone-id"
        if not path.exists():
            drawn = path.with_name(f"clone-id.{secrets.token_hex(4)}")
            write_aside(drawn, f"{secrets.token_hex(6)}\n".encode(), durable=True)
            try:
                path.hardlink_to(
                    drawn
                )  # unlike a rename it does not replace what another process drew meanwhile
            except FileExistsError:
                pass
            finally:
                drawn.unlink()
            boundary()
        return path.read_text(encoding="ascii").strip()

    # Settings

    @cached_property
    def git_config(self) -> dict[str, list[str]]:
        """All of git's configuration as the caller sees it (`git -c` included); names as git spells them in lists."""
        keep = {name: os.environ[name] for name in SETTING_VARIABLES if name in os.environ}
        values: dict[str, list[str]] = {}
        for item in call_git_items(self.root, "config", "--list", "-z", env=keep):
            name, _, value = item.partition("\n")
            values.setdefault(name, []).append(value if "\n" in item else "true")
        return values

    @cached_property
    def settings(self) -> Settings:
        """The values of `git config gitorch.*`. Raises UsageError."""
        return parse_settings({name: values[-1] for name, values in self.git_config.items()})

    def remotes(self) -> dict[str, str]:
        """The address of each remote by its name, `url.<base>.insteadOf` applied."""
        shortcuts = {
            short: base.removeprefix("url.").removesuffix(".insteadof")
            for base, shorts in self.git_config.items()
            if base.startswith("url.") and base.endswith(".insteadof")
            for short in shorts
        }
        remotes = {}
        for name, urls in self.git_config.items():
            if name.startswith("remote.") and name.endswith(".url"):
                short = max(
                    (short for short in shortcuts if urls[0].startswith(short)), key=len, default=""
                )
                remotes[name[len("remote.") : -len(".url")]] = (
                    shortcuts.get(short, "") + urls[0][len(short) :]
                )
        return remotes

    def signature(self) -> Signature:
        """Who commits, as git would have it, or the account's name where git was told none."""
        return Signature(
            _plain(self._told("name") or _account()),
            _plain(self._told("email") or f"{_account()}@{socket.gethostname()}"),
        )

    def _told(self, what: str) -> str | None:
        told = os.environ.get(f"GIT_AUTHOR_{what.upper()}")
        return (
            told
            or self.git_config.get(f"author.{what}", self.git_config.get(f"user.{what}", [None]))[
                -1
            ]
        )

    def pager(self) -> str:
        """The command that git would show long output with."""
        return call_git_text(self.root, "var", "GIT_PAGER")

    # Conditions

    def require_commit(self) -> str:
        """HEAD's commit. Raises Refused where there is none yet."""
        result = run_git(self.root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if result.returncode:
            raise Refused(
                "the repository has no commit yet, so there is no code to pin",
                "git add . && git commit -m 'first commit'",
            )
        return result.stdout.decode().strip()

    def require_no_merge(self) -> None:
        """Raises Refused in the middle of a merge, rebase, cherry-pick or revert."""
        for name, what in _IN_PROGRESS.items():
            if (self.git_dir / name).exists():
                raise Refused(
                    f"a {what} is in progress in {self.root}",
                    f"finish it, or give it up with: git {what} --abort",
                )


def _unreadable(start: Path, said: str) -> NotFound | Refused:
    """Why git finds no repository at `start`."""
    if "refstorage" in said.lower():
        return Refused(*_REFTABLE)
    if "dubious ownership" in said:
        return _foreign(start)
    if "not a git repository" in said:
        return NotFound(
            f"{start} is not in a git repository",
            "cd to your project, or make it one with: git init",
        )
    return Refused(
        f"git cannot read the repository at {start}: {said.strip().removeprefix('fatal: ')}"
    )


def _foreign(path: Path) -> Refused:
    return Refused(
        f"{path} belongs to another user",
        "work in a clone of your own: git clone, then gitorch sync",
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user-{os.geteuid()}"


def _plain(text: str) -> str:
    """`text` without what a commit's header cannot hold."""
    return "".join(letter for letter in text if letter.isprintable() and letter not in "<>").strip()


def _is_writable(path: Path) -> bool:
    """Whether `path` can be written, or made."""
    return os.access(path if path.exists() else path.parent, os.W_OK | os.X_OK)


def _is_in_work_tree(path: Path) -> bool:
    """Whether another repository would show `path` as untracked, as beside a submodule."""
    return any((parent / ".git").exists() for parent in path.parents)

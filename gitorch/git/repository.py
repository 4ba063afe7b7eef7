"""The repository that gitorch was called in: its paths, its settings and its conditions."""

from __future__ import annotations

import getpass
import os
import socket
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitorch.errors import GitorchError, NotFound, Refused
from gitorch.git.clone_identity import former_homes, settle, stored_id
from gitorch.git.command import (
    SETTING_VARIABLES,
    call_git_items,
    call_git_lines,
    call_git_text,
    run_git,
    too_old,
)
from gitorch.git.state_place import (
    follow_move,
    note_state,
    noted_state,
    require_unused,
)
from gitorch.model.settings import Settings, given_value, parse_settings
from gitorch.tools.private import private_directory, require_fixed, require_private

if TYPE_CHECKING:
    import pygit2

_PATHS = "--path-format=absolute"  # git before 2.31 gives unknown options back
_QUESTIONS = (
    "--is-bare-repository",
    "--show-object-format",
    _PATHS,
    "--absolute-git-dir",
    "--git-common-dir",
    # Last: it fails where there is no work tree, and the other answers still tell why.
    "--show-toplevel",
)
_REFTABLE = (
    "its references are kept in a reftable, which gitorch cannot write",
    "git refs migrate --ref-format=files (git 2.48 and newer)",
)
# The directories that gitorch makes in the workspace beside those of the runs. What is in them may
# be deleted, so a link to another place must not be followed.
_IN_WORKSPACE = (
    "trash",
    "scratch",
    "templates",
    "checkouts",
    "not-accepted",
    "environments",
)
_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


class Signature(NamedTuple):
    """The author of commits."""

    name: str
    email: str


class Repository(Struct, frozen=True, dict=True):
    """A non-bare repository, seen from one of its worktrees.

    `root` is the top of the worktree that gitorch was called in, `git_dir` that worktree's own
    directory (HEAD, index), `common_dir` the directory that all worktrees share, `main_root` the
    top of the main worktree.
    """

    root: Path
    git_dir: Path
    common_dir: Path

    @classmethod
    def discover(cls, start: Path) -> Repository:
        """Return the repository that `start` lies in, whatever GIT_DIR says.

        Raises NotFound if there is none, Refused if there is one that gitorch cannot work with.
        """
        if not start.is_dir():
            raise NotFound(f"no such directory: {start}")
        result = run_git(start, "rev-parse", *_QUESTIONS, env={"LC_ALL": "C"})
        answers = os.fsdecode(result.stdout).removesuffix("\n").split("\n")
        if len(answers) < 4 or _PATHS in answers:
            raise _unreadable(start, os.fsdecode(result.stderr))
        if answers[0] == "true":
            raise Refused(
                f"{answers[2]} is a bare repository, without a work tree to run from",
                f"git clone {answers[2]} and work in the clone",
            )
        if result.returncode:
            raise NotFound(
                f"{start} lies inside a git directory, not in a work tree",
                "cd to the work tree",
            )
        if len(answers) != 5:
            raise Refused(
                "the path of the repository contains a line break",
                "move it to a path without one",
            )
        _, object_format, git_dir, common_dir, root = answers
        for path in (root, common_dir):
            _require_utf8(path)
        _require_usable(object_format, Path(common_dir))
        return cls(
            root=Path(root), git_dir=Path(git_dir), common_dir=Path(common_dir)
        )

    @cached_property
    def main_root(self) -> Path:
        """The top of the main worktree, or `home` if this is another worktree."""
        if self.git_dir == self.common_dir:
            return self.root
        return self.home

    @cached_property
    def home(self) -> Path:
        """The path that names this repository, the same in all its worktrees.

        It is usually the top of the main worktree.
        """
        if self.common_dir.name == ".git":
            return self.common_dir.parent
        # A submodule has this setting, for example.
        work_tree = self.git_config.get("core.worktree")
        if not work_tree:
            return self.common_dir
        return Path(os.path.normpath(self.common_dir / work_tree[-1]))

    @cached_property
    def pygit(self) -> pygit2.Repository:
        """The repository for objects and references. Raises Refused if it is damaged."""
        from gitorch.git.libgit2 import pygit2  # noqa: PLC0415  not for listing and showing

        # pygit2 flushes each write to a reference, so that the write survives a power cut.
        pygit2.settings.enable_fsync_gitdir(True)
        try:
            return pygit2.Repository(str(self.root))
        except pygit2.GitError as error:
            message = f"the repository cannot be opened: {error}"
            raise Refused(message, "git fsck shows what is damaged") from error

    # Paths

    @property
    def store_dir(self) -> Path:
        """The directory for files that must be on the same file system as the objects."""
        return self.common_dir / "gitorch"

    @cached_property
    def state_dir(self) -> Path:
        """The directory for the queue, the locks and the id of this clone, created if missing."""
        return (
            self._chosen_state if self.settings.state_dir else self._default_state
        )

    @property
    def _default_state(self) -> Path:
        path = self.store_dir
        if not path.is_symlink():  # a link in the git directory is the user's own
            private_directory(path)
        elsewhere = noted_state(path)
        if elsewhere is not None and elsewhere != path:
            require_unused(elsewhere, path, self.common_dir)
        return path

    @property
    def _chosen_state(self) -> Path:
        chosen = Path(self.settings.state_dir or "")
        path = self._own_directory_in(chosen, self.home)
        _require_utf8(str(path))
        require_fixed(path.parent)
        before = noted_state(self.store_dir) or self.store_dir
        is_missing = not path.exists()
        if is_missing:
            follow_move(before, path, self.common_dir)
        private_directory(path)
        if is_missing or before != path:
            private_directory(self.store_dir)
            note_state(self.store_dir, path)
        return path

    @cached_property
    def workspace(self) -> Path:
        """The directory for the worktrees and live outputs of this repository's runs.

        This property does not create the directory; see `make_workspace`. Raises Refused if another
        user could have put files there, or if a link is in its place.
        """
        path = self.workspace_at(self.home)
        if os.path.lexists(path):
            require_private(path)
            for name in _IN_WORKSPACE:
                if os.path.lexists(path / name):
                    require_private(path / name)
        return path

    def make_workspace(self) -> None:
        """Create the workspace if it is missing. Raises Refused as `workspace` does."""
        private_directory(self.workspace)

    def former_homes(self) -> list[Path]:
        """Return the git directories that the repository had before it was moved."""
        return former_homes(self._settled_state)

    def workspace_at(self, home: Path) -> Path:
        """Return the workspace that the repository would have if its home were `home`."""
        chosen = os.environ.get("GITORCH_WORKSPACE") or self.settings.workspace
        if chosen:
            path = self._own_directory_in(Path(chosen), home)
            _require_utf8(str(path))
            require_fixed(path.parent)
            return path
        sibling = home.with_name(f"{home.name}.gitorch")
        if _is_writable(sibling) and not _is_in_work_tree(sibling):
            return sibling
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return self._own_directory_in(Path(data) / "gitorch", home)

    @property
    def lfs_dir(self) -> Path:
        """The directory in which git-lfs keeps its files."""
        return self.common_dir / self.git_config.get("lfs.storage", ["lfs"])[-1]

    @cached_property
    def attributes_files(self) -> tuple[Path, ...]:
        """The files, existing or not, that give attributes to files besides `.gitattributes`."""
        config_home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        by_default = f"{config_home}/git/attributes"
        of_user = self.git_config.get("core.attributesfile", [by_default])[-1]
        return (
            self.common_dir / "info" / "attributes",
            Path(of_user).expanduser(),
            Path("/etc/gitattributes"),
        )

    def _own_directory_in(self, parent: Path, home: Path) -> Path:
        import hashlib  # noqa: PLC0415  loads OpenSSL in 4 ms, which listing does not need

        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
        return home / parent.expanduser() / f"{home.name}-{digest}"

    def clone_id(self) -> str:
        """Return the random id that distinguishes this clone from all others.

        The first call creates the id. A copy of the repository gets an id of its own.
        """
        return stored_id(self._settled_state)

    @cached_property
    def _settled_state(self) -> Path:
        """The state directory, after a copied repository has got an id of its own."""
        settle(self.state_dir, self.common_dir)
        return self.state_dir

    # Settings

    @cached_property
    def git_config(self) -> dict[str, list[str]]:
        """All of git's configuration as the caller sees it, `git -c` included.

        The names are spelled as git lists them.
        """
        values: dict[str, list[str]] = {}
        items = call_git_items(
            self.root, "config", "--list", "-z", env=_settings_of_caller()
        )
        for item in items:
            name, line_break, value = item.partition("\n")
            # A name without a value means true.
            values.setdefault(name, []).append(value if line_break else "true")
        return values

    @cached_property
    def settings(self) -> Settings:
        """The values of `git config gitorch.*`. Raises UsageError."""
        given: dict[str, str] = {}
        for name, values in self.git_config.items():
            given[name] = given_value(name, values)
        return parse_settings(given)

    def prefer(self, **chosen: object) -> None:
        """Let options of the command line replace settings, by the names of their fields."""
        self.__dict__["settings"] = replace(self.settings, **chosen)

    def remotes(self) -> dict[str, str]:
        """Return the address that git fetches from for each remote, by the remote's name."""
        addresses: dict[str, str] = {}
        for line in call_git_lines(
            self.root, "remote", "--verbose", env=_settings_of_caller()
        ):
            name, _, rest = line.partition("\t")
            address, is_fetch, _ = rest.rpartition(" (fetch)")
            if is_fetch:
                addresses[name] = address
        # `git remote` sorts by name; the result has the order of the configuration. A remote that
        # has settings but no address is left out.
        remotes: dict[str, str] = {}
        for key in self.git_config:
            name = key.removeprefix("remote.").removesuffix(".url")
            if key == f"remote.{name}.url" and name in addresses:
                remotes[name] = addresses[name]
        return remotes

    def signature(self) -> Signature:
        """Return the author that git would use, or the account's name if git has none."""
        name = self._configured_author("name") or _account()
        email = (
            self._configured_author("email")
            or f"{_account()}@{socket.gethostname()}"
        )
        return Signature(_plain(name), _plain(email))

    def _configured_author(self, part: str) -> str | None:
        """Return the author's "name" or "email" from the environment or git's configuration."""
        value = os.environ.get(f"GIT_AUTHOR_{part.upper()}")
        if value:
            return value
        for key in (f"author.{part}", f"user.{part}"):
            if key in self.git_config:
                return self.git_config[key][-1]
        return None

    def pager(self) -> str:
        """Return the command that git would show long output with."""
        return call_git_text(self.root, "var", "GIT_PAGER")

    # Conditions

    def require_commit(self) -> str:
        """Return HEAD's commit. Raises Refused if there is none yet."""
        result = run_git(
            self.root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"
        )
        if result.returncode:
            raise Refused(
                "the repository has no commit yet, so there is no code to pin",
                "git add . && git commit -m 'first commit'",
            )
        return result.stdout.decode().strip()

    def require_no_merge(self) -> None:
        """Raise Refused in the middle of a merge, rebase, cherry-pick or revert."""
        for name, command in _IN_PROGRESS.items():
            if (self.git_dir / name).exists():
                raise Refused(
                    f"a {command} is in progress in {self.root}",
                    f"finish it, or give it up with: git {command} --abort",
                )


def _settings_of_caller() -> dict[str, str]:
    """Return the variables that pass settings on, for example those of `git -c x=y gitorch`."""
    variables: dict[str, str] = {}
    for name, value in os.environ.items():
        if name.startswith(SETTING_VARIABLES):
            variables[name] = value
    return variables


def _require_usable(object_format: str, common_dir: Path) -> None:
    """Raise Refused if gitorch cannot write the repository's format, or it is another user's."""
    if object_format != "sha1":
        raise Refused(
            f"the repository's objects are named by {object_format.upper()}, "
            "which gitorch cannot read",
            "git init --object-format=sha1 makes one that it can",
        )
    if (common_dir / "reftable").is_dir():
        raise Refused(*_REFTABLE)
    if common_dir.stat().st_uid != os.geteuid():
        raise _foreign(common_dir)


def _require_utf8(path: str) -> None:
    """Raise Refused if a path is not UTF-8. Configs and records, which are JSON, contain paths."""
    try:
        path.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"the path {path!a} is not UTF-8", "move it to a path that is UTF-8"
        ) from None


def _unreadable(start: Path, stderr: str) -> GitorchError:
    """Return the error that explains why git finds no repository at `start`."""
    if "refstorage" in stderr.lower():
        return Refused(*_REFTABLE)
    if "dubious ownership" in stderr:
        return _foreign(start)
    if "not a git repository" in stderr:
        return NotFound(
            f"{start} is not in a git repository",
            "cd to your project, or make it one with: git init",
        )
    return too_old() or Refused(
        f"git cannot read the repository at {start}: {stderr.strip().removeprefix('fatal: ')}"
    )


def _foreign(path: Path) -> Refused:
    return Refused(
        f"{path} belongs to another user",
        "work in a clone of your own: git clone",
    )


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user-{os.geteuid()}"


def _plain(text: str) -> str:
    """Return `text` without the characters that a commit's header cannot hold."""
    allowed: list[str] = []
    for character in text:
        if character.isprintable() and character not in "<>":
            allowed.append(character)
    return "".join(allowed).strip()


def _is_writable(path: Path) -> bool:
    """Return True if the directory `path` can be written to, or can be created."""
    existing = path if path.exists() else path.parent
    return os.access(existing, os.W_OK | os.X_OK)


def _is_in_work_tree(path: Path) -> bool:
    """Return True if `path` lies in the work tree of another repository.

    For example, the sibling of a submodule lies in the superproject.
    """
    return any((parent / ".git").exists() for parent in path.parents)

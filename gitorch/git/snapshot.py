"""A commit made of the working tree as it is, with tree, index, stash and branches left alone.

Everything new is written into an object directory of its own and then published as one kept pack, so that no
`git gc --prune=now` can take any of it before the pin leads there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from gitorch.errors import Refused
from gitorch.git.command import call_git, call_git_items, call_git_text
from gitorch.git.pins import keep_locked, resolve
from gitorch.git.repository import Repository
from gitorch.git.store.lock import locked
from gitorch.git.store.pack import publish_pack
from gitorch.model.run.pin import Origin, Pin
from gitorch.model.text.phrases import some
from gitorch.tools.faults import boundary


def snapshot(repo: Repository, *, size_limit: int) -> Pin:
    """The pin of the working tree, untracked files that are not ignored included; kept alive.

    HEAD's where nothing differs from it. Raises Refused where something would be missing from the commit (nested
    repositories, changes inside submodules), in the middle of a merge, and where the untracked files have more than
    `size_limit` bytes altogether.
    """
    repo.require_no_merge()
    head = resolve(repo, repo.require_commit(), Origin.HEAD)
    _require_capturable(repo, size_limit)
    aside = repo.store_dir / "snapshots"
    aside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=aside) as directory:
        room = Path(directory)
        environment = _environment(repo, room)
        tree = _write_tree(repo, environment)
        if tree == head.tree:
            return head
        message = f"The working tree on top of {head.commit[:12]}, as gitorch found it"
        commit = call_git_text(
            repo.root, "commit-tree", "-p", head.commit, "-m", message, tree, env=environment
        )
        _publish(repo, room, environment, commit, head.commit)
    return resolve(repo, commit, Origin.SNAPSHOT)


def _require_capturable(repo: Repository, size_limit: int) -> None:
    """Refuse what `git add` would leave out without a word."""
    conflicts, nested, inside, untracked = [], [], [], []
    arguments = (
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignore-submodules=untracked",
    )
    for item in call_git_items(repo.root, "--no-optional-locks", "status", *arguments):
        if item[0] == "1" and item.split(" ", 8)[2][2:3] == "M":
            inside.append(item.split(" ", 8)[8])
        elif item[0] == "u":
            conflicts.append(item.split(" ", 10)[10])
        elif item[0] == "?" and item.endswith("/"):
            nested.append(item[2:])
        elif item[0] == "?":
            untracked.append(item[2:])
    if conflicts:
        raise Refused(f"{some(conflicts)} is in conflict", "resolve it, then git add it")
    if nested:
        raise Refused(
            f"a snapshot cannot hold {some(nested)}: a git repository of its own",
            "add it to .gitignore, or make it a submodule",
        )
    if inside:
        raise Refused(
            f"a snapshot cannot hold the changes inside of the submodule {some(inside)}",
            "commit them there first",
        )
    sizes = sorted(((_size(repo.root / path), path) for path in untracked), reverse=True)
    total = sum(size for size, _ in sizes)
    if total > size_limit:
        raise Refused(
            f"the untracked files have {total / (1 << 20):.1f} MiB, and a snapshot takes {size_limit / (1 << 20):.1f}; "
            f"the largest: {some([path for _, path in sizes])}",
            "name what does not belong to the code in .gitignore",
        )


def _environment(repo: Repository, room: Path) -> dict[str, str]:
    """An index and an object directory aside, the repository's own objects within reach."""
    index = repo.git_dir / "index"
    if index.exists():
        # With its time: by that git knows which files may have changed within the tick the index was written in.
        shutil.copy2(index, room / "index")
    (room / "objects" / "pack").mkdir(parents=True)
    name, email = repo.signature()
    return {
        "GIT_INDEX_FILE": str(room / "index"),
        "GIT_OBJECT_DIRECTORY": str(room / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(repo.common_dir / "objects"),
        **{f"GIT_{who}_NAME": name for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": email for who in ("AUTHOR", "COMMITTER")},
    }


def _quoted(path: Path) -> str:
    """A path in git's lists of paths: quoted, lest a colon divide it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _write_tree(repo: Repository, environment: dict[str, str]) -> str:
    flagged = [
        item[2:]
        for item in call_git_items(repo.root, "ls-files", "-v", "-z", env=environment)
        if item[0].islower() or (item[0] == "S" and os.path.lexists(repo.root / item[2:]))
    ]
    for flag in ("--no-assume-unchanged", "--no-skip-worktree") if flagged else ():
        names = b"".join(os.fsencode(path) + b"\0" for path in flagged)
        call_git(repo.root, "update-index", flag, "-z", "--stdin", input=names, env=environment)
    settings = (
        "-c",
        "core.splitIndex=false",
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.safecrlf=false",
    )
    call_git(repo.root, *settings, "add", "--all", "--sparse", "--", ".", env=environment)
    return call_git_text(repo.root, "write-tree", env=environment)


def _publish(
    repo: Repository, room: Path, environment: dict[str, str], commit: str, head: str
) -> None:
    """Pack what HEAD does not have, also what another, perhaps vanishing, object already held; and pin the commit."""
    wanted = f"{commit}\n^{head}\n".encode()
    packing = ("pack-objects", "--revs", "-q", "--delta-base-offset", room / "pack")
    name = call_git_text(repo.root, *packing, input=wanted, env=environment)
    pack, index = room / f"pack-{name}.pack", room / f"pack-{name}.idx"
    _flush(pack)
    _flush(index)
    with locked(repo):
        kept = publish_pack(pack, index, repo.common_dir / "objects" / "pack", name)
        keep_locked(repo, commit)
        kept.release()


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        boundary()


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0

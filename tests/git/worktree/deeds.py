"""What a run can do to its worktree. The tests of worktrees do each of these and then look."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.conftest import commit_files, git

Deed = Callable[[Path], None]


def spoil_content(tree: Path) -> None:
    (tree / "code.py").write_text("one\n2\n")


def spoil_same_size_and_time(tree: Path) -> None:
    before = (tree / "code.py").stat()
    (tree / "code.py").write_text("one\nTWO\n")
    os.utime(tree / "code.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def spoil_mode(tree: Path) -> None:
    (tree / "run.sh").chmod(0o755)


def remove(tree: Path) -> None:
    (tree / "line\nbreak").unlink()


def file_for_directory(tree: Path) -> None:
    subprocess.run(["rm", "-r", tree / "pack"], check=True)
    (tree / "pack").write_text("now a file")


def directory_for_file(tree: Path) -> None:
    (tree / "code.py").unlink()
    (tree / "code.py").mkdir()
    (tree / "code.py/inside").write_text("x")


def link_for_file(tree: Path) -> None:
    (tree / "code.py").rename(tree / "elsewhere")
    (tree / "code.py").symlink_to("elsewhere")


def link_for_directory(tree: Path) -> None:
    (tree / "pack").rename(tree.parent / "moved")
    (tree / "pack").symlink_to(tree.parent / "moved")


def hide_in_the_index(tree: Path) -> None:
    git(tree, "update-index", "--skip-worktree", "code.py")
    git(tree, "update-index", "--assume-unchanged", "pack/age.py")
    (tree / "code.py").write_text("hidden")
    (tree / "pack/age.py").write_text("hidden too")


def forget_in_the_index(tree: Path) -> None:
    git(tree, "rm", "-rq", "--cached", ".")
    (tree / "code.py").write_text("forgotten")


def commit_it(tree: Path) -> None:
    commit_files(tree, {"code.py": "committed"})


def commit_on_a_branch(tree: Path) -> None:
    git(tree, "switch", "-qc", "mine")
    commit_files(tree, {"code.py": "committed"})


def stop_in_a_merge(tree: Path) -> None:
    git(tree, "switch", "-qc", "left")
    commit_files(tree, {"code.py": "left"})
    git(tree, "switch", "-q", "--detach", "HEAD~")
    commit_files(tree, {"code.py": "right"})
    git(tree, "merge", "-q", "left", check=False)


def leave_a_lock(tree: Path) -> None:
    (tree / "code.py").write_text("changed")
    Path(git(tree, "rev-parse", "--absolute-git-dir"), "index.lock").touch()


def break_the_index(tree: Path) -> None:
    (tree / "code.py").write_text("changed")
    Path(git(tree, "rev-parse", "--absolute-git-dir"), "index").write_bytes(b"DIRC")


# Each with the files that it changes.
CHANGES: dict[Deed, set[str]] = {
    spoil_content: {"code.py"},
    spoil_same_size_and_time: {"code.py"},
    spoil_mode: {"run.sh"},
    remove: {"line\nbreak"},
    file_for_directory: {"pack/age.py", "pack/data"},
    directory_for_file: {"code.py"},
    link_for_file: {"code.py"},
    link_for_directory: {"pack/age.py", "pack/data"},
    hide_in_the_index: {"code.py", "pack/age.py"},
    forget_in_the_index: {"code.py"},
    commit_it: {"code.py"},
    commit_on_a_branch: {"code.py"},
    stop_in_a_merge: {"code.py"},
    leave_a_lock: {"code.py"},
    break_the_index: {"code.py"},
}


def leave_untracked_files(tree: Path) -> None:
    (tree / ".gitignore").write_text("*\n")
    (tree / "deep/__pycache__").mkdir()
    (tree / "deep/__pycache__/a.pyc").write_bytes(b"cache")
    (tree / "deep/er/link").symlink_to(tree.parent)
    git(tree, "status")  # writes an index of its own


def change(tree: Path) -> None:
    (tree / "sp ace").write_text("2")


def write_the_same_again(tree: Path) -> None:
    (tree / "sp ace").write_text("1")


def link_from_elsewhere(tree: Path) -> None:
    os.link(tree / "sp ace", tree.parent / "mine")


def make_executable(tree: Path) -> None:
    (tree / "sp ace").chmod(0o755)


def close_a_directory(tree: Path) -> None:
    (tree / "deep").chmod(0o700)


def remove_a_file(tree: Path) -> None:
    (tree / "sp ace").unlink()


def switch_to_a_branch(tree: Path) -> None:
    git(tree, "switch", "-qc", "mine")


def begin_a_bisection(tree: Path) -> None:
    git(tree, "bisect", "start")


def make_another_repository(tree: Path) -> None:
    (tree / ".git").unlink()
    git(tree, "init", "-q")


def remove_everything(tree: Path) -> None:
    subprocess.run(["rm", "-r", tree], check=True)


# After each of these a worktree cannot simply be moved to the next run.
TOUCHES: tuple[Deed, ...] = (
    change,
    write_the_same_again,
    link_from_elsewhere,
    make_executable,
    close_a_directory,
    remove_a_file,
    switch_to_a_branch,
    begin_a_bisection,
    make_another_repository,
    remove_everything,
)
HARMLESS_OR_NOT: tuple[Deed, ...] = (leave_untracked_files, *TOUCHES)

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitorch.errors import NotFound, ProgramMissing, Refused
from gitorch.git import worktrees
from gitorch.git.admin import admin_directory
from gitorch.git.command import GitFailed
from gitorch.git.repository import Repository
from tests.conftest import commit_files, git

ODD = {"sp ace": "1", "line\nbreak": "2", "Grüße/naïve.txt": "3", "latin\udce9": "4", "-dash": "5", "deep/er/file": "6"}


@pytest.fixture
def repo(project: Path) -> Repository:
    return Repository.discover(project)


@pytest.fixture
def tree(repo: Repository) -> Path:
    return repo.workspace / "0123456789ab" / "tree"


def head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD")


def contents(root: Path) -> dict[str, bytes]:
    """Every file below `root`, git's own aside, with its bytes; a symlink with where it leads."""
    return {
        str(path.relative_to(root)): os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if (path.is_symlink() or path.is_file()) and ".git" not in path.relative_to(root).parts
    }


def administrative(repo: Repository) -> list[str]:
    directory = repo.common_dir / "worktrees"
    return sorted(path.name for path in directory.glob("*"))


# Making


def test_a_worktree_is_exactly_its_commit(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, ODD)
    (repo.root / "link").symlink_to("sp ace")
    (repo.root / "program").write_text("#!/bin/sh\n")
    (repo.root / "program").chmod(0o755)
    git(repo.root, "add", "-A")
    git(repo.root, "commit", "-qm", "link and program")
    pinned, expected = head(repo.root), contents(repo.root)
    commit_files(repo.root, {"README.md": "later"})

    worktrees.materialise(repo, pinned, tree)

    assert contents(tree) == expected
    assert os.access(tree / "program", os.X_OK)
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").split("\n") == [pinned, "HEAD"]
    assert worktrees.is_present(repo, tree)
    listed = git(repo.root, "worktree", "list", "--porcelain")
    assert f"worktree {tree}\nHEAD {pinned}\ndetached\nlocked gitorch" in listed


def test_making_it_again_leaves_it_as_it_is(repo: Repository, tree: Path) -> None:
    worktrees.materialise(repo, head(repo.root), tree)
    (tree / "README.md").write_text("changed by a run")
    (tree / "checkpoint").write_text("of a run")
    worktrees.materialise(repo, head(repo.root), tree)
    assert contents(tree) == {"README.md": b"changed by a run", "checkpoint": b"of a run"}


def test_hooks_and_sparse_checkouts_do_not_reach_it(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {"in/a": "1", "out/b": "2"})
    hook = repo.common_dir / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 3\n")
    hook.chmod(0o755)
    git(repo.root, "sparse-checkout", "set", "in")
    assert not (repo.root / "out").exists()

    worktrees.materialise(Repository.discover(repo.root), pinned, tree)

    assert set(contents(tree)) == {"README.md", "in/a", "out/b"}
    git(tree, "reset", "-q", "--hard")  # a task may do so, and must not make it sparse
    assert set(contents(tree)) == {"README.md", "in/a", "out/b"}
    assert not (repo.root / "out").exists()


def test_filters_and_line_endings_are_applied(repo: Repository, tree: Path) -> None:
    git(repo.root, "config", "filter.shout.smudge", "tr a-z A-Z")
    git(repo.root, "config", "filter.shout.clean", "tr A-Z a-z")
    pinned = commit_files(
        repo.root, {".gitattributes": "*.loud filter=shout\n*.bat eol=crlf\n", "a.loud": "hush\n", "b.bat": "x\ny\n"}
    )
    worktrees.materialise(repo, pinned, tree)
    assert (tree / "a.loud").read_bytes() == b"HUSH\n"
    assert (tree / "b.bat").read_bytes() == b"x\r\ny\r\n"
    assert git(tree, "status", "--porcelain") == ""


def test_large_files_are_the_real_ones(repo: Repository, tree: Path) -> None:
    git(repo.root, "lfs", "install", "--local")
    git(repo.root, "lfs", "track", "*.bin")
    pinned = commit_files(repo.root, {"model.bin": bytes(range(256)) * 100})
    assert git(repo.root, "cat-file", "-p", "HEAD:model.bin").startswith("version https://git-lfs")
    worktrees.materialise(repo, pinned, tree)
    assert (tree / "model.bin").read_bytes() == bytes(range(256)) * 100


def test_a_commit_that_is_not_there_is_refused_and_nothing_stays(repo: Repository, tree: Path) -> None:
    with pytest.raises(GitFailed):
        worktrees.materialise(repo, "1" * 40, tree)
    assert not tree.exists()
    assert administrative(repo) == []


def test_what_gitorch_did_not_make_is_never_replaced(repo: Repository, tree: Path, tmp_path: Path) -> None:
    pinned = head(repo.root)
    tree.mkdir(parents=True)
    (tree / "thesis.tex").write_text("years of work")
    git(repo.root, "worktree", "add", "-q", "--detach", str(tmp_path / "own"))
    (tmp_path / "alias").symlink_to(tree)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/.git").write_text("gitdir: /of/another/repository/worktrees/gitorch-0123456789ab\n")
    for taken in (tree, tmp_path / "own", tmp_path / "alias", tmp_path / "foreign", repo.root):
        with pytest.raises(Refused, match="is in the way"):
            worktrees.materialise(repo, pinned, taken)
        with pytest.raises(Refused, match="is in the way"):
            worktrees.discard(repo, taken)
    assert contents(tree) == {"thesis.tex": b"years of work"}


# Links


def test_links_lead_to_the_main_worktree(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {".gitignore": "data\nraw/\n", "sub/code.py": ""})
    (repo.root / "data").mkdir()
    (repo.root / "data/x.csv").write_text("1,2")
    (repo.root / "sub/raw").mkdir()
    worktrees.materialise(repo, pinned, tree, link=["data", "sub/raw"])
    assert (tree / "data/x.csv").read_text() == "1,2"
    assert (tree / "sub/raw").readlink() == repo.root / "sub/raw"
    (tree / "data").unlink()
    worktrees.materialise(repo, pinned, tree, link=["data", "sub/raw"])
    assert (tree / "data").is_symlink()
    worktrees.discard(repo, tree)
    worktrees.empty_trash(repo)
    assert (repo.root / "data/x.csv").read_text() == "1,2"


def test_links_that_cannot_be_made_leave_no_worktree(repo: Repository, tree: Path) -> None:
    outside = repo.root.parent / "outside"
    outside.mkdir()
    (repo.root / "away").symlink_to(outside)
    pinned = commit_files(repo.root, {"tracked": "x"})
    (repo.root / "away/data").mkdir()
    for name, error in {"nothing": NotFound, "tracked": Refused, "away/data": Refused}.items():
        with pytest.raises(error, match="link: "):
            worktrees.materialise(repo, pinned, tree, link=[name])
        assert not tree.exists()
        assert administrative(repo) == []


# Submodules


@pytest.fixture
def nested(project: Path, tmp_path: Path) -> Repository:
    """The project with a submodule `lib` that has a submodule `inner`."""
    for name, content in {"inner": "inner", "lib": "lib"}.items():
        (tmp_path / name).mkdir()
        git(tmp_path / name, "init", "-q")
        commit_files(tmp_path / name, {f"{name}.py": content})
    git(tmp_path / "lib", "submodule", "add", "-q", str(tmp_path / "inner"), "in side")
    git(tmp_path / "lib", "commit", "-qm", "inner")
    git(project, "submodule", "add", "-q", str(tmp_path / "lib"), "vendor/lib")
    git(project, "commit", "-qm", "lib")
    return Repository.discover(project)


@pytest.mark.parametrize("there", [True, False], ids=["offline", "from its URL"])
def test_submodules_are_filled(nested: Repository, tree: Path, tmp_path: Path, there: bool) -> None:
    root = nested.root
    if there:
        git(root, "submodule", "update", "-q", "--init", "--recursive")
        (tmp_path / "lib").rename(tmp_path / "unreachable")
    else:
        git(root, "submodule", "deinit", "-q", "-f", "--all")
        subprocess.run(["rm", "-r", nested.common_dir / "modules"], check=True)
    configured = (nested.common_dir / "config").read_bytes()

    worktrees.materialise(nested, head(root), tree)

    assert (tree / "vendor/lib/lib.py").read_text() == "lib"
    assert (tree / "vendor/lib/in side/inner.py").read_text() == "inner"
    assert head(tree / "vendor/lib") == git(tree, "rev-parse", "HEAD:vendor/lib")
    assert git(tree, "status", "--porcelain") == ""
    assert (nested.common_dir / "config").read_bytes() == configured

    worktrees.discard(nested, tree)
    assert administrative(nested) == []
    assert not list(nested.common_dir.glob("modules/*/*/worktrees/*"))
    worktrees.materialise(nested, head(root), tree)
    assert (tree / "vendor/lib/in side/inner.py").read_text() == "inner"


def test_a_submodule_that_cannot_be_had_leaves_no_worktree(nested: Repository, tree: Path, tmp_path: Path) -> None:
    git(nested.root, "submodule", "deinit", "-q", "-f", "--all")
    subprocess.run(["rm", "-r", nested.common_dir / "modules", tmp_path / "lib"], check=True)
    with pytest.raises(GitFailed, match="submodule"):
        worktrees.materialise(nested, head(nested.root), tree)
    assert not tree.exists()


# Removing


def test_discarding_is_whole_and_deletes_later(repo: Repository, tree: Path) -> None:
    worktrees.materialise(repo, head(repo.root), tree)
    (tree / "shut").mkdir()
    (tree / "shut/file").write_text("x")
    (tree / "shut").chmod(0o500)
    tree.chmod(0o500)
    worktrees.discard(repo, tree)
    assert not tree.exists()
    assert not worktrees.is_present(repo, tree)
    assert administrative(repo) == []
    worktrees.discard(repo, tree)  # nothing there: nothing to do
    worktrees.empty_trash(repo)
    assert not list((repo.workspace / "trash").iterdir())


def test_files_deleted_by_hand_are_forgotten_and_others_are_not(repo: Repository, tree: Path, tmp_path: Path) -> None:
    other = tree.with_name("other")
    for path in (tree, other):
        worktrees.materialise(repo, head(repo.root), path)
    git(repo.root, "worktree", "add", "-q", "--lock", "--reason", "gitorch", str(tmp_path / "own"))
    (repo.workspace / "trash").mkdir(exist_ok=True)
    subprocess.run(["rm", "-r", tree], check=True)
    (tmp_path / "own").rename(tmp_path / "unmounted")
    worktrees.empty_trash(repo)
    assert administrative(repo) == sorted([admin_directory(repo, other).name, "own"])
    assert git(other, "status", "--porcelain") == ""


def test_a_workspace_that_is_not_mounted_loses_nothing(repo: Repository, tree: Path) -> None:
    worktrees.materialise(repo, head(repo.root), tree)
    away = repo.workspace.rename(repo.workspace.with_name("away"))
    repo.workspace.mkdir()  # the mount point
    git(repo.root, "worktree", "prune")
    worktrees.empty_trash(repo)
    repo.workspace.rmdir()
    away.rename(repo.workspace)
    assert worktrees.is_present(repo, tree)
    assert git(tree, "status", "--porcelain") == ""


def test_prune_and_gc_keep_what_only_a_worktree_refers_to(repo: Repository, tree: Path) -> None:
    first = head(repo.root)
    pinned = commit_files(repo.root, {"only": "here"})
    worktrees.materialise(repo, pinned, tree)
    git(repo.root, "reset", "-q", "--hard", first)
    git(repo.root, "reflog", "expire", "--expire=now", "--all")
    git(repo.root, "gc", "-q", "--prune=now")
    git(repo.root, "worktree", "prune", "--expire=now")
    assert git(tree, "show", "HEAD:only") == "here"


# Crashes


def test_a_worktree_without_its_mark_is_made_anew(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    worktrees.materialise(repo, pinned, tree)
    (admin_directory(repo, tree) / "gitorch.json").unlink()
    (tree / "README.md").unlink()
    assert not worktrees.is_present(repo, tree)
    worktrees.materialise(repo, pinned, tree)
    assert contents(tree) == {"README.md": b"A project.\n"}
    assert administrative(repo) == [admin_directory(repo, tree).name]


def test_a_power_cut_that_left_files_empty_is_mended(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    for emptied in ("gitorch.json", f"index.{pinned}", "index", "HEAD"):
        worktrees.materialise(repo, pinned, tree)
        os.truncate(admin_directory(repo, tree) / emptied, 0)
        (tree / "README.md").write_text("")
        worktrees.materialise(repo, pinned, tree)
        worktrees.reset(repo, tree, pinned)
        assert contents(tree) == {"README.md": b"A project.\n"}
        assert git(tree, "status", "--porcelain", "--branch") == "## HEAD (no branch)"


def test_what_a_killed_git_left_is_replaced(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    for left in ("nothing but the lock", "an empty directory", "an empty .git", "half a tree"):
        stale = repo.common_dir / "worktrees" / "tree"
        if left in ("nothing but the lock", "half a tree"):
            git(repo.root, "worktree", "add", "-q", "--detach", "--lock", "--reason", "gitorch", str(tree), pinned)
            (tree / "README.md").unlink()
        if left == "nothing but the lock":
            subprocess.run(["rm", "-r", tree], check=True)
        if left in ("an empty directory", "an empty .git"):
            tree.mkdir(parents=True)
        if left == "an empty .git":
            (tree / ".git").touch()
        worktrees.materialise(repo, pinned, tree)
        assert contents(tree) == {"README.md": b"A project.\n"}
        worktrees.discard(repo, tree)
        worktrees.empty_trash(repo)
        assert not stale.exists(), left


KILLED = """
import sys
from pathlib import Path
from gitorch.git import worktrees
from gitorch.git.repository import Repository
repo = Repository.discover(Path(sys.argv[1]))
print("started", flush=True)
for number in range(1000):
    worktrees.materialise(repo, sys.argv[2], Path(sys.argv[3]))
    worktrees.discard(repo, Path(sys.argv[3]))
"""


def test_killed_at_any_moment_the_next_one_makes_it_whole(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {f"directory{n % 7}/{n}": str(n) for n in range(200)})
    expected = contents(repo.root)
    for delay in range(12):
        command = [sys.executable, "-c", KILLED, str(repo.root), pinned, str(tree)]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(delay * 0.004)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        worktrees.materialise(repo, pinned, tree)
        assert contents(tree) == expected
        assert git(tree, "status", "--porcelain") == ""
        worktrees.discard(repo, tree)
    worktrees.empty_trash(repo)
    assert administrative(repo) == []


def test_a_git_left_behind_by_a_kill_is_waited_for(repo: Repository, tree: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    git(repo.root, "config", "filter.slow.smudge", f"cat {gate}; cat")
    pinned = commit_files(repo.root, {".gitattributes": "slow filter=slow\n", "slow": "x"})
    command = [sys.executable, "-c", KILLED, str(repo.root), pinned, str(tree)]
    victim = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with gate.open("wb"):  # opened once git has come to the file
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        with pytest.raises(BlockingIOError):
            fcntl.flock(os.open(tree.parent, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    git(repo.root, "config", "filter.slow.smudge", "cat")
    worktrees.materialise(repo, pinned, tree)
    assert git(tree, "status", "--porcelain") == ""


def test_several_at_once_make_one(repo: Repository, tree: Path) -> None:
    pinned = commit_files(repo.root, {str(number): "x" for number in range(50)})
    failures: list[BaseException] = []

    def make() -> None:
        try:
            worktrees.materialise(repo, pinned, tree)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert git(tree, "status", "--porcelain") == ""
    assert not list(repo.workspace.glob("trash/*"))  # nobody replaced another's


@pytest.mark.parametrize("moved", ["repository", "workspace", "both"])
def test_after_a_move_worktrees_and_repository_find_each_other(
    repo: Repository, tree: Path, tmp_path: Path, moved: str
) -> None:
    pinned = head(repo.root)
    worktrees.materialise(repo, pinned, tree)
    (tree / "checkpoint").write_text("kept")
    (tmp_path / "new").mkdir()
    root, there = repo.root, tree
    if moved in ("repository", "both"):
        root = repo.root.rename(tmp_path / "new" / "project")
    if moved in ("workspace", "both"):
        there = repo.workspace.rename(tmp_path / "new" / "project.gitorch") / tree.relative_to(repo.workspace)
    now = Repository.discover(root)
    assert not worktrees.is_present(now, there)
    worktrees.materialise(now, pinned, there)
    assert (there / "checkpoint").read_text() == "kept"
    assert git(there, "status", "--porcelain") == "?? checkpoint"
    assert administrative(now) == [admin_directory(now, there).name]
    assert f"worktree {there}\n" in git(root, "worktree", "list", "--porcelain")


def test_a_run_that_removed_its_git_file_gets_a_new_worktree(repo: Repository, tree: Path) -> None:
    pinned = head(repo.root)
    worktrees.materialise(repo, pinned, tree)
    (tree / ".git").unlink()
    worktrees.materialise(repo, pinned, tree)
    assert git(tree, "status", "--porcelain") == ""


MOVED = """
import sys
from pathlib import Path
from gitorch.git import worktrees
from gitorch.git.repository import Repository
repo, path, commits = Repository.discover(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]
print("started", flush=True)
for number in range(1000):
    (path / "0").write_text("changed")
    worktrees.reset(repo, path, commits[number % 2])
"""


def test_a_reset_killed_at_any_moment_can_be_done_again(repo: Repository, tree: Path) -> None:
    first = commit_files(repo.root, {f"{number}": "first" for number in range(100)})
    expected = contents(repo.root)
    git(repo.root, "rm", "-q", *(f"{number}" for number in range(1, 100, 2)))
    second = commit_files(repo.root, {f"{number}": "second" for number in range(0, 150, 2)})
    worktrees.materialise(repo, first, tree)
    for delay in range(12):
        command = [sys.executable, "-c", MOVED, str(repo.root), str(tree), second, first]
        victim = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert victim.stdout is not None
        victim.stdout.readline()
        time.sleep(delay * 0.003)
        os.kill(victim.pid, signal.SIGKILL)
        victim.communicate()
        worktrees.reset(repo, tree, first)
        assert contents(tree) == expected
        assert git(tree, "status", "--porcelain") == ""
        assert head(tree) == first


def test_gc_and_prune_beside_do_no_harm(repo: Repository, tree: Path) -> None:
    commits = [commit_files(repo.root, {"number": str(number)}) for number in range(6)]
    done = threading.Event()

    def disturb() -> None:
        while not done.is_set():
            git(repo.root, "worktree", "prune", "--expire=now")
            git(repo.root, "gc", "-q", "--prune=now", check=False)

    beside = threading.Thread(target=disturb)
    beside.start()
    try:
        for number in range(30):
            worktrees.materialise(repo, commits[number % 6], tree)
            assert git(tree, "status", "--porcelain") == ""
            assert (tree / "number").read_text() == str(number % 6)
            worktrees.discard(repo, tree)
    finally:
        done.set()
        beside.join()
    assert administrative(repo) == []
    assert git(repo.root, "fsck", "--full") == ""


# What a run changed, and bringing it back


@pytest.fixture
def made(repo: Repository, tree: Path) -> str:
    """A worktree at `tree`, its files a while older than its index; gives its commit."""
    files = {"code.py": "one\ntwo\n", "pack/age.py": "x = 1\n", "pack/data": b"\0\1\2", "run.sh": "true\n", **ODD}
    pinned = commit_files(repo.root, files)
    worktrees.materialise(repo, pinned, tree)
    return pinned


def test_an_untouched_tree_is_known_without_git(
    repo: Repository, tree: Path, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in contents(tree):  # older than the index: else a change right after it was written could not be seen
        os.utime(tree / name, (1, 1))
    assert worktrees.modified(repo, tree, made) == worktrees.UNMODIFIED
    (tree / "pack/__pycache__").mkdir()
    (tree / "pack/__pycache__/age.pyc").write_bytes(b"untracked")
    monkeypatch.setenv("PATH", "/nowhere")
    assert worktrees.modified(repo, tree, made) == worktrees.UNMODIFIED
    worktrees.reset(repo, tree, made)
    spoil_same_size_and_time(tree)
    with pytest.raises(ProgramMissing):
        worktrees.modified(repo, tree, made)


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


DEEDS = {
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


@pytest.mark.parametrize(("deed", "files"), DEEDS.items(), ids=[deed.__name__ for deed in DEEDS])
def test_what_a_run_changed_is_found_kept_and_undone(
    repo: Repository, tree: Path, made: str, deed: Callable[[Path], None], files: set[str], tmp_path: Path
) -> None:
    expected = contents(tree)
    (tree / "checkpoint").write_text("untracked")
    deed(tree)
    spoilt = contents(tree)

    changes = worktrees.modified(repo, tree, made)
    assert set(changes.files) == files
    again = tmp_path / "again"
    worktrees.materialise(repo, made, again)
    subprocess.run(["git", "apply", "-"], input=changes.diff, cwd=again, check=True)
    after = contents(again)
    assert {name: after.get(name) for name in files} == {name: spoilt.get(name) for name in files}

    branches = git(repo.root, "for-each-ref", "refs/heads")
    worktrees.reset(repo, tree, made)
    restored = contents(tree)
    assert {name: restored[name] for name in expected} == expected
    assert restored["checkpoint"] == b"untracked"
    assert not os.access(tree / "run.sh", os.X_OK)
    assert head(tree) == made
    assert git(tree, "diff", "HEAD") == ""
    assert {line[0] for line in git(tree, "ls-files", "-v").split("\n")} == {"H"}
    assert git(repo.root, "for-each-ref", "refs/heads") == branches
    assert worktrees.modified(repo, tree, made).files == ()


def test_bits_that_hide_changes_go_even_where_nothing_changed(repo: Repository, tree: Path, made: str) -> None:
    git(tree, "update-index", "--skip-worktree", "code.py")
    worktrees.reset(repo, tree, made)
    (tree / "code.py").write_text("changed")
    assert git(tree, "status", "--porcelain") == " M code.py"


def test_large_changes_are_named_but_not_in_the_patch(
    repo: Repository, tree: Path, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worktrees, "_LARGEST_DIFF", 100)
    (tree / "sp ace").write_bytes(b"x" * 101)
    (tree / "code.py").write_text("small")
    changes = worktrees.modified(repo, tree, made)
    assert changes.files == ("code.py", "sp ace")
    assert changes.large == ("sp ace",)
    assert b"+small" in changes.diff
    assert b"xxx" not in changes.diff


def test_settings_for_diffs_do_not_reach_the_patch(repo: Repository, tree: Path, made: str) -> None:
    for name, value in {"diff.noprefix": "true", "diff.external": "false", "color.ui": "always"}.items():
        git(repo.root, "config", name, value)
    git(repo.root, "config", "diff.odd.textconv", "false")
    (tree / "code.py").write_text("one\n2\n")
    assert worktrees.modified(repo, tree, made).diff.split(b"\n", 2)[0] == b"diff --git a/code.py b/code.py"


def test_a_worktree_moves_to_another_commit(repo: Repository, tree: Path, made: str) -> None:
    git(repo.root, "rm", "-q", "pack/age.py")
    later = commit_files(repo.root, {"code.py": "mended", "new.py": "new"})
    expected = contents(repo.root)
    (tree / "run.sh").write_text("changed")
    (tree / "new.py").write_text("in the way")
    (tree / "checkpoint").write_text("untracked")
    worktrees.materialise(repo, later, tree)
    assert contents(tree) == {**expected, "checkpoint": b"untracked"}
    assert head(tree) == later
    worktrees.reset(repo, tree, made)
    assert (tree / "pack/age.py").exists()
    assert not (tree / "new.py").exists()
    assert git(tree, "status", "--porcelain") == "?? checkpoint"


def test_resetting_what_is_not_there_is_refused(repo: Repository, tree: Path) -> None:
    with pytest.raises(NotFound, match="is no worktree"):
        worktrees.reset(repo, tree, head(repo.root))


def test_changes_in_submodules_are_found_and_undone(nested: Repository, tree: Path) -> None:
    with_submodule = head(nested.root)
    worktrees.materialise(nested, with_submodule, tree)
    assert worktrees.modified(nested, tree, with_submodule).files == ()
    inner = tree / "vendor/lib/in side"
    git(inner, "switch", "-qc", "mine")
    of_the_run = commit_files(inner, {"inner.py": "changed"})
    (tree / "vendor/lib/lib.py").write_text("changed too")
    assert worktrees.modified(nested, tree, with_submodule).files == ("vendor/lib",)
    worktrees.reset(nested, tree, with_submodule)
    assert (inner / "inner.py").read_text() == "inner"
    assert (tree / "vendor/lib/lib.py").read_text() == "lib"
    assert worktrees.modified(nested, tree, with_submodule).files == ()
    assert git(inner, "rev-parse", "mine") == of_the_run

    git(nested.root, "rm", "-qf", "vendor/lib")
    git(nested.root, "commit", "-qm", "without")
    worktrees.materialise(nested, head(nested.root), tree)
    assert not (tree / "vendor/lib").exists()
    worktrees.materialise(nested, with_submodule, tree)
    assert (inner / "inner.py").read_text() == "inner"

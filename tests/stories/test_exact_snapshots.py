"""`ready --snapshot` in a repository that has everything that makes a copy inexact."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

CONFIG = "tasks: [{id: t, command: 'true'}]\n"
FILTER = "tr a-zA-Z n-za-mN-ZA-M"  # its own inverse
BINARY = bytes(range(256)) * 20

# Files that gitorch may add to the git directory. It must not change any other file.
OWN = (
    ".git/gitorch/",
    ".git/lfs/",
    ".git/logs/refs/heads/gitorch/",
    ".git/modules/library/worktrees/",
    ".git/objects/",
    ".git/refs/gitorch/",
    ".git/refs/heads/gitorch/",
    ".git/worktrees/gitorch-",
)

State = dict[str, tuple[object, ...]]


def state_of(root: Path) -> State:
    """Return the content, the mode and the modification time of every file below `root`.

    Objects are without times, since git renews the time of an object that is written again.
    """
    state: State = {}
    for directory, _, names in os.walk(root):
        for name in names:
            path = Path(directory, name)
            facts = path.lstat()
            name = str(path.relative_to(root))
            time = None if name.startswith(".git/objects/") else facts.st_mtime_ns
            state[name] = (*content_of(path), facts.st_mode, time)
    return state


def content_of(path: Path) -> tuple[object, ...]:
    """Return what git keeps of a file: its kind, whether it is executable, and its content."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "link", path.readlink()
    return "file", bool(mode & stat.S_IXUSR), path.read_bytes()


def files_of(root: Path) -> dict[str, tuple[object, ...]]:
    """Return the content of all files of a work tree, without git's own files."""
    files = {}
    for path in root.rglob("*"):
        name = path.relative_to(root)
        if ".git" not in name.parts and (path.is_symlink() or path.is_file()):
            files[str(name)] = content_of(path)
    return files


@pytest.fixture
def odd(project: Path, tmp_path: Path) -> Path:
    """Return a project with large files, a filter, a sparse checkout, a submodule, and edits."""
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    commit_files(library, {"lib.py": "old\n"})
    git(project, "lfs", "install", "--local")
    git(project, "lfs", "track", "*.bin")
    git(project, "config", "filter.rot.clean", FILTER)
    git(project, "config", "filter.rot.smudge", FILTER)
    write(project, ".gitignore", "data/\n*.log\n")
    with (project / ".gitattributes").open("a") as attributes:
        attributes.write("*.rot filter=rot\n*.crlf text eol=crlf\n")
    commit_files(
        project,
        {
            "experiments/a.yaml": CONFIG,
            "train.sh": "echo 1\n",
            "plain.sh": "echo 1\n",
            "secret.rot": "committed\n",
            "lines.crlf": "one\r\ntwo\r\n",
            "gone.py": "x\n",
            "outside/far.py": "outside\n",
            "inside/near.py": "inside\n",
        },
    )
    (project / "old.bin").write_bytes(BINARY)
    git(
        project,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        library,
    )
    (project / "link").symlink_to("train.sh")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "all of it")
    git(project, "sparse-checkout", "set", "inside", "experiments")
    git(project, "commit", "-q", "--allow-empty", "-m", "and a stash")
    write(project, "inside/near.py", "stashed\n")
    git(project, "stash", "-q")
    edit(project)
    return project


def edit(root: Path) -> None:
    write(root, "train.sh", "echo 2\n")
    (root / "train.sh").chmod(0o755)
    write(root, "secret.rot", "Edited\n")
    write(root, "lines.crlf", "one\r\nthree\r\n")
    (root / "gone.py").unlink()
    (root / "link").unlink()
    (root / "link").symlink_to("../elsewhere")
    (root / "new.bin").write_bytes(BINARY[::-1])
    (root / "old.bin").write_bytes(BINARY + b"more")
    write(root, "inside/staged.py", "staged\n")
    git(root, "add", "inside/staged.py")
    write(root, "inside/staged.py", "staged, then edited\n")
    write(root, "inside/new dir/né\nw.py", "untracked\n")
    write(root, "data/large", "ignored\n")
    write(root, "noise.log", "ignored\n")
    write(root, "library/lib.py", "new\n")
    git(root / "library", "commit", "-qam", "a commit in the submodule")


def references(root: Path) -> list[str]:
    every = git(root, "for-each-ref", "--format=%(refname) %(objectname)")
    own = [line for line in every.splitlines() if "refs/gitorch/" not in line]
    own = [line for line in own if "heads/gitorch/results" not in line]
    return [*own, git(root, "symbolic-ref", "HEAD"), git(root, "stash", "list")]


def test_a_snapshot_of_every_odd_feature_at_once_equals_the_working_tree(
    odd: Path,
) -> None:
    before = state_of(odd)
    refs = references(odd)
    readied = gitorch_json(odd, "ready", "--snapshot")
    after = state_of(odd)
    assert {name: after.get(name) for name in before} == before
    added = [name for name in after if name not in before]
    assert [name for name in added if not name.startswith(OWN)] == []
    assert references(odd) == refs

    [run] = readied["queued"]
    tree = odd.parent / f"{odd.name}.gitorch" / run["id"] / "tree"
    expected = files_of(odd)
    expected["outside/far.py"] = ("file", False, b"outside\n")
    left_out = {"data/large", "noise.log"}
    for name in left_out:
        del expected[name]
    assert files_of(tree) == expected
    assert sorted(readied["snapshot"]["ignored"]) == ["data/", "noise.log"]
    statuses = {}
    for file in readied["snapshot"]["files"]:
        statuses[file["path"]] = file["status"]
    assert statuses == {
        "gone.py": "D",
        "inside/new dir/né\nw.py": "A",
        "inside/staged.py": "A",
        "library": "M",
        "lines.crlf": "M",
        "link": "M",
        "new.bin": "A",
        "old.bin": "M",
        "secret.rot": "M",
        "train.sh": "M",
    }


def test_changes_inside_a_submodule_are_refused_by_name(odd: Path) -> None:
    write(odd, "library/lib.py", "not committed\n")
    before = state_of(odd)
    refused = gitorch(odd, "ready", "--snapshot", code=4)
    assert "changes inside the submodule library" in refused.stderr
    assert state_of(odd) == before


def test_ready_says_what_a_snapshot_took_and_left_out(project: Path) -> None:
    commit_files(
        project,
        {
            "experiments/a.yaml": CONFIG,
            ".gitignore": "data/\n*.log\n",
            "train.py": "1\n",
        },
    )
    write(project, "train.py", "2\n")
    write(project, "new.py", "n\n")
    write(project, "data/x", "ignored\n")
    write(project, "noise.log", "ignored\n")
    head = git(project, "rev-parse", "HEAD")
    said = gitorch(project, "ready", "--snapshot").stderr
    assert said.startswith(
        f"Took a snapshot of 2 changed files on {head[:12]}\n"
        "  A  new.py    +1 -0\n"
        "  M  train.py  +1 -1\n"
        "left out, since git ignores them: data/, noise.log\n"
    )
    again = gitorch_json(project, "ready", "--snapshot", "--again")
    git(project, "stash", "-q", "-u")
    clean = gitorch_json(project, "ready", "--snapshot")
    assert again["snapshot"]["parent"] == head
    assert clean["snapshot"] is None


def test_show_and_compare_say_what_a_snapshot_took(project: Path) -> None:
    commit_files(project, {"experiments/a.yaml": CONFIG, "train.py": "1\n"})
    head = git(project, "rev-parse", "HEAD")
    gitorch(project, "run", "experiments")
    write(project, "train.py", "2\n")
    gitorch(project, "ready", "--snapshot")
    write(project, "more.py", "m\n")
    gitorch(project, "ready", "--snapshot")
    gitorch(project, "run")
    shown = gitorch(project, "show", "@").stdout
    assert (
        f"uncommitted files, on {head[:10]}\n"
        "  A  more.py   +1 -0\n"
        "  M  train.py  +1 -1\n"
    ) in shown
    shown = gitorch_json(project, "show", "@")
    assert shown["snapshot"]["commit"] == shown["run"]["pin"]["commit"]
    assert gitorch_json(project, "show", "@~2")["snapshot"] is None

    both = gitorch(project, "compare", "@~1", "@").stdout
    assert (
        f"A: a snapshot of uncommitted files on {head[:10]}\n"
        "  M  train.py  +1 -1\n\n"
        f"B: a snapshot of uncommitted files on {head[:10]}\n"
        "  A  more.py   +1 -0\n"
        "  M  train.py  +1 -1\n"
    ) in both
    diff = gitorch(project, "compare", "@~1", "@", "--code").stdout
    assert diff.count("the uncommitted files of the snapshot") == 2
    assert diff.count("+2\n") == 2
    with_head = gitorch(project, "compare", "@~2", "@").stdout
    assert with_head.count("train.py") == 1
    assert "B: a snapshot of uncommitted files" in with_head
    assert "uncommitted files of the snapshot" not in (
        gitorch(project, "compare", "@~2", "@", "--code").stdout
    )
    document = gitorch_json(project, "compare", "@~2", "@")
    [snapshot] = document["code"]["snapshots"]
    assert [file["path"] for file in snapshot["files"]] == ["more.py", "train.py"]

"""Unusual repositories.

The tests cover unusual content of a repository, unusual places from which gitorch is called, and
repositories that are moved, copied or damaged between two commands.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import (
    commit_files,
    git,
    gitorch,
    gitorch_json,
    started,
    wait_for,
    write,
)

RESULTS = "refs/heads/gitorch/results"


@contextmanager
def untouched(*roots: Path) -> Iterator[None]:
    """Check that nothing of the user changes in these work trees.

    This covers files, index, HEAD, branches, tags, stash and git's local configuration.
    """
    before = [_users_own(root) for root in roots]
    yield
    assert [_users_own(root) for root in roots] == before


def _users_own(root: Path) -> tuple[object, ...]:
    refs = git(
        root, "for-each-ref", "refs/heads", "refs/stash", "refs/tags"
    ).splitlines()
    return (
        git(root, "--no-optional-locks", "status", "--porcelain", "--ignored"),
        Path(git(root, "rev-parse", "--absolute-git-dir"), "index").read_bytes(),
        git(root, "rev-parse", "--symbolic-full-name", "HEAD"),
        [ref for ref in refs if not ref.endswith(RESULTS)],
        git(root, "config", "--list", "--local"),
    )


def config_of(command: str) -> str:
    """Return a config with one task, which executes this shell command."""
    return f"tasks: [{{id: t, command: [sh, -c, {command!r}]}}]\n"


def log_of_run(
    root: Path, *arguments: str | Path, env: dict[str, str] | None = None
) -> str:
    """Run these configs and return the log of the latest run.

    Check that neither a file of the user nor a tracked file in the run's worktree was changed.
    """
    with untouched(root):
        gitorch(root, "run", *(arguments or ["experiments"]), env=env)
    record = gitorch_json(root, "show", "@")["run"]
    assert record["status"] == "COMPLETE"
    for task in record["tasks"]:
        [attempt] = task["attempts"]
        assert attempt["modified"] == []
    return gitorch(root, "logs", "@", env=env).stdout


# -- unusual content


def test_git_lfs_files_are_checked_out_with_their_content(project: Path) -> None:
    git(project, "lfs", "install", "--local")
    git(project, "lfs", "track", "*.bin")
    content = os.urandom(2000).hex()
    commit_files(
        project,
        {"data.bin": content, "experiments/a.yaml": config_of("cat data.bin")},
    )
    assert git(project, "show", "HEAD:data.bin").startswith(
        "version https://git-lfs"
    )
    assert log_of_run(project) == content
    tree = Path(gitorch(project, "checkout-run", "@").stdout.strip())
    assert (tree / "data.bin").read_text() == content
    assert git(tree, "status", "--porcelain") == ""
    git(project, "lfs", "fsck")


def test_missing_git_lfs_files_are_reported_before_anything_is_queued(
    project: Path, tmp_path: Path
) -> None:
    git(project, "lfs", "install", "--local")
    git(project, "lfs", "track", "*.bin")
    commit_files(
        project,
        {"data.bin": b"x" * 2000, "experiments/a.yaml": config_of("cat data.bin")},
    )
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    git(clone, "lfs", "install", "--local")
    git(project, "lfs", "uninstall", "--local")
    shutil.rmtree(project / ".git/lfs")
    refused = gitorch(clone, "ready", code=None)
    assert refused.returncode not in (0, 70)
    assert "data.bin" in refused.stderr
    assert gitorch_json(clone, "list")["runs"] == []
    assert {path.name for path in (tmp_path / "clone.gitorch").iterdir()} <= {
        "trash",
        "templates",
        "scratch",
    }
    assert git(clone, "worktree", "list").count("\n") == 0


def test_submodules_are_checked_out_without_their_origin(
    project: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"science/__init__.py": "WHO = 'the library'\n"})
    git(project, "submodule", "add", "-q", str(library), "vendored lib")
    tasks = """
    import pathlib, sys
    sys.path.insert(0, "vendored lib")
    import science

    class Ask:
        def __init__(self, config):
            pass
        def run(self):
            print(science.WHO)
    """
    write(project, "Tasks.py", tasks)
    commit_files(project, {"experiments/a.yaml": "tasks: [{id: t, method: Ask}]\n"})
    library.rename(tmp_path / "nowhere to be found")
    assert log_of_run(project) == "the library\n"
    write(project, "vendored lib/science/__init__.py", "WHO = 'another author'\n")
    assert "vendored lib" in gitorch(project, "ready", "--again", code=4).stderr
    assert (
        "vendored lib"
        in gitorch(project, "ready", "--again", "--snapshot", code=4).stderr
    )


def test_an_unavailable_submodule_is_reported_before_anything_is_queued(
    project: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"a": "x"})
    git(project, "submodule", "add", "-q", str(library), "lib")
    commit_files(project, {"experiments/a.yaml": config_of("true")})
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    library.rename(tmp_path / "nowhere")
    stderr = gitorch(clone, "ready", code=4).stderr
    assert "the submodule lib is needed at" in stderr
    assert "hint: git submodule update --init --recursive" in stderr
    assert gitorch_json(clone, "list")["runs"] == []
    (tmp_path / "nowhere").rename(library)
    with untouched(clone):
        gitorch(clone, "ready")


def test_clean_and_smudge_filters_are_applied(project: Path) -> None:
    git(project, "config", "filter.rot.clean", "tr a-z n-za-m")
    git(project, "config", "filter.rot.smudge", "tr a-z n-za-m")
    commit_files(
        project, {".gitattributes": "*.secret filter=rot\n*.txt text eol=crlf\n"}
    )
    commit_files(
        project,
        {
            "a.secret": "hello\n",
            "b.txt": "line\r\n",
            "experiments/a.yaml": config_of("cat a.secret b.txt"),
        },
    )
    assert git(project, "show", "HEAD:a.secret") == "uryyb"
    assert log_of_run(project) == "hello\nline\n"  # `logs` normalises line ends
    tree = Path(gitorch(project, "checkout-run", "@").stdout.strip())
    assert (tree / "b.txt").read_bytes() == b"line\r\n"


def test_names_with_spaces_line_breaks_and_other_scripts(tmp_path: Path) -> None:
    root = tmp_path / "mein Pröjekt (neu)"
    root.mkdir()
    git(root, "init", "-q")
    odd = [
        "a b",
        "zwei\nZeilen",
        "größe",
        "-n",
        "日本",
        '"quoted" $HOME',
        "trailing ",
    ]
    files: dict[str, str | bytes] = {f"data/{name}": f"<{name}>" for name in odd}
    tasks = """
    import os, pathlib

    class Copy:
        def __init__(self, config):
            self.out = pathlib.Path(config["outputDir"])
        def run(self):
            for path in sorted(pathlib.Path("data").iterdir()):
                (self.out / path.name).write_bytes(path.read_bytes())
            names = (b"\\xff.bin", b".gitignore", b"sub/.git/config", b"sub/%41", b"big\\xfe\\n")
            for name in names:
                path = os.path.join(os.fsencode(self.out), name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.write(name * (400_000 if name.startswith(b"big") else 1))
            os.write(1, b"caf\\xe9 \\xff\\n")
    """
    write(root, "sub dir/tâches/Tasks.py", tasks)
    commit_files(root, files)
    config = "pathToTasks: sub dir/tâches\ntasks: [{id: t, method: Copy}]\n"
    write(root, "experiments/mein Versuch ü.yaml", config)
    write(
        root,
        "experiments/zwei\nZeilen.yaml",
        "gitorch: {name: zwei Zeilen}\nx: ü\n" + config,
    )
    assert gitorch(root, "check").stderr == "Checked 2 configs: no problems\n"
    with untouched(root):
        made = gitorch_json(root, "ready")["queued"]
        assert sorted(run["name"] for run in made) == [
            "mein Versuch ü",
            "zwei Zeilen",
        ]
        gitorch(root, "run")
    assert {run["status"] for run in gitorch_json(root, "list")["runs"]} == {
        "COMPLETE"
    }
    assert "mein Versuch ü" in gitorch(root, "list").stdout
    assert (
        "mein Versuch \\xfc"
        in gitorch(root, "list", env={"PYTHONIOENCODING": "ascii"}).stdout
    )
    assert gitorch(root, "compare", "mein Versuch ü", "zwei Zeilen").returncode == 0
    record = gitorch_json(root, "show", "zwei Zeilen")["run"]
    assert (
        "  zwei\\nZeilen "
        in gitorch(root, "show", "zwei Zeilen", env={"LC_ALL": "C"}).stdout
    )
    kept = {output["path"] for output in record["outputs"]}
    assert {
        *odd,
        os.fsdecode(b"\xff.bin"),
        ".gitignore",
        "sub/.git/config",
        "sub/%41",
    } <= kept
    [big] = [
        output for output in record["outputs"] if output["path"].startswith("big")
    ]
    assert big["stored"] == "lfs"
    log = subprocess.run(
        [sys.executable, "-m", "gitorch", "logs", "zwei Zeilen"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout
    assert log == b"caf\xe9 \xff\n"

    tree = Path(
        gitorch(root, "checkout-run", "mein Versuch ü").stdout.removesuffix("\n")
    )
    [restored] = tree.glob("run-*/outputs")
    for name in (
        *odd,
        ".gitignore",
        "sub/.git/config",
        "sub/%41",
        os.fsdecode(b"\xff.bin"),
    ):
        expected = f"<{name}>" if name in odd else name
        # git itself refuses to check out a directory named `.git`.
        path = restored / name.replace("/.git/", "/%.git/")
        assert os.fsdecode(path.read_bytes()) == expected
    assert not (restored / "sub/.git").exists()
    assert (
        restored / os.fsdecode(b"big\xfe\n")
    ).read_bytes() == b"big\xfe\n" * 400_000
    assert git(tree, "status", "--porcelain") == ""
    assert git(root, "fsck", "--full") == ""

    write(root, "data/zwei\nZeilen", "changed")
    stderr = gitorch(root, "ready", "--again", code=4).stderr
    assert "zwei" in stderr
    assert len(stderr.splitlines()) == 2, (
        "one error and one hint, even with a line break in a name"
    )


def test_a_config_file_name_that_cannot_name_a_run_is_reported(
    project: Path,
) -> None:
    write(
        project,
        "experiments/zwei\nZeilen.yaml",
        "tasks: [{id: t, command: echo}]\n",
    )
    stderr = gitorch(project, "ready", code=1).stderr
    assert "name" in stderr
    assert "Nothing was queued" in stderr


# -- unusual places from which gitorch is called


def test_links_that_lead_to_themselves(project: Path) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    (project / "tracked").symlink_to("tracked")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "a link")
    (project / "experiments/b.yaml").symlink_to("b.yaml")
    (project / "one").symlink_to("other")
    (project / "other").symlink_to("one/below")
    gitorch(project, "check", "experiments")
    gitorch(project, "run", "experiments")
    gitorch(project, "ready", "--snapshot", "experiments")
    gitorch(project, "run")
    tree = Path(gitorch(project, "checkout-run", "@").stdout.strip())
    for name in ("tracked", "one", "other", "experiments/b.yaml"):
        assert (tree / name).is_symlink(), name
    for name in ("one", "other"):
        (project / name).unlink()
    (project / "experiments/b.yaml").unlink()
    gitorch(project, "revert", "@", "--files")
    assert (project / "one").readlink() == Path("other")
    written = gitorch(project, "ready", "experiments/b.yaml", code=None)
    assert "does not exist" in written.stderr


def test_from_a_subdirectory(project: Path) -> None:
    commit_files(
        project,
        {
            "data.txt": "at the root\n",
            "experiments/a.yaml": config_of("cat data.txt"),
        },
    )
    write(project, "deep/er/mine.yaml", config_of("echo mine"))
    below = project / "deep/er"
    assert log_of_run(below, "mine.yaml") == "mine\n"
    gitorch(below, "ready")  # queues experiments/ in the root of the repository
    gitorch(below, "run")
    assert gitorch(below, "logs", "@").stdout == "at the root\n"
    assert [
        gitorch_json(project, "show", name)["run"]["source"]
        for name in ("a", "mine")
    ] == [
        "experiments/a.yaml",
        "deep/er/mine.yaml",
    ]


def test_from_a_linked_worktree_with_a_detached_head(
    project: Path, tmp_path: Path
) -> None:
    """The worktree's HEAD is pinned. Queue, results and workspace belong to the repository."""
    commit_files(
        project,
        {"version": "main\n", ".gitignore": "data\n", "experiments/a.yaml": "x"},
    )
    (project / "data").mkdir()
    write(project, "data/input.txt", "linked\n")
    linked = tmp_path / "linked"
    git(project, "worktree", "add", "-q", "--detach", str(linked))
    config = f"gitorch: {{link: [data]}}\n{config_of('cat version data/input.txt')}"
    commit_files(linked, {"version": "linked\n", "experiments/a.yaml": config})
    with untouched(project):
        assert log_of_run(linked) == "linked\nlinked\n"
    [run] = gitorch_json(project, "list")["runs"]
    assert run["commit"] == git(linked, "rev-parse", "HEAD")
    assert not (tmp_path / "linked.gitorch").exists()
    git(project, "worktree", "remove", "--force", str(linked))
    git(project, "gc", "--prune=now", "-q")
    again = gitorch(project, "rerun", "@").stdout.strip()
    assert gitorch(project, "logs", again).stdout == "linked\nlinked\n"


def test_from_a_worktree_of_a_bare_partial_clone(
    project: Path, tmp_path: Path
) -> None:
    commit_files(
        project,
        {"data.txt": "fetched\n", "experiments/a.yaml": config_of("cat data.txt")},
    )
    git(project, "config", "uploadpack.allowFilter", "true")
    git(project, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(
        tmp_path,
        "clone",
        "-q",
        "--bare",
        "--filter=blob:none",
        f"file://{project}",
        "bare.git",
    )
    git(
        tmp_path / "bare.git",
        "worktree",
        "add",
        "-q",
        str(tmp_path / "work"),
        "main",
    )
    assert log_of_run(tmp_path / "work") == "fetched\n"
    write(tmp_path / "work", "data.txt", "edited\n")
    with untouched(tmp_path / "work"):
        gitorch(tmp_path / "work", "ready", "--snapshot")
        gitorch(tmp_path / "work", "run")
    assert gitorch(tmp_path / "work", "logs", "@").stdout == "edited\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bare.git",
        "bare.git.gitorch",
        "project",
        "work",
    ]


def test_from_inside_a_hook(project: Path) -> None:
    """Neither gitorch nor a task uses the repository and index of a hook's GIT_ variables."""
    command = (
        "env | grep -c ^GIT_ | grep -vx 0; git rev-parse HEAD; "
        "git status --porcelain; git ls-files"
    )
    commit_files(project, {"experiments/a.yaml": config_of(command)})
    program = f"{shlex.quote(sys.executable)} -m gitorch"
    hook = write(
        project,
        ".git/hooks/post-commit",
        f"""
        #!/bin/sh
        export GIT_DIR="$(git rev-parse --absolute-git-dir)"
        export GIT_INDEX_FILE="$PWD/.git/index" GIT_PREFIX=
        cd experiments && {program} ready . 2>>../.git/stderr && {program} run 2>>../.git/stderr
        """,
    )
    hook.chmod(0o755)
    before = git(project, "rev-parse", "main")
    git(
        project,
        "commit",
        "-q",
        "--allow-empty",
        "--only",
        "-m",
        "starts a run",
        "-o",
        "README.md",
    )
    head = git(project, "rev-parse", "HEAD")
    assert head != before
    stderr = (project / ".git/stderr").read_text()
    assert "COMPLETE" in stderr
    git(project, "config", "core.hooksPath", "/dev/null")
    assert git(project, "status", "--porcelain") == ""
    log = gitorch(project, "logs", "@").stdout
    assert log.splitlines() == [head, "README.md", "experiments/a.yaml"]
    assert git(project, "fsck", "--full") == ""


def test_without_a_git_user_name(project: Path, sealed_room: Path) -> None:
    commit_files(project, {"experiments/a.yaml": config_of("echo fine")})
    no_user_name = {"GIT_CONFIG_GLOBAL": "/dev/null"}
    write(project, "loose.txt", "untracked\n")
    with untouched(project):
        gitorch(project, "ready", "--snapshot", env=no_user_name)
        gitorch(project, "run", env=no_user_name)
    assert gitorch_json(project, "list")["runs"][0]["status"] == "COMPLETE"
    assert "@" in git(project, "log", "-1", "--format=%an <%ae>", "gitorch/results")


def test_with_a_config_outside_the_repository_and_a_workspace_elsewhere(
    project: Path, tmp_path: Path
) -> None:
    commit_files(project, {"data.txt": "pinned\n"})
    outside = write(
        tmp_path / "my configs", "mine.yaml", config_of("cat data.txt; pwd")
    )
    elsewhere = tmp_path / "big disk"
    env = {"GITORCH_WORKSPACE": str(elsewhere)}
    text, directory = log_of_run(project, outside, env=env).splitlines()
    assert text == "pinned"
    assert Path(directory).is_relative_to(elsewhere)
    assert not (tmp_path / "project.gitorch").exists()
    record = gitorch_json(project, "show", "@")["run"]
    assert record["source"] == str(outside)
    outside.unlink()
    again = gitorch(project, "rerun", "mine", env=env).stdout.strip()
    assert gitorch(project, "logs", again).stdout.startswith("pinned\n")


def test_a_task_reads_a_linked_directory_of_the_user(project: Path) -> None:
    commit_files(project, {".gitignore": "/data\n/cache/deep\n"})
    write(project, "data/in put.txt", "not in git\n")
    write(project, "cache/deep/x", "deep\n")
    command = "cat 'data/in put.txt' cache/deep/x; git status --porcelain"
    write(
        project,
        "experiments/a.yaml",
        f"gitorch: {{link: [data, cache/deep]}}\n{config_of(command)}",
    )
    assert log_of_run(project) == "not in git\ndeep\n"
    assert (project / "data/in put.txt").read_text() == "not in git\n"
    for name, link in {"missing": "dta", "tracked": "src"}.items():
        write(
            project,
            f"experiments/{name}.yaml",
            f"gitorch: {{link: [{link}]}}\n{config_of(command)}",
        )
    commit_files(
        project,
        {"src/tracked": "x", "experiments/fine.yaml": config_of("echo fine")},
    )
    result = gitorch_json(project, "ready", code=1)
    assert sorted(run["name"] for run in result["queued"]) == ["a", "fine"], (
        "a problem of one config does not affect the others"
    )
    assert [
        (problem["file"], problem["line"], problem["column"])
        for problem in result["problems"]
    ] == [
        ("experiments/missing.yaml", 1, 18),
        ("experiments/tracked.yaml", 1, 18),
    ]


# -- repositories that are moved, copied or damaged between two commands

# The task `use` fails until its worktree has a file GO.
THREE = """
tasks:
  - id: make
    command: 'echo made > {outputDir}/made.txt; mkdir -p figures; echo art > figures/a.svg'
  - {id: use, command: 'cat {outputDir}/made.txt; test -f GO'}
  - {id: last, command: 'cat {outputDir}/made.txt'}
gitorch: {outputs: [figures/*]}
"""

# A task that prints its interpreter.
WHICH = """
import sys

class Which:
    def __init__(self, config):
        pass
    def run(self):
        print(sys.executable)
"""


def retry_and_check(root: Path, attempts: Sequence[int] = (1, 2, 1)) -> None:
    """Retry the run that failed at `use`, and check that it completes with its earlier outputs."""
    gitorch(root, "retry", "three")
    gitorch(root, "run")
    record = gitorch_json(root, "show", "three")["run"]
    assert record["status"] == "COMPLETE"
    assert [output["path"] for output in record["outputs"]] == [
        "made.txt",
        "worktree/figures/a.svg",
    ]
    assert [task["attempt_count"] for task in record["tasks"]] == [*attempts]
    assert gitorch(root, "logs", "three", "--task", "last").stdout == "made\n"
    assert git(root, "fsck", "--full") == ""
    assert git(root, "worktree", "prune", "--dry-run") == ""


@pytest.mark.parametrize("with_workspace", [True, False])
def test_a_moved_repository_continues_its_runs(
    project: Path, tmp_path: Path, with_workspace: bool
) -> None:
    config = THREE.replace("test -f GO", f"test -f {tmp_path}/go")
    commit_files(
        project,
        {
            ".gitignore": ".venv\n",
            "Tasks.py": WHICH,
            "experiments/three.yaml": config,
        },
    )
    write(project, "experiments/waits.yaml", config_of("cat README.md"))
    interpreter = project / ".venv/bin/python"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    gitorch(project, "run", "experiments/three.yaml", code=1)
    gitorch(project, "ready", "experiments/waits.yaml")
    write(project, "experiments/own.yaml", "tasks: [{id: t, method: Which}]\n")
    gitorch(project, "ready", "experiments/own.yaml")
    moved = tmp_path / "now here"
    project.rename(moved)
    if with_workspace:
        (tmp_path / "project.gitorch").rename(tmp_path / "now here.gitorch")
    (tmp_path / "go").touch()
    retry_and_check(moved)
    assert gitorch(moved, "logs", "waits").stdout == "A project.\n"
    assert gitorch(moved, "logs", "own").stdout == f"{moved}/.venv/bin/python\n"


def test_a_missing_interpreter_fails_only_its_own_run(project: Path) -> None:
    commit_files(project, {".gitignore": "venv\n", "Tasks.py": WHICH})
    interpreter = project / "venv/bin/python"
    interpreter.parent.mkdir(parents=True)
    interpreter.symlink_to(sys.executable)
    write(
        project,
        "experiments/a.yaml",
        "gitorch: {python: venv}\ntasks: [{id: t, method: Which}]\n",
    )
    write(project, "experiments/b.yaml", config_of("echo fine"))
    gitorch(project, "ready")
    interpreter.unlink()
    shutil.rmtree(project.with_name("project.gitorch"))
    assert (
        "there is no Python interpreter 'venv'"
        in gitorch(project, "run", code=1).stderr
    )
    runs = {
        run["name"]: run["status"] for run in gitorch_json(project, "list")["runs"]
    }
    assert runs == {"a": "ERROR", "b": "COMPLETE"}
    assert "there is no Python interpreter" in gitorch(project, "logs", "a").stdout
    interpreter.symlink_to(sys.executable)
    gitorch(project, "retry", "a")
    gitorch(project, "run")
    assert gitorch(project, "logs", "a").stdout == f"{interpreter}\n"


def test_a_deleted_workspace_loses_no_results(
    project: Path, tmp_path: Path
) -> None:
    commit_files(project, {".gitignore": "data\n"})
    write(project, "data/x", "linked")
    config = THREE.replace("test -f GO", f"test -f {tmp_path}/go").replace(
        "outputs:", "link: [data], outputs:"
    )
    write(project, "experiments/three.yaml", config)
    gitorch(project, "run", "experiments", code=1)
    before = gitorch_json(project, "show", "three")["run"]["outputs"]
    shutil.rmtree(tmp_path / "project.gitorch")
    (project / "data").rename(project / "dta")
    gitorch(project, "retry", "three")
    assert "link: data" in gitorch(project, "run", code=1).stderr
    record = gitorch_json(project, "show", "three")["run"]
    assert (
        record["tasks"][1]["attempts"][-1]["outcome"]["kind"] == "could-not-start"
    )
    assert record["outputs"] == before
    (project / "dta").rename(project / "data")
    (tmp_path / "go").touch()
    retry_and_check(project, attempts=[1, 3, 1])


def test_a_copied_repository_is_independent_of_the_original(
    project: Path, tmp_path: Path
) -> None:
    command = f"echo s >> {tmp_path}/begun; while test ! -f {tmp_path}/go; do sleep 0.05; done; pwd"
    commit_files(project, {"experiments/a.yaml": config_of(command)})
    gitorch(project, "ready")
    worker = started(project, "run")
    wait_for((tmp_path / "begun").exists)
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True)
    assert gitorch_json(copy, "status")["counts"]["RUNNING"] == 0
    assert gitorch_json(copy, "status")["workers"] == []
    assert gitorch_json(project, "status")["counts"]["RUNNING"] == 1
    [run] = gitorch_json(copy, "status")["runs"]
    gitorch(copy, "adopt", run["id"])
    second = started(copy, "run")
    wait_for(lambda: (tmp_path / "begun").read_text() == "s\ns\n")
    (tmp_path / "go").touch()
    for process in (worker, second):
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == 0, stderr
    for root in (project, copy):
        assert gitorch(root, "logs", "@").stdout.startswith(f"{root}.gitorch/")
        [attempt] = gitorch_json(root, "show", "@")["run"]["tasks"][0]["attempts"]
        assert attempt["outcome"]["kind"] == "succeeded"
        assert git(root, "fsck", "--full") == ""


def test_a_deleted_results_branch_is_restored(project: Path) -> None:
    commit_files(
        project,
        {
            "experiments/a.yaml": config_of("echo one"),
            "experiments/b.yaml": config_of("echo two"),
        },
    )
    gitorch(project, "run", "experiments/a.yaml")
    tip = git(project, "rev-parse", "gitorch/results")
    git(project, "branch", "-qD", "gitorch/results")
    git(project, "gc", "--prune=now", "-q")
    assert [run["name"] for run in gitorch_json(project, "list")["runs"]] == ["a"]
    assert gitorch(project, "logs", "a").stdout == "one\n"
    gitorch(project, "run", "experiments/b.yaml")
    assert [run["name"] for run in gitorch_json(project, "list")["runs"]] == [
        "b",
        "a",
    ]
    assert tip in git(project, "rev-list", "gitorch/results").splitlines()


def test_a_checked_out_results_branch_is_reported(
    project: Path, tmp_path: Path
) -> None:
    commit_files(
        project,
        {
            "experiments/a.yaml": config_of("echo one"),
            "experiments/b.yaml": config_of("echo two"),
        },
    )
    gitorch(project, "run", "experiments/a.yaml")
    results = tmp_path / "results"
    git(project, "worktree", "add", "-q", str(results), "gitorch/results")
    stderr = gitorch(project, "run", "experiments/b.yaml").stderr
    assert f"gitorch/results is checked out in {results}" in stderr
    git(results, "reset", "-q", "--hard")
    assert git(results, "status", "--porcelain") == ""
    assert [run["name"] for run in gitorch_json(project, "list")["runs"]] == [
        "b",
        "a",
    ]
    assert [run["name"] for run in gitorch_json(results, "list")["runs"]] == [
        "b",
        "a",
    ]

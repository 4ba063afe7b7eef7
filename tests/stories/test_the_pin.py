"""A run executes the pinned code, whatever happens to the working tree, and is restored whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from gitorch.actions.demo import create
from tests.conftest import commit_files, git, gitorch, gitorch_json, started, write


def test_an_edit_after_ready_is_not_in_the_run(tmp_path: Path) -> None:
    root = create(tmp_path / "demo")
    gitorch(root, "ready", "experiments/body-size.yaml")
    tasks = root / "Tasks.py"
    tasks.write_text("raise SystemExit('the working tree was run')\n")
    gitorch(root, "run")
    [run] = gitorch_json(root, "list")["runs"]
    assert run["status"] == "COMPLETE"
    assert run["metrics"]["accuracy"] == 0.8447
    assert tasks.read_text().startswith("raise"), (
        "gitorch does not change the working tree"
    )


def test_a_finished_run_is_restored_whole_from_git_alone(tmp_path: Path) -> None:
    root = create(tmp_path / "demo")
    gitorch(root, "run", "experiments/body-size.yaml")
    [run] = gitorch_json(root, "list")["runs"]
    tasks = (root / "Tasks.py").read_bytes()
    config = (root / "experiments/body-size.yaml").read_bytes()
    log = gitorch(root, "logs", run["id"], "--task", "train").stdout
    base = f"gitorch/results:runs/{run['id'][:2]}/{run['id']}"
    model = subprocess.run(
        ["git", "show", f"{base}/outputs/model.json"],
        cwd=root,
        capture_output=True,
        check=True,
    ).stdout

    shutil.rmtree(tmp_path / "demo.gitorch")
    commit_files(root, {"Tasks.py": "another = 1\n"}, "everything is different now")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "worktree", "prune")
    git(root, "gc", "--prune=now", "--quiet")

    tree = Path(gitorch(root, "checkout-run", run["id"]).stdout.strip())
    kept = tree / f"run-{run['id']}"
    assert (tree / "Tasks.py").read_bytes() == tasks
    assert (kept / "config.yaml").read_bytes() == config
    assert (kept / "outputs/model.json").read_bytes() == model
    assert (kept / "logs/train/1.txt").read_text() == log
    assert git(tree, "status", "--porcelain") == "", (
        "git ignores the restored files"
    )
    assert git(root, "fsck", "--full") == ""
    assert gitorch(root, "checkout-run", run["id"]).stdout.strip() == str(tree), (
        "a second call returns the same directory"
    )


def test_a_project_installed_editable_runs_its_pinned_code(
    tmp_path: Path, project: Path
) -> None:
    environment = tmp_path / "venv"
    venv.create(
        environment, with_pip=False, symlinks=True, system_site_packages=False
    )
    site = next(environment.glob("lib/python*/site-packages"))
    # The files that `pip install -e` writes for a project with a src/ directory.
    (site / "__editable__.science-1.0.pth").write_text(f"{project / 'src'}\n")
    info = site / "science-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: science\nVersion: 1.0\n"
    )
    (info / "RECORD").write_text("")
    (info / "direct_url.json").write_text(
        f'{{"dir_info": {{"editable": true}}, "url": "{project.as_uri()}"}}'
    )
    config = (
        "tasks:\n"
        "  - {id: one, method: One}\n"
        "  - {id: two, command: [python, -c, 'import science; print(science.WHO)']}\n"
    )
    tasks = (
        "import science\n"
        "class One:\n"
        "    def __init__(self, config): pass\n"
        "    def run(self): print(science.WHO)\n"
    )
    commit_files(
        project,
        {
            "src/science/__init__.py": "WHO = 'pinned'\n",
            "Tasks.py": tasks,
            "experiments/a.yaml": config,
        },
    )
    active = {
        "VIRTUAL_ENV": str(environment),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    gitorch(project, "ready", env=active)
    write(project, "src/science/__init__.py", "WHO = 'edited'\n")
    gitorch(project, "run", env=active)
    assert gitorch(project, "logs", "@").stdout == "pinned\npinned\n"
    ran_with = gitorch_json(project, "show", "@")["run"]["interpreter"]
    assert Path(ran_with).parent == environment / "bin"
    assert ran_with != sys.executable


def test_a_dirty_tree_is_refused_with_a_hint(project: Path) -> None:
    commit_files(
        project,
        {
            "train.sh": "echo one\n",
            "experiments/a.yaml": "tasks: [{id: t, command: sh train.sh}]\n",
        },
    )
    write(project, "train.sh", "echo two\n")
    write(project, "new.txt", "untracked\n")
    refused = gitorch(project, "ready", code=4)
    assert "train.sh" in refused.stderr
    assert "--snapshot" in refused.stderr
    assert gitorch_json(project, "list")["runs"] == []


def test_a_snapshot_contains_uncommitted_changes_and_leaves_the_repository_unchanged(
    project: Path,
) -> None:
    commit_files(
        project,
        {
            "train.sh": "cat data.txt\n",
            "experiments/a.yaml": "tasks: [{id: t, command: sh train.sh}]\n",
        },
    )
    write(project, "train.sh", "echo edited; cat data.txt\n")
    write(project, "data.txt", "untracked data\n")
    write(project, "staged.txt", "staged\n")
    git(project, "add", "staged.txt")
    status = git(project, "status", "--porcelain")
    own_refs = git(project, "for-each-ref", "refs/heads/main", "refs/stash")
    index = (project / ".git/index").read_bytes()
    gitorch(project, "ready", "--snapshot")
    assert git(project, "status", "--porcelain") == status
    assert git(project, "for-each-ref", "refs/heads/main", "refs/stash") == own_refs
    assert (project / ".git/index").read_bytes() == index
    write(project, "data.txt", "later\n")
    gitorch(project, "run")
    assert gitorch(project, "logs", "@").stdout == "edited\nuntracked data\n"
    assert gitorch_json(project, "show", "@")["run"]["pin"]["snapshot"] is True


def test_another_revision_can_be_pinned(project: Path) -> None:
    config = "tasks: [{id: t, command: cat version}]\n"
    commit_files(project, {"version": "old\n", "experiments/a.yaml": config})
    git(project, "tag", "v1")
    commit_files(project, {"version": "new\n"})
    write(project, "version", "uncommitted\n")
    gitorch(project, "ready", "--at", "v1")
    gitorch(project, "run")
    assert gitorch(project, "logs", "@").stdout == "old\n"


def test_unsafe_pins_head_and_reports_the_changes_that_are_not_in_the_run(
    project: Path,
) -> None:
    config = (
        "UNSAFE_ignoreDirtyCheck: true\ntasks: [{id: t, command: cat version}]\n"
    )
    commit_files(project, {"version": "committed\n", "experiments/a.yaml": config})
    write(project, "version", "uncommitted\n")
    stderr = gitorch(project, "ready").stderr
    assert "version" in stderr
    assert "not in the run" in stderr
    gitorch(project, "run")
    assert gitorch(project, "logs", "@").stdout == "committed\n"


def test_an_uncommitted_config_is_accepted_and_stored_byte_for_byte(
    project: Path,
) -> None:
    text = "# not committed\r\nx: 1e-3\ntasks:\n  - {id: t, command: 'echo {x}'}\n"
    (project / "experiments").mkdir()
    (project / "experiments/a.yaml").write_bytes(text.encode())
    gitorch(project, "run", "experiments")
    [run] = gitorch_json(project, "list")["runs"]
    assert run["params"] == {"x": 0.001}
    path = f"gitorch/results:runs/{run['id'][:2]}/{run['id']}/config.yaml"
    kept = subprocess.run(
        ["git", "show", path], cwd=project, capture_output=True, check=True
    ).stdout
    assert kept == text.encode()


def test_simultaneous_ready_commands_queue_a_run_once(project: Path) -> None:
    for name in ("a", "b"):
        write(
            project,
            f"experiments/{name}.yaml",
            f"tasks: [{{id: t, command: echo {name}}}]\n",
        )
    for process in [started(project, "ready") for _ in range(4)]:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert sorted(run["name"] for run in gitorch_json(project, "list")["runs"]) == [
        "a",
        "b",
    ]

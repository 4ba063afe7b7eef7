"""`retry --at` continues a run with fixed code, and `retry --from` repeats it from an earlier task.

Finished tasks are not repeated. The record says which commit each task was executed at.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, write

TASKS = """
import pathlib

COUNT = pathlib.Path({count!r})


class Task:
    def __init__(self, config):
        self.config = config
        self.output = pathlib.Path(config["outputDir"])

    def run(self):
        with COUNT.open("a") as count:
            print(self.config["id"], {version!r}, file=count)
        (self.output / self.config["id"]).write_text({version!r})
        return self.work()


class Works(Task):
    def work(self):
        return {{self.config["id"]: {number}}}


class Fails(Task):
    def work(self):
        {fails}
"""
CONFIG = """
seed: 1
tasks:
  - {id: one, method: Works}
  - {id: two, method: Works}
  - {id: three, method: Works}
  - {id: four, method: Fails}
  - {id: five, method: Works}
"""
BUG = "raise ValueError('a bug')"


@pytest.fixture
def count(tmp_path: Path) -> Path:
    """Return the file to which each executed task appends its id and the version of its code."""
    return tmp_path / "count"


def commit_code(project: Path, count: Path, number: int, fails: str) -> str:
    """Commit a version of the code. Task four executes the statement `fails`."""
    code = TASKS.format(
        count=str(count), version=f"v{number}", number=number, fails=fails
    )
    return commit_files(project, {"Tasks.py": code}, f"version {number}")


def executed(count: Path) -> Counter[str]:
    """Return how often each task was executed at each version, as `<task> v<number>`."""
    return Counter(count.read_text().splitlines())


def shown(project: Path, run: str = "@") -> Any:
    return gitorch_json(project, "show", run)["run"]


def pins_of(record: Any) -> dict[str, str]:
    """Return the commit of each task."""
    return {task["id"]: task["pin"]["commit"] for task in record["tasks"]}


@pytest.fixture
def failed(project: Path, count: Path) -> str:
    """Make a run whose task four has failed because of a bug. Return the commit of the run."""
    buggy = commit_code(project, count, 1, BUG)
    write(project, "experiments/a.yaml", CONFIG)
    gitorch(project, "run", "experiments", code=1)
    return buggy


def test_a_retry_at_the_commit_of_the_fix_continues_with_the_failed_task(
    project: Path, count: Path, failed: str
) -> None:
    fixed = commit_code(project, count, 2, "return {'four': 2}")
    stderr = gitorch(
        project, "retry", "a", "--at", "HEAD", "--why", "repaired"
    ).stderr
    assert "ERROR -> WAITING" in stderr
    waiting = shown(project)
    assert (waiting["pin"]["commit"], waiting["pin"]["origin"]) == (fixed, "head")
    assert (
        waiting["history"][-1]["why"]
        == f"repaired; at {fixed[:12]} instead of {failed[:12]}"
    )
    gitorch(project, "run")
    record = shown(project)
    assert record["status"] == "COMPLETE"
    expected = ["one v1", "two v1", "three v1", "four v1", "four v2", "five v2"]
    assert executed(count) == Counter(expected)
    assert pins_of(record) == {
        "one": failed,
        "two": failed,
        "three": failed,
        "four": fixed,
        "five": fixed,
    }
    assert record["metrics"] == {
        "one": 1,
        "two": 1,
        "three": 1,
        "four": 2,
        "five": 2,
    }
    attempts = record["tasks"][3]["attempts"]
    assert [attempt["pin"]["commit"] for attempt in attempts] == [failed, fixed]
    for commit in (failed, fixed):
        assert git(project, "rev-parse", f"refs/gitorch/pins/{commit}") == commit
    assert gitorch_json(project, "list")["runs"][0]["commit"] == fixed
    assert gitorch_json(project, "ready")["queued"] == [], (
        "same as a run readied at that commit"
    )
    gitorch(project, "doctor")


def test_a_run_that_is_retried_twice_has_tasks_and_attempts_at_three_commits(
    project: Path, count: Path, failed: str
) -> None:
    better = commit_code(project, count, 2, "return {'four': 2}")
    code = (project / "Tasks.py").read_text()
    worse = commit_files(
        project, {"Tasks.py": code.replace("self.work()", "1 / 0")}
    )
    gitorch(project, "retry", "a", "--at", worse)
    gitorch(project, "run", code=1)
    fixed = commit_code(project, count, 3, "return {'four': 3}")
    gitorch(project, "retry", "a", "--at", better)
    gitorch(project, "hold", "a")
    assert pins_of(shown(project))["five"] == better
    gitorch(project, "release", "a")
    write(
        project,
        "Tasks.py",
        (project / "Tasks.py").read_text() + "# not committed\n",
    )
    gitorch(project, "run")
    assert pins_of(shown(project)) == {
        "one": failed,
        "two": failed,
        "three": failed,
        "four": better,
        "five": better,
    }
    history = [
        change["why"]
        for change in shown(project)["history"]
        if change["from"] == "ERROR"
    ]
    assert history == [
        f"at {worse[:12]} instead of {failed[:12]}",
        f"at {better[:12]} instead of {worse[:12]}",
    ]
    attempts = shown(project)["tasks"][3]["attempts"]
    assert [attempt["pin"]["commit"] for attempt in attempts] == [
        failed,
        worse,
        better,
    ]
    pins = git(project, "for-each-ref", "refs/gitorch/pins")
    assert fixed not in pins, "no run was retried at this commit"


def test_a_retry_from_an_earlier_task_at_another_commit(
    project: Path, count: Path, failed: str
) -> None:
    fixed = commit_code(project, count, 2, "return {'four': 2}")
    gitorch(project, "retry", "a", "--at", "HEAD", "--from", "two")
    waiting = shown(project)
    statuses = [task["status"] for task in waiting["tasks"]]
    assert statuses == ["COMPLETE", "WAITING", "WAITING", "WAITING", "WAITING"]
    assert waiting["metrics"] == {"one": 1}, "tasks to be repeated have no metrics"
    assert waiting["tasks"][1]["result"] is None
    gitorch(project, "run")
    record = shown(project)
    expected = ["one v1", "two v1", "three v1", "four v1"]
    expected += ["two v2", "three v2", "four v2", "five v2"]
    assert executed(count) == Counter(expected)
    assert [task["attempt_count"] for task in record["tasks"]] == [1, 2, 2, 2, 1]
    assert record["tasks"][1]["result"] == {"two": 2}
    assert pins_of(record) == {
        "one": failed,
        "two": fixed,
        "three": fixed,
        "four": fixed,
        "five": fixed,
    }
    kept = git(
        project, "ls-tree", "-r", "--name-only", "gitorch/results"
    ).splitlines()
    assert (
        len([path for path in kept if path.endswith("tasks/two/1/attempt.json")])
        == 1
    )
    refused = gitorch(project, "retry", "a", "--from", "two", code=4).stderr
    assert "rerun" in refused


def test_a_retry_from_a_task_at_the_same_commit(
    project: Path, tmp_path: Path
) -> None:
    """Only the task and the tasks that need it are repeated."""
    repaired = tmp_path / "repaired"
    write(
        project,
        "experiments/a.yaml",
        f"""
        tasks:
          - {{id: prepare, command: "echo prepare >> {tmp_path}/order"}}
          - {{id: right, needs: [], command: "echo right >> {tmp_path}/order"}}
          - {{id: after, needs: [prepare], command: "echo after >> {tmp_path}/order"}}
          - {{id: last, needs: [after, right], command: "test -f {repaired}"}}
        """,
    )
    gitorch(project, "run", "experiments", code=1)
    repaired.touch()
    refused = gitorch(project, "retry", "a", "--from", "perpare", code=2).stderr
    assert "did you mean 'prepare'" in refused
    gitorch(project, "retry", "a", "--from", "prepare")
    gitorch(project, "doctor")
    gitorch(project, "run", "-j", "2")
    executions = Counter((tmp_path / "order").read_text().split())
    assert executions == {"prepare": 2, "after": 2, "right": 1}
    assert shown(project)["status"] == "COMPLETE"
    assert len({*pins_of(shown(project)).values()}) == 1


def test_a_commit_with_unusable_tasks_is_refused_before_anything_changes(
    project: Path, count: Path, failed: str
) -> None:
    before = git(project, "rev-parse", "gitorch/results")
    unusable = """
class Works:
    def __init__(self, config): 1 / 0
    def run(self): ...
"""
    commit_files(project, {"Tasks.py": unusable})
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "task four: " in refused
    assert "Fails" in refused
    assert "task five: " in refused
    assert "task one" not in refused, "a finished task is not checked"
    git(project, "rm", "-q", "Tasks.py")
    git(project, "commit", "-qm", "no tasks")
    assert (
        "no Tasks.py"
        in gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    )
    assert (
        "no commit is called"
        in gitorch(project, "retry", "a", "--at", "nowhere", code=3).stderr
    )
    assert git(project, "rev-parse", "gitorch/results") == before
    assert list((project.parent / "project.gitorch/scratch").iterdir()) == []
    assert (
        git(project, "for-each-ref", "--format=%(objectname)", "refs/gitorch/pins")
        == failed
    )


def test_a_retry_with_an_uncommitted_fix_is_refused(
    project: Path, count: Path, failed: str
) -> None:
    write(project, "Tasks.py", "# fixed, but not committed\n")
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "uncommitted changes would not be in the run: Tasks.py" in refused
    [note] = gitorch_json(project, "retry", "a", "--at", failed)["notes"]
    assert note.endswith(f"at {failed[:12]} as before, so the code is the same")


def test_a_commit_without_the_path_to_the_tasks_is_refused(project: Path) -> None:
    failing = """
class T:
    def __init__(self, config): ...
    def run(self): 1 / 0
"""
    commit_files(project, {"code/Tasks.py": failing})
    write(
        project,
        "experiments/a.yaml",
        "pathToTasks: code\ntasks: [{id: t, method: T}]\n",
    )
    gitorch(project, "run", "experiments", code=1)
    git(project, "mv", "code", "source")
    git(project, "commit", "-qm", "moved")
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "pathToTasks: there is no directory code in commit" in refused


def test_a_retry_changes_either_all_named_runs_or_none(
    project: Path, count: Path
) -> None:
    commit_code(project, count, 1, BUG)
    write(project, "experiments/a.yaml", CONFIG)
    write(project, "experiments/b.yaml", CONFIG.replace("seed: 1", "seed: 2"))
    write(project, "experiments/c.yaml", "tasks: [{id: other, method: Works}]\n")
    write(project, "experiments/d.yaml", "tasks: [{id: other, method: Fails}]\n")
    gitorch(project, "run", "experiments", code=1)
    fixed = commit_code(project, count, 2, "return {}")
    before = git(project, "rev-parse", "gitorch/results")
    gitorch(project, "retry", "a", "b", "c", "--at", "HEAD", code=4)
    gitorch(project, "retry", "a", "d", "--from", "two", code=2)
    assert git(project, "rev-parse", "gitorch/results") == before
    changed = gitorch_json(
        project, "retry", "--all", "--at", "HEAD", "--from", "two"
    )
    assert len(changed["changed"]) == 2
    assert sorted(
        refused["why"].split(" ")[0] for refused in changed["refused"]
    ) == ["c", "d"]
    assert git(project, "rev-list", "--count", f"{before}..gitorch/results") == "1"
    commits = {
        run["name"]: run["commit"] for run in gitorch_json(project, "list")["runs"]
    }
    assert (commits["a"], commits["b"]) == (fixed, fixed)


# The tasks use a submodule, a link, the output directory, and a kept file in the worktree.
RICH_CONFIG = """
tasks:
  - id: one
    command: echo kept > scratch.txt; mkdir {outputDir}/d; echo out > {outputDir}/d/out
  - id: two
    command: >-
      cat scratch.txt {outputDir}/d/out data/file sub/inner.txt version >> {outputDir}/seen;
      grep 2 version
gitorch: {outputs: [scratch.txt], link: [data]}
"""


@pytest.fixture
def with_everything(project: Path, tmp_path: Path) -> str:
    """Make a run in ERROR whose code has a submodule and links. Return the commit of its fix.

    The run has outputs both in the output directory and in the worktree.
    """
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    commit_files(inner, {"inner.txt": "submodule 1\n"})
    git(project, "submodule", "add", "-q", str(inner), "sub")
    write(project, "data/file", "data\n")
    write(project, "removed", "only in the first\n")
    commit_files(project, {".gitignore": "data\n", "version": "1\n"})
    write(project, "experiments/a.yaml", RICH_CONFIG)
    gitorch(project, "run", "experiments", code=1)
    commit_files(inner, {"inner.txt": "submodule 2\n"})
    git(project / "sub", "pull", "-q")
    git(project, "rm", "-q", "removed")
    return commit_files(project, {"version": "2\n"})


# The lines that task two appends to `seen` in its first and in its second attempt.
FIRST = "kept\nout\ndata\nsubmodule 1\n1\n"
SECOND = "kept\nout\ndata\nsubmodule 2\n2\n"


@pytest.mark.parametrize("lost", ["nothing", "workspace", "tree", "output", "log"])
def test_a_retry_restores_lost_directories_at_the_new_commit(
    project: Path, with_everything: str, lost: str
) -> None:
    [run] = gitorch_json(project, "list")["runs"]
    directory = project.parent / "project.gitorch" / run["id"]
    match lost:
        case "workspace":
            shutil.rmtree(directory.parent)
        case "tree" | "output" | "log":
            shutil.rmtree(directory / lost)
    gitorch(project, "retry", "a", "--at", "HEAD")
    gitorch(project, "run")
    checkout = Path(gitorch(project, "checkout-run", "a").stdout.strip())
    outputs = checkout / f"run-{run['id']}" / "outputs"
    assert (outputs / "seen").read_text() == FIRST + SECOND
    assert (outputs / "worktree" / "scratch.txt").read_text() == "kept\n"
    assert not (checkout / "removed").exists()


@pytest.mark.parametrize("lost", ["workspace", "tree"])
def test_a_worktree_that_is_made_ahead_is_complete(
    project: Path, with_everything: str, lost: str
) -> None:
    """While a run is executed, a worker makes the worktrees of WAITING runs or reuses old ones."""
    [run] = gitorch_json(project, "list")["runs"]
    directory = project.parent / "project.gitorch" / run["id"]
    shutil.rmtree(directory if lost == "workspace" else directory / lost)
    write(project, "experiments/b.yaml", "tasks: [{id: t, command: sleep 0.5}]\n")
    gitorch(
        project, "ready", "--at", "HEAD", "experiments/b.yaml", "--priority", "9"
    )
    gitorch(project, "retry", "a", "--at", "HEAD")
    gitorch(project, "run")
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "COMPLETE"
    }
    seen = git(
        project, "grep", "-h", "", "gitorch/results", "--", "runs/*/outputs/seen"
    )
    assert seen + "\n" == FIRST + SECOND


def test_a_commit_that_tracks_a_linked_path_is_refused(
    project: Path, with_everything: str
) -> None:
    git(project, "rm", "-q", ".gitignore")
    commit_files(project, {"data/file": "tracked now\n"})
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "data" in refused
    assert gitorch_json(project, "list")["runs"][0]["status"] == "ERROR"


@pytest.fixture
def fixed(project: Path, count: Path, failed: str) -> str:
    """Complete the run with a fix. Return the commit of the fix."""
    commit = commit_code(project, count, 2, "return {'four': 2}")
    gitorch(project, "retry", "a", "--at", "HEAD")
    gitorch(project, "run")
    return commit


def test_show_lists_the_commit_of_each_task(
    project: Path, failed: str, fixed: str
) -> None:
    lines = gitorch(project, "show", "a").stdout.splitlines()
    commits = []
    for line in lines:
        cells = line.split()
        is_task = " COMPLETE " in line and not line.endswith("COMPLETE")
        if is_task and len(cells) == 5:
            commits.append((cells[0], cells[-1]))
    assert commits == [
        ("one", failed[:10]),
        ("two", failed[:10]),
        ("three", failed[:10]),
        ("four", fixed[:10]),
        ("five", fixed[:10]),
    ]
    assert f"  commit   {fixed}" in lines
    write(project, "experiments/b.yaml", CONFIG.replace("seed: 1", "seed: 2"))
    gitorch(project, "run", "experiments/b.yaml")
    stdout = gitorch(project, "show", "b").stdout
    assert fixed[:10] not in stdout.replace(fixed, ""), (
        "the run has a single commit"
    )


def test_compare_compares_the_code_of_each_task(
    project: Path, failed: str, fixed: str
) -> None:
    """Two runs at the same commit differ in code if one of them began at another commit."""
    write(project, "experiments/b.yaml", CONFIG.replace("seed: 1", "seed: 2"))
    gitorch(project, "run", "experiments/b.yaml")
    code = gitorch_json(project, "compare", "a", "b")["code"]
    assert not code["same"]
    assert "Tasks.py" in [file["path"] for file in code["files"]]
    assert [commit["commit"] for commit in code["commits"]] == [fixed]
    assert code["tasks"] == {
        "one": [failed, fixed],
        "two": [failed, fixed],
        "three": [failed, fixed],
        "four": [fixed, fixed],
        "five": [fixed, fixed],
    }
    lines = gitorch(project, "compare", "a", "b").stdout.splitlines()
    assert ["one", failed[:10], fixed[:10]] in [line.split() for line in lines]
    difference = gitorch(project, "compare", "a", "b", "--code").stdout
    assert "+        return {'four': 2}" in difference
    gitorch(project, "rerun", "b")
    assert "tasks" not in gitorch_json(project, "compare", "b", "@")["code"]
    three = gitorch_json(project, "compare", "b", "a", "@")
    assert not three["code"]["same"], "each run is compared with the first"
    itself = gitorch_json(project, "compare", "a", "a")["code"]
    assert itself["same"]
    assert itself["tasks"]["one"] == [failed, failed]


def test_compare_of_two_runs_with_several_commits(
    project: Path, count: Path
) -> None:
    first = commit_code(project, count, 1, BUG)
    write(project, "experiments/a.yaml", CONFIG)
    gitorch(project, "run", "experiments", code=1)
    second = commit_code(project, count, 2, BUG)
    write(project, "experiments/b.yaml", CONFIG.replace("seed: 1", "seed: 2"))
    gitorch(project, "run", "experiments/b.yaml", code=1)
    third = commit_code(project, count, 3, "return {}")
    fourth = commit_code(project, count, 4, "return {}")
    gitorch(project, "retry", "a", "--at", third)
    gitorch(project, "retry", "b", "--at", fourth)
    gitorch(project, "run")
    parts = gitorch(project, "compare", "a", "b", "--code").stdout.split(
        "diff --git"
    )
    assert f"{first[:12]} -> {second[:12]}  one, two, three\n" in parts[0]
    assert f"{third[:12]} -> {fourth[:12]}  four, five\n" in parts[-2] + parts[-3]


def test_commands_that_go_back_to_a_run_name_its_commits(
    project: Path, count: Path, failed: str, fixed: str
) -> None:
    commits = f"four, five at {fixed[:12]}; one, two, three at {failed[:12]}"
    made = gitorch(project, "checkout-run", "a")
    assert commits in made.stderr
    tree = Path(made.stdout.strip())
    assert git(tree, "rev-parse", "HEAD") == fixed
    [kept] = tree.glob("run-*")
    assert f"{failed}  one\n" in (kept / "commits.txt").read_text()
    assert f"{fixed}  five\n" in (kept / "commits.txt").read_text()
    assert commits in gitorch(project, "revert", "a", "--detach").stderr
    assert git(project, "rev-parse", "HEAD") == fixed
    again = gitorch(project, "rerun", "a", "--verify", code=1)
    assert commits in again.stderr
    assert "the code: its tasks ran at other commits" in again.stderr
    assert set(pins_of(shown(project)).values()) == {fixed}


def test_a_retry_does_not_move_a_checkout_of_the_run(
    project: Path, count: Path, failed: str
) -> None:
    tree = Path(gitorch(project, "checkout-run", "a").stdout.strip())
    write(tree, "Tasks.py", "# mine\n")
    commit_code(project, count, 2, "return {'four': 2}")
    gitorch(project, "retry", "a", "--at", "HEAD")
    refused = gitorch(project, "checkout-run", "a", code=4).stderr
    assert (tree / "Tasks.py").read_text() == "# mine\n"
    git(project, *refused.rpartition(", or git ")[2].split())
    gitorch(project, "checkout-run", "a")
    assert "v2" in (tree / "Tasks.py").read_text()


def test_doctor_restores_a_lost_pin_of_an_earlier_task(
    project: Path, failed: str, fixed: str
) -> None:
    git(project, "update-ref", "-d", f"refs/gitorch/pins/{failed}")
    assert failed[:12] in gitorch(project, "doctor", code=1).stdout
    gitorch(project, "doctor", "--fix")
    assert git(project, "rev-parse", f"refs/gitorch/pins/{failed}") == failed


def test_one_of_two_retries_at_the_same_time_is_refused(
    project: Path, count: Path, failed: str
) -> None:
    commits = [
        commit_code(project, count, number, "return {}") for number in (2, 3)
    ]
    retries = {
        commit: started(project, "retry", "a", "--at", commit) for commit in commits
    }
    for process in retries.values():
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in retries.values()) == [0, 4]
    gitorch(project, "doctor")
    [chosen] = [
        commit for commit, process in retries.items() if process.returncode == 0
    ]
    gitorch(project, "run")
    assert pins_of(shown(project))["five"] == chosen


def test_a_retry_that_dies_at_any_boundary_leaves_a_consistent_run(
    project: Path, tmp_path: Path
) -> None:
    """Kill a retry at each durable boundary, of one run each.

    Afterwards the queue agrees with the record, and a second retry succeeds.
    """
    commit_files(project, {"version": "1\n"})
    runs = [f"r{number}" for number in range(30)]
    for run in runs:
        write(
            project,
            f"experiments/{run}.yaml",
            f"""
            tasks:
              - {{id: one, command: "cat version >> {tmp_path}/{run}.one"}}
              - {{id: two, command: "cat version >> {tmp_path}/{run}.two"}}
              - {{id: three, command: "cat version >> {tmp_path}/{run}.three; grep 2 version"}}
            """,
        )
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    fixed = commit_files(project, {"version": "2\n"})
    died = 0
    for number, run in enumerate(runs, 1):
        env = {"GITORCH_DIE_AT": f"{number}:{tmp_path}/{run}.boundaries"}
        retry = ("retry", run, "--at", "HEAD", "--from", "two")
        if gitorch(project, *retry, code=None, env=env).returncode == 0:
            break
        died += 1
    assert 5 < died < len(runs) - 1, died
    gitorch(project, "retry", "--all", "--at", "HEAD", "--from", "two")
    # The worktrees of the killed checks are leftovers as soon as they are a few seconds old.
    findings = gitorch_json(project, "doctor", code=None)["findings"]
    assert {finding["what"] for finding in findings} <= {"leftover"}
    gitorch(project, "run", "-j", "2")
    for run in runs:
        tasks = ("one", "two", "three")
        versions = [
            (tmp_path / f"{run}.{task}").read_text().split() for task in tasks
        ]
        assert versions == [["1"], ["1", "2"], ["1", "2"]]
    assert {run["commit"] for run in gitorch_json(project, "list")["runs"]} == {
        fixed
    }
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {
        "COMPLETE"
    }

"""A run goes on with fixed code, or from an earlier task: what is done stays done, and it is told what ran where."""

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
    """Where every task that is executed leaves a line: its id and the version of the code."""
    return tmp_path / "count"


def commit_code(project: Path, count: Path, number: int, fails: str) -> str:
    code = TASKS.format(count=str(count), version=f"v{number}", number=number, fails=fails)
    return commit_files(project, {"Tasks.py": code}, f"version {number}")


def executed(count: Path) -> Counter[str]:
    return Counter(count.read_text().splitlines())


def shown(project: Path, run: str = "@") -> Any:
    return gitorch_json(project, "show", run)["run"]


def pins_of(record: Any) -> dict[str, str]:
    return {task["id"]: task["pin"]["commit"] for task in record["tasks"]}


@pytest.fixture
def failed(project: Path, count: Path) -> str:
    """A run whose task four has failed from a bug; gives the commit it is at."""
    buggy = commit_code(project, count, 1, BUG)
    write(project, "experiments/a.yaml", CONFIG)
    gitorch(project, "run", "experiments", code=1)
    return buggy


def test_it_goes_on_where_it_failed_at_the_commit_of_the_fix(
    project: Path, count: Path, failed: str
) -> None:
    fixed = commit_code(project, count, 2, "return {'four': 2}")
    said = gitorch(project, "retry", "a", "--at", "HEAD", "--why", "mended").stderr
    assert "ERROR -> WAITING" in said
    waiting = shown(project)
    assert waiting["pin"] == {**waiting["pin"], "commit": fixed, "origin": "head"}
    assert waiting["history"][-1]["why"] == f"mended; at {fixed[:12]} instead of {failed[:12]}"
    gitorch(project, "run")
    record = shown(project)
    assert record["status"] == "COMPLETE"
    assert executed(count) == Counter(
        ["one v1", "two v1", "three v1", "four v1", "four v2", "five v2"]
    )
    assert pins_of(record) == {
        "one": failed,
        "two": failed,
        "three": failed,
        "four": fixed,
        "five": fixed,
    }
    assert record["metrics"] == {"one": 1, "two": 1, "three": 1, "four": 2, "five": 2}
    assert [attempt["pin"]["commit"] for attempt in record["tasks"][3]["attempts"]] == [
        failed,
        fixed,
    ]
    for commit in (failed, fixed):
        assert git(project, "rev-parse", f"refs/gitorch/pins/{commit}") == commit
    assert gitorch_json(project, "list")["runs"][0]["commit"] == fixed
    assert gitorch_json(project, "ready")["queued"] == [], (
        "it is the same run as one of that commit"
    )
    gitorch(project, "doctor")


def test_two_fixes_in_a_row_leave_three_pins(project: Path, count: Path, failed: str) -> None:
    better = commit_code(project, count, 2, "return {'four': 2}")
    commit_files(
        project, {"Tasks.py": (project / "Tasks.py").read_text().replace("self.work()", "1 / 0")}
    )
    worse = git(project, "rev-parse", "HEAD")
    gitorch(project, "retry", "a", "--at", worse)
    gitorch(project, "run", code=1)
    fixed = commit_code(project, count, 3, "return {'four': 3}")
    gitorch(project, "retry", "a", "--at", better)
    gitorch(project, "hold", "a")
    assert pins_of(shown(project))["five"] == better
    gitorch(project, "release", "a")
    write(project, "Tasks.py", (project / "Tasks.py").read_text() + "# not committed\n")
    gitorch(project, "run")
    assert pins_of(shown(project)) == {
        "one": failed, "two": failed, "three": failed, "four": better, "five": better
    }  # fmt: skip
    history = [change["why"] for change in shown(project)["history"] if change["from"] == "ERROR"]
    assert history == [
        f"at {worse[:12]} instead of {failed[:12]}",
        f"at {better[:12]} instead of {worse[:12]}",
    ]
    attempts = shown(project)["tasks"][3]["attempts"]
    assert [attempt["pin"]["commit"] for attempt in attempts] == [failed, worse, better]
    assert fixed not in git(project, "for-each-ref", "refs/gitorch/pins")


def test_from_an_earlier_task(project: Path, count: Path, failed: str) -> None:
    fixed = commit_code(project, count, 2, "return {'four': 2}")
    gitorch(project, "retry", "a", "--at", "HEAD", "--from", "two")
    waiting = shown(project)
    assert [task["status"] for task in waiting["tasks"]] == [
        "COMPLETE",
        "WAITING",
        "WAITING",
        "WAITING",
        "WAITING",
    ]
    assert waiting["metrics"] == {"one": 1}, "what is to be repeated is no longer the run's"
    assert waiting["tasks"][1]["result"] is None
    gitorch(project, "run")
    record = shown(project)
    assert executed(count) == Counter(
        [*(f"{task} v1" for task in ("one", "two", "three", "four")),
         *(f"{task} v2" for task in ("two", "three", "four", "five"))]
    )  # fmt: skip
    assert [task["attempt_count"] for task in record["tasks"]] == [1, 2, 2, 2, 1]
    assert record["tasks"][1]["result"] == {"two": 2}
    assert pins_of(record) == {"one": failed} | dict.fromkeys(
        ("two", "three", "four", "five"), fixed
    )
    kept = git(project, "ls-tree", "-r", "--name-only", "gitorch/results").splitlines()
    assert len([path for path in kept if path.endswith("tasks/two/1/attempt.json")]) == 1
    refused = gitorch(project, "retry", "a", "--from", "two", code=4).stderr
    assert "rerun" in refused


def test_from_a_task_with_the_code_as_it_was(project: Path, tmp_path: Path) -> None:
    """Beside each other: only what needs the task is repeated."""
    mended = tmp_path / "mended"
    write(
        project,
        "experiments/a.yaml",
        f"""
        tasks:
          - {{id: prepare, command: "echo prepare >> {tmp_path}/order"}}
          - {{id: right, needs: [], command: "echo right >> {tmp_path}/order"}}
          - {{id: after, needs: [prepare], command: "echo after >> {tmp_path}/order"}}
          - {{id: last, needs: [after, right], command: "test -f {mended}"}}
        """,
    )
    gitorch(project, "run", "experiments", code=1)
    mended.touch()
    assert (
        "did you mean 'prepare'"
        in gitorch(project, "retry", "a", "--from", "perpare", code=2).stderr
    )
    gitorch(project, "retry", "a", "--from", "prepare")
    gitorch(project, "doctor")
    gitorch(project, "run", "-j", "2")
    assert sorted((tmp_path / "order").read_text().split()) == [
        "after",
        "after",
        "prepare",
        "prepare",
        "right",
    ]
    assert shown(project)["status"] == "COMPLETE"
    assert len({*pins_of(shown(project)).values()}) == 1


def test_what_would_not_do_at_that_commit_is_said_before_anything_is_changed(
    project: Path, count: Path, failed: str
) -> None:
    before = git(project, "rev-parse", "gitorch/results")
    commit_files(
        project,
        {
            "Tasks.py": "class Works:\n    def __init__(self, config): 1 / 0\n    def run(self): ...\n"
        },
    )
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "task four: " in refused
    assert "Fails" in refused
    assert "task five: " in refused
    assert "task one" not in refused, "it is done"
    git(project, "rm", "-q", "Tasks.py")
    git(project, "commit", "-qm", "no tasks")
    assert "no Tasks.py" in gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "no commit is called" in gitorch(project, "retry", "a", "--at", "nowhere", code=3).stderr
    assert git(project, "rev-parse", "gitorch/results") == before
    assert list((project.parent / "project.gitorch/scratch").iterdir()) == []
    assert git(project, "for-each-ref", "--format=%(objectname)", "refs/gitorch/pins") == failed


def test_who_forgot_to_commit_the_fix_is_told(project: Path, count: Path, failed: str) -> None:
    write(project, "Tasks.py", "# mended, and not committed\n")
    notes = gitorch_json(project, "retry", "a", "--at", "HEAD")["notes"]
    assert [note.partition(": ")[2] for note in notes] == [
        f"at {failed[:12]} as before, so the code is the same",
        "Tasks.py",
    ]


def test_a_path_to_the_tasks_that_is_not_there_any_more(project: Path) -> None:
    commit_files(
        project, {"code/Tasks.py": "class T:\n def __init__(self, c): ...\n def run(self): 1 / 0\n"}
    )
    write(project, "experiments/a.yaml", "pathToTasks: code\ntasks: [{id: t, method: T}]\n")
    gitorch(project, "run", "experiments", code=1)
    git(project, "mv", "code", "source")
    git(project, "commit", "-qm", "moved")
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "pathToTasks: there is no directory code in commit" in refused


def test_several_runs_all_or_none(project: Path, count: Path) -> None:
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
    changed = gitorch_json(project, "retry", "--all", "--at", "HEAD", "--from", "two")
    assert len(changed["changed"]) == 2
    assert sorted(refused["why"].split(" ")[0] for refused in changed["refused"]) == ["c", "d"]
    assert git(project, "rev-list", "--count", f"{before}..gitorch/results") == "1"
    assert {
        run["commit"] for run in gitorch_json(project, "list")["runs"] if run["name"] in "ab"
    } == {fixed}


OUTSIDE = """
tasks:
  - id: one
    command: echo kept > scratch.txt; mkdir {outputDir}/d; echo out > {outputDir}/d/out
  - id: two
    command: cat scratch.txt {outputDir}/d/out data/file sub/inner.txt version >> {outputDir}/seen; grep 2 version
gitorch: {outputs: [scratch.txt], link: [data]}
"""


@pytest.fixture
def with_everything(project: Path, tmp_path: Path) -> str:
    """A run in ERROR whose code has a submodule and links, with outputs in both places; gives the commit of its fix."""
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    commit_files(inner, {"inner.txt": "submodule 1\n"})
    git(project, "submodule", "add", "-q", str(inner), "sub")
    write(project, "data/file", "data\n")
    write(project, "removed", "only in the first\n")
    commit_files(project, {".gitignore": "data\n", "version": "1\n"})
    write(project, "experiments/a.yaml", OUTSIDE)
    gitorch(project, "run", "experiments", code=1)
    commit_files(inner, {"inner.txt": "submodule 2\n"})
    git(project / "sub", "pull", "-q")
    git(project, "rm", "-q", "removed")
    return commit_files(project, {"version": "2\n"})


FIRST = "kept\nout\ndata\nsubmodule 1\n1\n"
SECOND = "kept\nout\ndata\nsubmodule 2\n2\n"


@pytest.mark.parametrize("lost", ["nothing", "workspace", "tree", "output", "log"])
def test_the_worktree_is_brought_to_the_new_commit_whatever_is_left_of_it(
    project: Path, with_everything: str, lost: str
) -> None:
    [run] = gitorch_json(project, "list")["runs"]
    place = project.parent / "project.gitorch" / run["id"]
    match lost:
        case "workspace":
            shutil.rmtree(place.parent)
        case "tree" | "output" | "log":
            shutil.rmtree(place / lost)
    gitorch(project, "retry", "a", "--at", "HEAD")
    gitorch(project, "run")
    there = gitorch(project, "checkout-run", "a").stdout.strip()
    outputs = Path(there) / f"run-{run['id']}" / "outputs"
    assert (outputs / "seen").read_text() == FIRST + SECOND
    assert (outputs / "worktree" / "scratch.txt").read_text() == "kept\n"
    assert not (Path(there) / "removed").exists()


@pytest.mark.parametrize("lost", ["workspace", "tree"])
def test_a_worktree_that_is_made_ahead_is_whole(
    project: Path, with_everything: str, lost: str
) -> None:
    """While a run before it is executed, the worktrees of those that wait are made, or handed on."""
    place = project.parent / "project.gitorch" / gitorch_json(project, "list")["runs"][0]["id"]
    shutil.rmtree(place if lost == "workspace" else place / lost)
    write(project, "experiments/b.yaml", "tasks: [{id: t, command: sleep 0.5}]\n")
    gitorch(project, "ready", "--at", "HEAD", "experiments/b.yaml", "--priority", "9")
    gitorch(project, "retry", "a", "--at", "HEAD")
    gitorch(project, "run")
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {"COMPLETE"}
    found = git(project, "grep", "-h", "", "gitorch/results", "--", "runs/*/outputs/seen")
    assert found + "\n" == FIRST + SECOND


def test_a_link_that_the_new_commit_has_itself_is_refused(
    project: Path, with_everything: str
) -> None:
    git(project, "rm", "-q", ".gitignore")
    commit_files(project, {"data/file": "tracked now\n"})
    refused = gitorch(project, "retry", "a", "--at", "HEAD", code=4).stderr
    assert "data" in refused
    assert gitorch_json(project, "list")["runs"][0]["status"] == "ERROR"


@pytest.fixture
def fixed(project: Path, count: Path, failed: str) -> str:
    """The run has been completed with a fix; gives the commit of that."""
    commit = commit_code(project, count, 2, "return {'four': 2}")
    gitorch(project, "retry", "a", "--at", "HEAD")
    gitorch(project, "run")
    return commit


def test_show_tells_what_ran_where(project: Path, failed: str, fixed: str) -> None:
    lines = gitorch(project, "show", "a").stdout.splitlines()
    tasks = [
        line.split() for line in lines if " COMPLETE " in line and not line.endswith("COMPLETE")
    ]
    assert [(cells[0], cells[-1]) for cells in tasks if len(cells) == 5] == [
        *((task, failed[:10]) for task in ("one", "two", "three")),
        *((task, fixed[:10]) for task in ("four", "five")),
    ]
    assert f"  commit   {fixed}" in lines
    write(project, "experiments/b.yaml", CONFIG.replace("seed: 1", "seed: 2"))
    gitorch(project, "run", "experiments/b.yaml")
    assert fixed[:10] not in gitorch(project, "show", "b").stdout.replace(fixed, ""), (
        "there is but one"
    )


def test_compare_looks_at_each_tasks_code(project: Path, failed: str, fixed: str) -> None:
    """A run that began with the bug and one that never had it are at the same commit, and not of the same code."""
    write(project, "experiments/b.yaml", CONFIG.replace("seed: 1", "seed: 2"))
    gitorch(project, "run", "experiments/b.yaml")
    code = gitorch_json(project, "compare", "a", "b")["code"]
    assert not code["same"]
    assert "Tasks.py" in [file["path"] for file in code["files"]]
    assert [commit["commit"] for commit in code["commits"]] == [fixed]
    before, after = ([failed, fixed], [fixed, fixed])
    assert code["tasks"] == {
        "one": before,
        "two": before,
        "three": before,
        "four": after,
        "five": after,
    }
    told = gitorch(project, "compare", "a", "b").stdout
    assert ["one", failed[:10], fixed[:10]] in [line.split() for line in told.splitlines()]
    difference = gitorch(project, "compare", "a", "b", "--code").stdout
    assert "+        return {'four': 2}" in difference
    gitorch(project, "rerun", "b")
    assert "tasks" not in gitorch_json(project, "compare", "b", "@")["code"]
    assert not gitorch_json(project, "compare", "b", "a", "@")["code"]["same"], (
        "each is compared with the first"
    )
    itself = gitorch_json(project, "compare", "a", "a")["code"]
    assert itself["same"]
    assert itself["tasks"]["one"] == [failed, failed]


def test_compare_of_two_runs_with_several_commits(project: Path, count: Path) -> None:
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
    parts = gitorch(project, "compare", "a", "b", "--code").stdout.split("diff --git")
    assert f"{first[:12]} -> {second[:12]}  one, two, three\n" in parts[0]
    assert f"{third[:12]} -> {fourth[:12]}  four, five\n" in parts[-2] + parts[-3]


def test_going_back_to_it_says_that_there_are_several_commits(
    project: Path, count: Path, failed: str, fixed: str
) -> None:
    told = f"four, five at {fixed[:12]}; one, two, three at {failed[:12]}"
    made = gitorch(project, "checkout-run", "a")
    assert told in made.stderr
    tree = Path(made.stdout.strip())
    assert git(tree, "rev-parse", "HEAD") == fixed
    [kept] = tree.glob("run-*")
    assert f"{failed}  one\n" in (kept / "commits.txt").read_text()
    assert f"{fixed}  five\n" in (kept / "commits.txt").read_text()
    assert told in gitorch(project, "revert", "a", "--detach").stderr
    assert git(project, "rev-parse", "HEAD") == fixed
    again = gitorch(project, "rerun", "a", "--verify", code=1)
    assert told in again.stderr
    assert "differs in one, two, three" in again.stderr
    assert set(pins_of(shown(project)).values()) == {fixed}


def test_a_checkout_is_not_moved_when_the_run_goes_on(
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


def test_a_lost_pin_of_an_earlier_task_is_kept_again(
    project: Path, failed: str, fixed: str
) -> None:
    git(project, "update-ref", "-d", f"refs/gitorch/pins/{failed}")
    assert failed[:12] in gitorch(project, "doctor", code=1).stdout
    gitorch(project, "doctor", "--fix")
    assert git(project, "rev-parse", f"refs/gitorch/pins/{failed}") == failed


def test_of_two_at_the_same_time_one_is_refused(project: Path, count: Path, failed: str) -> None:
    commits = [commit_code(project, count, number, "return {}") for number in (2, 3)]
    both = [started(project, "retry", "a", "--at", commit) for commit in commits]
    for process in both:
        process.communicate(timeout=60)
    assert sorted(process.returncode for process in both) == [0, 4]
    gitorch(project, "doctor")
    [chosen] = [
        commit for commit, process in zip(commits, both, strict=True) if process.returncode == 0
    ]
    gitorch(project, "run")
    assert pins_of(shown(project))["five"] == chosen


def test_a_death_at_any_moment_of_it(project: Path, tmp_path: Path) -> None:
    """For each durable boundary a run: what its record says afterwards is what its queue entry comes to."""
    commit_files(project, {"version": "1\n"})
    runs = [f"r{number}" for number in range(30)]
    for run in runs:
        tasks = [("one", ""), ("two", ""), ("three", "; grep 2 version")]
        commands = [
            f"{{id: {task}, command: 'cat version >> {tmp_path}/{run}.{task}{then}'}}"
            for task, then in tasks
        ]
        write(project, f"experiments/{run}.yaml", f"tasks: [{', '.join(commands)}]\n")
    gitorch(project, "run", "experiments", "-j", "2", code=1)
    fixed = commit_files(project, {"version": "2\n"})
    died = 0
    for number, run in enumerate(runs, 1):
        env = {"GITORCH_DIE_AT": f"{number}:{tmp_path}/{run}.boundaries"}
        if (
            gitorch(
                project, "retry", run, "--at", "HEAD", "--from", "two", code=None, env=env
            ).returncode
            == 0
        ):
            break
        died += 1
    assert 5 < died < len(runs) - 1, died
    gitorch(project, "retry", "--all", "--at", "HEAD", "--from", "two")
    gitorch(project, "doctor")
    gitorch(project, "run", "-j", "2")
    for run in runs:
        found = [
            (tmp_path / f"{run}.{task}").read_text().split() for task in ("one", "two", "three")
        ]
        assert found == [["1"], ["1", "2"], ["1", "2"]]
    assert {run["commit"] for run in gitorch_json(project, "list")["runs"]} == {fixed}
    assert {run["status"] for run in gitorch_json(project, "list")["runs"]} == {"COMPLETE"}

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitorch.errors import Busy, GitorchError, Refused
from gitorch.git.repository import Repository
from gitorch.git.store import lock, refs, results
from gitorch.git.store.results import ResultsBranch
from gitorch.git.store.standing import KEPT
from gitorch.model.branch_layout import RunPaths
from tests.conftest import AUTHOR, commit_files, git

REPOSITORY_ROOT = Path(__file__).parents[3]
RUN = "3f2a5c8e91d0"
OTHER = "a1b2c3d4e5f6"

# Commits one run after the other, and says each one that is committed.
WRITER = """
import sys
from pathlib import Path
from gitorch.git.repository import Repository
from gitorch.git.store.results import ResultsBranch
branch = ResultsBranch(Repository.discover(Path(sys.argv[1])))
first, count = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + count):
    with branch.changing() as change:
        change.put_record({"id": f"{number % 256:02x}{number:010x}"})
        change.put("shared", f"{number}".encode() * 50)
        change.commit(f"run {number}")
    print(number, flush=True)
"""


@pytest.fixture
def branch(project: Path) -> ResultsBranch:
    return ResultsBranch(Repository.discover(project))


def put(branch: ResultsBranch, run: str = RUN, subject: str = "a change", **more: object) -> str:
    with branch.changing() as change:
        change.put_record({"id": run, **more})
        return change.commit(subject)


def writer(project: Path, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(project), str(first), str(count)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
    )


def expect(numbers: range | list[int]) -> set[str]:
    return {f"{number % 256:02x}{number:010x}" for number in numbers}


def assert_sound(project: Path) -> None:
    said = git(project, "fsck", "--full", "--strict", "--no-dangling")
    assert said == ""


def subjects(branch: ResultsBranch, path: str) -> list[str]:
    """Return the subjects of the commits that changed `path`, newest first."""
    log = ("--literal-pathspecs", "log", "--format=%s", branch.name, "--", path)
    return git(branch.repo.root, *log).split("\n")


# Writing and reading


def test_nothing_is_there_before_the_first_commit(project: Path, branch: ResultsBranch) -> None:
    assert branch.tip() is None
    assert branch.run_ids() == []
    assert list(branch.records()) == []
    assert branch.record(RUN) is None
    assert branch.read("README.md") is None
    assert branch.names("runs") == branch.files("runs") == []
    assert git(project, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_change_is_one_commit_that_reads_well(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    with branch.changing() as change:
        change.put(f"{RunPaths.of(RUN).directory}/tasks/train/1/log.txt", b"learning\n")
        change.put(f"{RunPaths.of(RUN).directory}/run me", b"#!/bin/sh\n", 0o100755)
        tip = change.commit(
            "penguins 3f2a5c8e91d0: train COMPLETE\nin 12.3s",
            [("Gitorch-Run", RUN), ("Gitorch-Status", "COMPLETE"), ("Gitorch-Why", "two\nlines")],
        )
    assert branch.tip() == tip == git(project, "rev-parse", "gitorch/results")
    assert git(project, "log", "-1", "--format=%an %ae|%cn|%s%n%(trailers:only)", tip) == (
        f"{AUTHOR['name']} {AUTHOR['email']}|{AUTHOR['name']}|penguins 3f2a5c8e91d0: train COMPLETE in 12.3s\n"
        "Gitorch-Run: 3f2a5c8e91d0\nGitorch-Status: COMPLETE\nGitorch-Why: two lines\n"
    ).rstrip("\n")
    assert git(project, "ls-tree", "-r", "--format=%(objectmode) %(path)", tip) == (
        "100644 README.md\n"
        "100644 runs/3f/3f2a5c8e91d0/record.json\n"
        "100755 runs/3f/3f2a5c8e91d0/run me\n"
        "100644 runs/3f/3f2a5c8e91d0/tasks/train/1/log.txt"
    )
    assert git(project, "log", "--format=%p", "-1", f"{tip}~1") == ""  # an orphan
    assert "git log gitorch/results" in git(project, "show", f"{tip}:README.md")
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-parse", KEPT) == tip
    assert_sound(project)


def test_reading_back(branch: ResultsBranch) -> None:
    first = put(branch, RUN, "first", status="WAITING")
    put(branch, OTHER, "second")
    last = put(branch, RUN, "third", status="COMPLETE")
    assert branch.record(RUN) == {"id": RUN, "status": "COMPLETE"}
    assert branch.record(RUN, first) == {"id": RUN, "status": "WAITING"}
    assert branch.record("0" * 12) is None
    assert branch.run_ids() == [RUN, OTHER]
    assert branch.run_ids(first) == [RUN]
    assert [record["id"] for record in branch.records()] == [RUN, OTHER]
    assert branch.names(RunPaths.of(RUN).directory) == ["record.json"]
    assert branch.names("runs") == ["3f", "a1"]
    assert branch.files("runs/3f") == [f"{RunPaths.of(RUN).directory}/record.json"]
    assert branch.read("runs/3f") is None  # a directory is no file
    assert branch.tip() == last
    assert subjects(branch, RunPaths.of(RUN).directory) == ["third", "first"]


def test_what_somebody_laid_beside_the_runs_is_no_run(branch: ResultsBranch) -> None:
    put(branch)
    with branch.changing() as change:
        for path in (
            "runs/note",
            "runs/3f/latin\udce9",
            "runs/3f/3f3f/record.json",
            "runs/a1/a1b2c3d4e5f6/nothing",
        ):
            change.put(path, b"{}")
        change.commit("by hand")
    assert branch.run_ids() == [RUN, OTHER]
    assert list(branch.records()) == [{"id": RUN}]


def test_readers_load_no_pygit2(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    program = (
        "import sys; from pathlib import Path\n"
        "from gitorch.git.repository import Repository; from gitorch.git.store.results import ResultsBranch\n"
        f"branch = ResultsBranch(Repository.discover(Path({str(project)!r})))\n"
        "assert list(branch.records()) and branch.files('runs')\n"
        "assert 'pygit2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY_ROOT, check=True)


def test_a_change_reads_what_it_has_put_already(branch: ResultsBranch) -> None:
    put(branch, status="WAITING")
    with branch.changing() as change:
        assert change.record(RUN) == {"id": RUN, "status": "WAITING"}
        assert change.record(OTHER) is None
        change.put_record({"id": RUN, "status": "RUNNING"})
        assert change.record(RUN) == {"id": RUN, "status": "RUNNING"}
        change.put("runs/file", b"content")
        assert change.read("runs/file") == b"content"
        change.remove(RunPaths.of(RUN).directory)
        assert change.record(RUN) is None
        change.put_record({"id": RUN})
        change.commit("all of it")
        assert change.record(RUN) == {"id": RUN}
    assert branch.record(RUN) == {"id": RUN}


def test_the_runs_that_changed_since_a_commit(branch: ResultsBranch) -> None:
    first = put(branch)
    with branch.changing() as change:
        assert change.tip == first
        change.put_record({"id": OTHER})
        change.put("shared", b"no run")
        second = change.commit("another")
        assert change.tip == second
    assert branch.changed_runs(first, second) == [OTHER]
    assert branch.changed_runs(second, second) == []
    assert (
        branch.changed_runs(None, second) == branch.changed_runs("0" * 40, second) == [RUN, OTHER]
    )


def test_what_is_not_committed_leaves_nothing(project: Path, branch: ResultsBranch) -> None:
    tip = put(branch)
    with branch.changing() as change:
        change.put_record({"id": OTHER})
    assert branch.tip() == tip
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())


def test_a_change_that_changes_nothing_is_no_commit(branch: ResultsBranch) -> None:
    tip = put(branch, status="COMPLETE")
    assert put(branch, status="COMPLETE") == tip
    with branch.changing() as change:
        change.remove("runs/nothing/here")
        assert change.commit("nothing") == tip


def test_several_commits_in_one_change(branch: ResultsBranch) -> None:
    with branch.changing() as change:
        for run in (RUN, OTHER):
            change.put_record({"id": run})
            change.commit(run)
    assert subjects(branch, "runs") == [OTHER, RUN]


def test_removing_is_a_commit_that_git_can_go_behind(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    with branch.changing() as change:
        change.put(f"killed/{RUN[:2]}/{RUN}", b"")
        change.remove(RunPaths.of(RUN).directory)
        tip = change.commit("killed")
    assert branch.record(RUN) is None
    assert json.loads(
        git(project, "show", f"{tip}~1:{RunPaths.of(RUN).directory}/record.json")
    ) == {"id": RUN}
    assert subjects(branch, RunPaths.of(RUN).directory) == [
        "killed",
        "a change",
    ]


AWKWARD = [
    "sp ace",
    "line\nbreak",
    "tab\t",
    'quo"te',
    "st*r",
    "latin\udce9",
    "-dash",
    "ünï",
    "back\\slash",
    "a:b",
    "#",
    "!",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names(project: Path, branch: ResultsBranch, name: str) -> None:
    with branch.changing() as change:
        change.put_record({"id": RUN, "outputs": [name]})
        change.put(f"{RunPaths.of(RUN).directory}/outputs/{name}", b"content")
        change.commit(name)
    assert branch.read(f"{RunPaths.of(RUN).directory}/outputs/{name}") == b"content"
    assert branch.names(f"{RunPaths.of(RUN).directory}/outputs") == [name]
    assert branch.files(f"{RunPaths.of(RUN).directory}/outputs") == [
        f"{RunPaths.of(RUN).directory}/outputs/{name}"
    ]
    assert len(subjects(branch, f"{RunPaths.of(RUN).directory}/outputs/{name}")) == 1
    assert branch.record(RUN) == {"id": RUN, "outputs": [name]}
    assert_sound(project)


def test_no_user_name_is_needed(branch: ResultsBranch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    put(ResultsBranch(Repository.discover(branch.repo.root)))
    assert_sound(branch.repo.root)


def test_a_hook_of_the_user_cannot_veto_results(project: Path, branch: ResultsBranch) -> None:
    hook = project / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert put(branch)


def test_another_branch_can_be_chosen(project: Path) -> None:
    git(project, "config", "gitorch.branch", "lab/book")
    put(ResultsBranch(Repository.discover(project)))
    assert (
        git(project, "for-each-ref", "--format=%(refname:short)", "refs/heads") == "lab/book\nmain"
    )


# Refusals


def test_a_branch_in_the_way_is_named(project: Path, branch: ResultsBranch) -> None:
    git(project, "branch", "gitorch")
    with pytest.raises(
        Refused,
        match="the branch 'gitorch' leaves no room for the results branch 'gitorch/results'",
    ):
        put(branch)
    git(project, "branch", "-m", "gitorch", "gitorch/results/deeper")
    with pytest.raises(Refused, match="the branch 'gitorch/results/deeper' leaves no room"):
        put(branch)
    git(project, "branch", "-m", "gitorch/results/deeper", "gitorch/other")
    put(branch)


@pytest.mark.parametrize("name", ["main", "bad..name"])
def test_a_branch_that_cannot_be_ours(project: Path, name: str) -> None:
    git(project, "config", "gitorch.branch", name)
    head = git(project, "rev-parse", "HEAD")
    commit_files(project, {"code.py": "1"})
    with pytest.raises(Refused, match=r"cannot be a branch|holds something else"):
        put(ResultsBranch(Repository.discover(project)))
    assert git(project, "rev-parse", "main~1") == head


def test_a_fetched_branch_that_is_not_ours_is_not_continued(project: Path, tmp_path: Path) -> None:
    git(project, "branch", "lab")
    git(tmp_path, "clone", "-q", str(project), "clone")
    git(tmp_path / "clone", "config", "gitorch.branch", "lab")
    with pytest.raises(Refused, match="holds something else"):
        put(ResultsBranch(Repository.discover(tmp_path / "clone")))
    assert git(tmp_path / "clone", "branch", "--list", "lab") == ""


def test_a_checked_out_branch_is_found(
    project: Path, branch: ResultsBranch, tmp_path: Path
) -> None:
    put(branch)
    assert branch.checked_out_at() is None
    git(project, "worktree", "add", "-q", str(tmp_path / "look here"), "gitorch/results")
    assert branch.checked_out_at() == tmp_path / "look here"


def test_a_lock_held_for_long_is_busy(
    branch: ResultsBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE_S", 0.05)
    with branch.changing(), pytest.raises(Busy, match="has been writing"):
        put(ResultsBranch(branch.repo))


# A branch that others moved


def test_a_branch_that_was_deleted_comes_back(project: Path, branch: ResultsBranch) -> None:
    tip = put(branch)
    git(project, "branch", "-qD", "gitorch/results")
    git(project, "gc", "-q", "--prune=now")
    assert branch.tip() == tip
    assert branch.run_ids() == [RUN]
    put(branch, OTHER)
    assert branch.run_ids() == [RUN, OTHER]
    assert git(project, "rev-parse", "gitorch/results~1") == tip


def test_a_branch_that_went_backwards_comes_back(project: Path, branch: ResultsBranch) -> None:
    old = put(branch)
    put(branch, OTHER)
    git(project, "branch", "-qf", "gitorch/results", old)
    third = "0" * 12
    put(branch, third)
    assert branch.run_ids() == [third, RUN, OTHER]


def test_a_branch_that_was_written_anew_loses_nothing(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    before = put(branch, OTHER)
    tree = git(project, "rev-parse", "gitorch/results~1^{tree}")
    anew = git(project, "commit-tree", "-m", "anew", tree)
    git(project, "branch", "-qf", "gitorch/results", anew)
    put(branch, "0" * 12)
    assert git(project, "rev-parse", "gitorch/results~1") == anew
    git(project, "gc", "-q", "--prune=now")
    assert branch.run_ids(before) == [RUN, OTHER]


def test_a_branch_that_moved_on_is_followed(
    project: Path, branch: ResultsBranch, tmp_path: Path
) -> None:
    put(branch)
    git(tmp_path, "clone", "-q", "-b", "gitorch/results", str(project), "clone")
    put(ResultsBranch(Repository.discover(tmp_path / "clone")), OTHER)
    git(project, "fetch", "-q", str(tmp_path / "clone"), "gitorch/results:gitorch/results")
    put(branch, "0" * 12)
    assert branch.run_ids() == ["0" * 12, RUN, OTHER]


def test_a_clone_reads_and_continues_what_it_fetched(
    project: Path, branch: ResultsBranch, tmp_path: Path
) -> None:
    tip = put(branch)
    git(tmp_path, "clone", "-q", str(project), "clone")
    cloned = ResultsBranch(Repository.discover(tmp_path / "clone"))
    assert cloned.run_ids() == [RUN]
    put(cloned, OTHER)
    assert git(tmp_path / "clone", "rev-parse", "gitorch/results~1") == tip


def test_a_move_in_the_middle_of_a_change_is_built_upon(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    with branch.changing() as change:
        change.put_record({"id": OTHER})
        tree = git(project, "rev-parse", "gitorch/results^{tree}")
        theirs = git(project, "commit-tree", "-p", "gitorch/results", "-m", "by hand", tree)
        git(project, "update-ref", "refs/heads/gitorch/results", theirs)
        change.commit("ours")
    assert subjects(branch, ".") == ["ours", "a change"]
    assert git(project, "rev-parse", "gitorch/results~1") == theirs
    assert not list((project / ".git" / "objects" / "pack").glob("*.keep"))
    assert_sound(project)


# Many at once, and the worst of ends


def test_writers_in_several_processes_lose_nothing(project: Path, branch: ResultsBranch) -> None:
    writers = [writer(project, 1000 * number, 25) for number in range(6)]
    for process in writers:
        assert len(process.communicate()[0].splitlines()) == 25
    assert set(branch.run_ids()) == {
        run for number in range(6) for run in expect(range(1000 * number, 1000 * number + 25))
    }
    assert git(project, "rev-list", "--count", "gitorch/results") == "150"
    assert_sound(project)


@pytest.mark.parametrize(
    "chore", [["gc", "-q", "--prune=now"], ["prune", "--expire=now"], ["repack", "-adq"]]
)
def test_commits_beside_a_chore_of_the_user_lose_nothing(
    project: Path, branch: ResultsBranch, chore: list[str]
) -> None:
    put(branch, "f" * 12)
    writers = [writer(project, 1000 * number, 60) for number in range(2)]
    chores = 0
    while any(process.poll() is None for process in writers):
        git(project, *chore, check=False)  # it may find a reference locked, and then says so
        chores += 1
    for process in writers:
        assert len(process.communicate()[0].splitlines()) == 60
    assert chores >= 2
    git(project, *chore)
    runs = expect([*range(60), *range(1000, 1060)])
    assert set(branch.run_ids()) == {*runs, "f" * 12}
    assert {record["id"] for record in branch.records()} == {*runs, "f" * 12}
    assert_sound(project)


def test_killed_writers_lose_nothing_that_they_said_was_written(
    project: Path, branch: ResultsBranch
) -> None:
    said: list[int] = []
    for number in range(8):
        process = writer(project, 1000 * number, 900)
        assert process.stdout
        said += [int(process.stdout.readline()) for _ in range(3)]
        time.sleep(0.001 * number)
        process.send_signal(signal.SIGKILL)
        said += map(int, process.communicate()[0].split())
    put(branch, "f" * 12)
    assert expect(said) <= set(branch.run_ids())
    assert not list((project / ".git" / "objects" / "pack").glob("*.keep"))
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())
    assert_sound(project)


def test_a_lock_that_a_dead_process_left_is_removed(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    for name in ("refs/heads/gitorch/results.lock", f"{KEPT}.lock"):
        path = project / ".git" / name
        path.touch()
        os.utime(path, (time.time() - 60, time.time() - 60))
    put(branch, OTHER)
    assert branch.run_ids() == [RUN, OTHER]
    assert git(project, "rev-parse", KEPT) == branch.tip()


def test_a_lock_that_somebody_holds_is_waited_for(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    held = project / ".git" / "refs/heads/gitorch/results.lock"
    held.touch()
    process = writer(project, 0, 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.4)
    assert held.exists()
    held.unlink()
    assert process.communicate()[0] == "0\n"


def test_a_lock_that_is_never_given_back_is_busy(
    project: Path, branch: ResultsBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = put(branch)
    monkeypatch.setattr(refs, "_PATIENCE_S", 0.05)
    (project / ".git" / "refs/heads/gitorch/results.lock").touch()
    with pytest.raises(Busy, match="refs/heads/gitorch/results cannot be moved"):
        put(branch, OTHER)
    assert branch.tip() == tip
    assert not list((project / ".git" / "objects" / "pack").glob("*.keep"))


def test_a_full_disk_is_said_in_words(branch: ResultsBranch) -> None:
    put(branch)
    packing = branch.repo.store_dir / "packing"
    packing.rmdir()
    packing.write_text("no directory can be made here")
    try:
        with (
            pytest.raises(GitorchError, match="the results cannot be written"),
            branch.changing() as change,
        ):
            change.put("runs/x", b"")
    finally:
        packing.unlink()


def test_packs_that_a_repack_has_replaced_are_let_go(
    branch: ResultsBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "_CHANGES_BEFORE_FREE", 10)
    for number in range(30):
        put(branch, f"{number:012x}")
        git(branch.repo.root, "repack", "-adq")
    mapped = Path("/proc/self/maps").read_text().splitlines()
    replaced = {
        line
        for line in mapped
        if str(branch.repo.common_dir) in line and line.endswith("(deleted)")
    }
    assert len(replaced) <= 2 * 10  # the pack and its index

"""The results branch: written in whole commits by many processes, read with git alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gitorch.errors import GitorchError
from gitorch.git.repository import Repository
from gitorch.git.store import results
from gitorch.git.store.branch_state import KEPT
from gitorch.git.store.results import ResultsBranch
from gitorch.model.branch_layout import RunPaths
from tests.conftest import AUTHOR, git
from tests.git.store.conftest import (
    OTHER,
    REPOSITORY_ROOT,
    RUN,
    assert_sound,
    ids_of,
    put,
    start_writer,
    subjects,
)

# Writing and reading


def test_before_the_first_commit_there_is_nothing(
    project: Path, branch: ResultsBranch
) -> None:
    assert branch.tip() is None
    assert branch.run_ids() == []
    assert list(branch.records()) == []
    assert branch.record(RUN) is None
    assert branch.read("README.md") is None
    assert branch.names("runs") == branch.files("runs") == []
    assert git(project, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_an_edit_is_one_commit_that_people_can_read(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    with branch.changing() as edit:
        edit.put(
            f"{RunPaths.of(RUN).directory}/tasks/train/1/log.txt", b"learning\n"
        )
        edit.put(f"{RunPaths.of(RUN).directory}/run me", b"#!/bin/sh\n", 0o100755)
        tip = edit.commit(
            "penguins 3f2a5c8e91d0: train COMPLETE\nin 12.3s",
            [
                ("Gitorch-Run", RUN),
                ("Gitorch-Status", "COMPLETE"),
                ("Gitorch-Why", "two\nlines"),
            ],
        ).tip
    assert branch.tip() == tip == git(project, "rev-parse", "gitorch/results")
    name, email = AUTHOR["name"], AUTHOR["email"]
    assert git(
        project, "log", "-1", "--format=%an %ae|%cn|%s%n%(trailers:only)", tip
    ) == (
        f"{name} {email}|{name}|penguins 3f2a5c8e91d0: train COMPLETE in 12.3s\n"
        "Gitorch-Run: 3f2a5c8e91d0\nGitorch-Status: COMPLETE\nGitorch-Why: two lines\n"
    ).rstrip("\n")
    listed = {}
    for line in git(project, "ls-tree", "-r", tip).split("\n"):
        facts, _, path = line.partition("\t")
        listed[path] = facts.split()[0]
    assert listed == {
        "README.md": "100644",
        "runs/3f/3f2a5c8e91d0/record.json": "100644",
        "runs/3f/3f2a5c8e91d0/run me": "100755",
        "runs/3f/3f2a5c8e91d0/tasks/train/1/log.txt": "100644",
    }
    assert git(project, "log", "--format=%p", "-1", f"{tip}~1") == ""  # an orphan
    assert "git log gitorch/results" in git(project, "show", f"{tip}:README.md")
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-parse", KEPT) == tip
    assert_sound(project)


def test_records_and_files_are_read_at_any_commit(branch: ResultsBranch) -> None:
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
    assert branch.read("runs/3f") is None  # a directory is not a file
    assert branch.tip() == last
    assert subjects(branch, RunPaths.of(RUN).directory) == ["third", "first"]


def test_files_that_a_person_added_beside_the_runs_are_not_runs(
    branch: ResultsBranch,
) -> None:
    put(branch)
    with branch.changing() as edit:
        for path in (
            "runs/note",
            "runs/3f/latin\udce9",
            "runs/3f/3f3f/record.json",
            "runs/a1/a1b2c3d4e5f6/nothing",
        ):
            edit.put(path, b"{}")
        edit.commit("by hand")
    assert branch.run_ids() == [RUN, OTHER]
    assert list(branch.records()) == [{"id": RUN}]


def test_readers_do_not_load_pygit2(project: Path, branch: ResultsBranch) -> None:
    put(branch)
    program = (
        "import sys; from pathlib import Path\n"
        "from gitorch.git.repository import Repository\n"
        "from gitorch.git.store.results import ResultsBranch\n"
        f"branch = ResultsBranch(Repository.discover(Path({str(project)!r})))\n"
        "assert list(branch.records()) and branch.files('runs')\n"
        "assert 'pygit2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY_ROOT, check=True)


def test_an_edit_reads_what_it_has_put_already(branch: ResultsBranch) -> None:
    put(branch, status="WAITING")
    with branch.changing() as edit:
        assert edit.record(RUN) == {"id": RUN, "status": "WAITING"}
        assert edit.record(OTHER) is None
        edit.put_record({"id": RUN, "status": "RUNNING"})
        assert edit.record(RUN) == {"id": RUN, "status": "RUNNING"}
        edit.put("runs/file", b"content")
        assert edit.read("runs/file") == b"content"
        edit.remove(RunPaths.of(RUN).directory)
        assert edit.record(RUN) is None
        edit.put_record({"id": RUN})
        edit.commit("everything")
        assert edit.record(RUN) == {"id": RUN}
    assert branch.record(RUN) == {"id": RUN}


def test_the_runs_that_changed_since_a_commit(branch: ResultsBranch) -> None:
    first = put(branch)
    with branch.changing() as edit:
        assert edit.tip == first
        edit.put_record({"id": OTHER})
        edit.put("shared", b"not a run")
        second = edit.commit("another").tip
        assert edit.tip == second
    assert branch.changed_runs(first, second) == [OTHER]
    assert branch.changed_runs(second, second) == []
    assert (
        branch.changed_runs(None, second)
        == branch.changed_runs("0" * 40, second)
        == [RUN, OTHER]
    )


def test_an_edit_that_is_not_committed_leaves_nothing(
    project: Path, branch: ResultsBranch
) -> None:
    tip = put(branch)
    with branch.changing() as edit:
        edit.put_record({"id": OTHER})
    assert branch.tip() == tip
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())


def test_an_edit_without_a_difference_makes_no_commit(
    branch: ResultsBranch,
) -> None:
    tip = put(branch, status="COMPLETE")
    assert put(branch, status="COMPLETE") == tip
    with branch.changing() as edit:
        edit.remove("runs/nothing/here")
        assert edit.commit("nothing").tip == tip


def test_one_edit_can_commit_several_times(branch: ResultsBranch) -> None:
    with branch.changing() as edit:
        for run in (RUN, OTHER):
            edit.put_record({"id": run})
            edit.commit(run)
    assert subjects(branch, "runs") == [OTHER, RUN]


def test_a_removed_run_stays_in_the_history(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    with branch.changing() as edit:
        edit.put(f"killed/{RUN[:2]}/{RUN}", b"")
        edit.remove(RunPaths.of(RUN).directory)
        tip = edit.commit("killed").tip
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
    with branch.changing() as edit:
        edit.put_record({"id": RUN, "outputs": [name]})
        edit.put(f"{RunPaths.of(RUN).directory}/outputs/{name}", b"content")
        edit.commit(name)
    assert branch.read(f"{RunPaths.of(RUN).directory}/outputs/{name}") == b"content"
    assert branch.names(f"{RunPaths.of(RUN).directory}/outputs") == [name]
    assert branch.files(f"{RunPaths.of(RUN).directory}/outputs") == [
        f"{RunPaths.of(RUN).directory}/outputs/{name}"
    ]
    assert (
        len(subjects(branch, f"{RunPaths.of(RUN).directory}/outputs/{name}")) == 1
    )
    assert branch.record(RUN) == {"id": RUN, "outputs": [name]}
    assert_sound(project)


def test_no_user_name_is_needed(
    branch: ResultsBranch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    put(ResultsBranch(Repository.discover(branch.repo.root)))
    assert_sound(branch.repo.root)


def test_a_hook_of_the_user_cannot_veto_results(
    project: Path, branch: ResultsBranch
) -> None:
    hook = project / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert put(branch)


def test_the_name_of_the_branch_is_a_setting(project: Path) -> None:
    git(project, "config", "gitorch.branch", "lab/book")
    put(ResultsBranch(Repository.discover(project)))
    assert (
        git(project, "for-each-ref", "--format=%(refname:short)", "refs/heads")
        == "lab/book\nmain"
    )


def test_a_checked_out_branch_is_found(
    project: Path, branch: ResultsBranch, tmp_path: Path
) -> None:
    put(branch)
    assert branch.checked_out_at() is None
    git(
        project,
        "worktree",
        "add",
        "-q",
        str(tmp_path / "check out"),
        "gitorch/results",
    )
    assert branch.checked_out_at() == tmp_path / "check out"


# Several writers, and writers that are killed


def test_writers_in_several_processes_lose_nothing(
    project: Path, branch: ResultsBranch
) -> None:
    writers = [start_writer(project, 1000 * number, 25) for number in range(6)]
    for process in writers:
        assert len(process.communicate()[0].splitlines()) == 25
    assert set(branch.run_ids()) == {
        run
        for number in range(6)
        for run in ids_of(range(1000 * number, 1000 * number + 25))
    }
    assert git(project, "rev-list", "--count", "gitorch/results") == "150"
    assert_sound(project)


@pytest.mark.parametrize(
    "command",
    [["gc", "-q", "--prune=now"], ["prune", "--expire=now"], ["repack", "-adq"]],
)
def test_commits_beside_a_gc_or_prune_of_the_user_lose_nothing(
    project: Path, branch: ResultsBranch, command: list[str]
) -> None:
    put(branch, "f" * 12)
    writers = [start_writer(project, 1000 * number, 60) for number in range(2)]
    commands = 0
    while any(process.poll() is None for process in writers):
        git(project, *command, check=False)  # fails if it finds a reference locked
        commands += 1
    for process in writers:
        assert len(process.communicate()[0].splitlines()) == 60
    assert commands >= 2
    git(project, *command)
    runs = ids_of([*range(60), *range(1000, 1060)])
    assert set(branch.run_ids()) == {*runs, "f" * 12}
    assert {record["id"] for record in branch.records()} == {*runs, "f" * 12}
    assert_sound(project)


def test_killed_writers_lose_nothing_that_they_acknowledged(
    project: Path, branch: ResultsBranch
) -> None:
    acknowledged: list[int] = []
    for number in range(8):
        process = start_writer(project, 1000 * number, 900)
        assert process.stdout
        acknowledged += [int(process.stdout.readline()) for _ in range(3)]
        time.sleep(0.001 * number)
        process.send_signal(signal.SIGKILL)
        acknowledged += map(int, process.communicate()[0].split())
    put(branch, "f" * 12)
    assert ids_of(acknowledged) <= set(branch.run_ids())
    assert not list((project / ".git" / "objects" / "pack").glob("*.keep"))
    assert not list((project / ".git" / "gitorch" / "packing").iterdir())
    assert_sound(project)


def test_a_full_disk_is_reported_as_such(branch: ResultsBranch) -> None:
    put(branch)
    packing = branch.repo.store_dir / "packing"
    packing.rmdir()
    packing.write_text("no directory can be made here")
    try:
        with (
            pytest.raises(GitorchError, match="the results cannot be written"),
            branch.changing() as edit,
        ):
            edit.put("runs/x", b"")
    finally:
        packing.unlink()


def test_packs_that_a_repack_has_replaced_are_closed(
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


def test_a_commit_goes_on_top_of_one_that_was_made_meanwhile(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch)
    with branch.changing() as edit:
        edit.put_record({"id": OTHER})
        tree = git(project, "rev-parse", "gitorch/results^{tree}")
        theirs = git(
            project, "commit-tree", "-p", "gitorch/results", "-m", "by hand", tree
        )
        git(project, "update-ref", "refs/heads/gitorch/results", theirs)
        edit.commit("ours")
    assert subjects(branch, ".") == ["ours", "a change"]
    assert git(project, "rev-parse", "gitorch/results~1") == theirs
    assert not list((project / ".git" / "objects" / "pack").glob("*.keep"))
    assert_sound(project)

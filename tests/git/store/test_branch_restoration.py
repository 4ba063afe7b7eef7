"""Another git program deletes, moves or overwrites the results branch while gitorch changes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitorch.git.repository import Repository
from gitorch.git.store import pack, refs
from gitorch.git.store.branch_edit import RunsChanged
from gitorch.git.store.branch_restoration import Restoration
from gitorch.git.store.branch_state import KEPT, BranchState
from gitorch.git.store.results import ResultsBranch
from gitorch.model.branch_layout import RunPaths, killed_mark
from tests.conftest import commit_files, git
from tests.git.store.conftest import OTHER, RUN, assert_sound, put

REF = "refs/heads/gitorch/results"
THIRD = "0" * 12
Hostile = Callable[[Path], None]


class Witnessed(ResultsBranch):
    """A branch whose acknowledged commits are remembered, as queue.db remembers them."""

    def __init__(self, repo: Repository) -> None:
        self.acknowledged: list[str] = []
        self.restorations: list[Restoration] = []
        super().__init__(
            repo,
            witnesses=lambda: self.acknowledged[-1:],
            report=self.restorations.append,
        )


@pytest.fixture
def known(project: Path) -> Witnessed:
    """A branch with two runs, in two commits."""
    branch = Witnessed(Repository.discover(project))
    for run in (RUN, OTHER):
        branch.acknowledged.append(put(branch, run, history=[{"at": "1"}]))
    return branch


def update_ref(project: Path, commit: str) -> None:
    git(project, "update-ref", REF, commit)


def write_tree(project: Path, commit: str) -> str:
    return git(project, "rev-parse", f"{commit}^{{tree}}")


def empty_tree(project: Path) -> str:
    return git(project, "hash-object", "-w", "-t", "tree", os.devnull)


# -- what other git programs do to the branch


def delete(project: Path) -> None:
    git(project, "update-ref", "-d", REF)


def reset(project: Path) -> None:
    update_ref(project, git(project, "rev-list", "--max-parents=0", REF))


def force_main(project: Path) -> None:
    update_ref(project, git(project, "rev-parse", "main"))


def commit_an_empty_tree(project: Path) -> None:
    tip = git(project, "rev-parse", REF)
    tree = empty_tree(project)
    update_ref(project, git(project, "commit-tree", "-p", tip, "-m", "empty", tree))


def commit_from_an_old_checkout(project: Path) -> None:
    tip = git(project, "rev-parse", REF)
    first = git(project, "rev-list", "--max-parents=0", REF)
    tree = write_tree(project, first)
    update_ref(project, git(project, "commit-tree", "-p", tip, "-m", "old", tree))


def push_an_orphan(project: Path) -> None:
    tree = empty_tree(project)
    update_ref(project, git(project, "commit-tree", "-m", "orphan", tree))


def mirror(project: Path) -> None:
    """Delete everything that a plain clone does not have, as `push --mirror` does."""
    for ref in git(project, "for-each-ref", "--format=%(refname)").split("\n"):
        if ref != "refs/heads/main":
            git(project, "update-ref", "-d", ref)


HOSTILE = [
    delete,
    reset,
    force_main,
    commit_an_empty_tree,
    commit_from_an_old_checkout,
    push_an_orphan,
    mirror,
]


@pytest.fixture
def at_step(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[int, Callable[[], None]], None]]:
    """Give a function that calls another one at the n-th durable step from now on."""
    countdown = 0
    action: Callable[[], None] | None = None

    def step() -> None:
        nonlocal countdown
        countdown -= 1
        if countdown == 0 and action is not None:
            action()

    def arrange(number: int, chosen: Callable[[], None]) -> None:
        nonlocal countdown, action
        countdown, action = number, chosen

    monkeypatch.setattr(pack, "boundary", step)
    monkeypatch.setattr(refs, "boundary", step)
    yield arrange
    assert countdown < 0, "the steps are fewer than expected"


STEPS = range(1, 9)  # five of the pack, two references, and the release of the pack


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_is_lost_whatever_happens_between_two_steps(
    project: Path,
    known: Witnessed,
    at_step: Callable[[int, Callable[[], None]], None],
    hostile: Hostile,
) -> None:
    runs = {RUN, OTHER}
    for step in STEPS:
        at_step(step, lambda: hostile(project))
        run = f"{step:012x}"
        with known.changing() as edit:
            edit.put_record({"id": run})
            committed = edit.commit("a change")
        runs.add(run)
        known.acknowledged.append(committed.tip)
        [first, *_] = git(
            project, "rev-list", "-1", "--parents", committed.tip
        ).split()[1:]
        assert committed.parent == first, "the parent is the one of the commit"
        last = put(known, f"{step:08x}ffff")
        known.acknowledged.append(last)
        runs.add(f"{step:08x}ffff")
        assert set(known.run_ids()) == runs
        assert known.tip() == git(project, "rev-parse", KEPT)
        git(project, "merge-base", "--is-ancestor", committed.tip, KEPT)
    assert_sound(project)
    assert known.former_histories() == {}
    assert known.restorations


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_is_lost_is_reported_restored_and_kept_from_gc(
    project: Path, known: Witnessed, hostile: Hostile
) -> None:
    hostile(project)
    found = git(project, "rev-parse", "-q", "--verify", REF, check=False) or None
    lost = known.lost_runs()
    assert OTHER in lost
    assert not known.restorations, "looking changes nothing"
    if hostile is delete:
        known.settle()
        assert not known.restorations, "readers read what KEPT has"
        known.restore()
    known.settle()
    [restoration] = known.restorations
    assert restoration.runs == lost
    assert restoration.found == found
    assert restoration.source == known.acknowledged[-1]
    assert restoration.lost_references is (hostile is mirror)
    git(project, "reflog", "expire", "--expire=all", "--all")
    git(project, "gc", "-q", "--prune=now")
    assert known.run_ids() == [RUN, OTHER]
    assert known.state() is BranchState.WHOLE
    assert_sound(project)
    known.settle()
    assert len(known.restorations) == 1


def test_a_branch_that_is_deleted_again_and_again(
    project: Path, known: Witnessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    deletions = iter(range(10))

    def step() -> None:
        if next(deletions, None) is not None:
            git(project, "update-ref", "-d", REF, check=False)

    monkeypatch.setattr(pack, "boundary", step)
    put(known, THIRD)
    assert known.run_ids() == [THIRD, RUN, OTHER]


def test_a_program_that_never_stops_moving_the_branch_is_reported(
    project: Path, known: Witnessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitorch.git.store.branch_edit._PATIENCE_S", 0.2)
    monkeypatch.setattr(pack, "boundary", lambda: delete(project))
    with pytest.raises(Exception, match="keeps moving refs/heads/gitorch/results"):
        put(known, THIRD)
    assert known.run_ids() == [RUN, OTHER]


def test_a_killed_run_is_not_restored(project: Path, known: Witnessed) -> None:
    before = known.acknowledged[-1]
    with known.changing() as edit:
        edit.remove(RunPaths.of(RUN).directory)
        edit.put(killed_mark(RUN), b"killed\n")
        edit.commit("kill")
    tree = write_tree(project, before)
    update_ref(project, git(project, "commit-tree", "-m", "anew", tree))
    put(known, THIRD)
    assert known.run_ids() == [THIRD, OTHER]
    assert known.names("killed/3f") == [RUN]


def test_a_run_that_was_killed_on_the_other_side_stays_killed(
    project: Path, known: Witnessed
) -> None:
    before = known.acknowledged[-1]
    with known.changing() as edit:
        edit.remove(RunPaths.of(RUN).directory)
        edit.put(killed_mark(RUN), b"killed\n")
        theirs = edit.commit("kill").tip
    for ref in (REF, KEPT):
        git(project, "update-ref", ref, before)
    put(known, THIRD)
    update_ref(project, theirs)
    put(known, "1" * 12)
    assert known.run_ids() == [THIRD, "1" * 12, OTHER]


def version(attempts: int, changes: int) -> dict[str, object]:
    return {
        "tasks": [{"id": "a", "status": "ERROR", "attempt_count": attempts}],
        "history": [{"at": str(number)} for number in range(changes)],
    }


def diverge(project: Path, known: Witnessed, ours: object, theirs: object) -> None:
    """Make two histories with two versions of a run; each version has a log of its own."""
    before = known.tip()
    assert before
    tips = []
    for name, value in (("ours", ours), ("theirs", theirs)):
        for ref in (REF, KEPT):
            git(project, "update-ref", ref, before)
        with known.changing() as edit:
            edit.put_record({"id": RUN, "from": name, **value})  # type: ignore[dict-item]
            edit.put(f"{RunPaths.of(RUN).directory}/{name}", b"")
            tips.append(edit.commit(name).tip)
    git(project, "update-ref", KEPT, tips[0])
    known.acknowledged = [tips[0]]
    update_ref(project, tips[1])


@pytest.mark.parametrize(
    ("ours", "theirs", "winner"),
    [
        (version(2, 3), version(1, 9), "ours"),
        (version(1, 9), version(2, 3), "theirs"),
        (version(1, 3), version(1, 4), "theirs"),
        (version(1, 4), version(1, 3), "ours"),
        (version(1, 3), version(1, 3), "ours"),
        (version(1, 3), {"tasks": 7, "history": "junk"}, "ours"),
    ],
)
def test_the_run_that_got_further_wins_with_all_its_files(
    project: Path, known: Witnessed, ours: object, theirs: object, winner: str
) -> None:
    diverge(project, known, ours, theirs)
    known.settle()
    record = known.record(RUN)
    assert record is not None
    assert record["from"] == winner
    assert known.names(RunPaths.of(RUN).directory) == sorted(
        ["record.json", winner]
    )
    assert_sound(project)


def test_an_out_of_date_record_does_not_come_back(
    project: Path, known: Witnessed
) -> None:
    """A priority, for example, changes the record but not its history."""
    before = known.tip()
    put(known, RUN, history=[{"at": "1"}], priority=7)
    assert before
    tree = write_tree(project, before)
    stale = git(project, "commit-tree", "-p", REF, "-m", "stale", tree)
    update_ref(project, stale)
    known.settle()
    assert (known.record(RUN) or {})["priority"] == 7
    assert known.restorations[-1].runs == (RUN,)


def test_a_record_that_somebody_edited_stays_edited(
    project: Path, known: Witnessed
) -> None:
    put(known, RUN, history=[{"at": "1"}, {"at": "2"}])
    path = RunPaths.of(RUN).record
    checkout = project.parent / "checkout"
    git(project, "worktree", "add", "-q", str(checkout), "gitorch/results")
    (checkout / path).write_text(json.dumps({"id": RUN, "history": []}))
    git(checkout, "commit", "-qam", "an edit")
    edited = known.tip()
    known.settle()
    assert known.tip() == edited == git(project, "rev-parse", KEPT)
    assert known.restorations == []


def test_files_that_are_not_results_stay_beside_them(
    project: Path, known: Witnessed
) -> None:
    checkout = project.parent / "checkout"
    git(project, "worktree", "add", "-q", str(checkout), "gitorch/results")
    git(checkout, "rm", "-rq", "runs")
    commit_files(checkout, {"notes.txt": "mine"})
    put(known, THIRD)
    assert known.read("notes.txt") == b"mine"
    assert known.run_ids() == [THIRD, RUN, OTHER]


def test_a_commit_of_the_project_is_put_aside_if_nothing_else_keeps_it(
    project: Path, known: Witnessed
) -> None:
    tip = known.tip()
    commit_files(project, {"code.py": "1"})
    lonely = git(project, "rev-parse", "main")
    git(project, "reset", "-q", "--hard", "HEAD~1")
    update_ref(project, lonely)
    known.settle()
    assert known.tip() == tip
    assert known.restorations[0].aside == f"refs/gitorch/kept/{lonely}"
    assert git(project, "rev-parse", f"refs/gitorch/kept/{lonely}") == lonely
    assert known.former_histories() == {}, "it has no results"
    git(project, "update-ref", "-d", f"refs/gitorch/kept/{lonely}")
    force_main(project)
    known.settle()
    assert known.restorations[1].aside == "refs/heads/main"


def test_a_change_is_not_made_from_a_record_that_has_changed_meanwhile(
    project: Path, known: Witnessed
) -> None:
    before = known.tip()
    put(known, RUN, theirs=True)
    theirs = known.tip()
    assert before
    assert theirs
    for ref in (REF, KEPT):
        git(project, "update-ref", ref, before)
    with known.changing() as edit:
        edit.put_record({"id": RUN, "ours": True})
        update_ref(project, theirs)
        with pytest.raises(RunsChanged, match=RUN):
            edit.commit("ours")
    assert known.record(RUN) == {"id": RUN, "theirs": True}
    with known.changing() as edit:
        assert edit.record(RUN) == {"id": RUN, "theirs": True}


def test_two_gitorchs_without_a_common_lock_lose_nothing(
    project: Path, known: Witnessed, tmp_path: Path
) -> None:
    """Each has a state directory of its own, and with it a lock of its own."""
    git(project, "config", "gitorch.stateDir", str(tmp_path / "state"))
    other = ResultsBranch(Repository.discover(project))
    for number in range(5):
        with known.changing() as ours, other.changing() as theirs:
            ours.put_record({"id": f"{number:012x}"})
            theirs.put_record({"id": f"{number + 16:012x}"})
            theirs.commit("theirs")
            ours.commit("ours")
    assert len(known.run_ids()) == 12
    assert known.restorations == []
    assert_sound(project)


def test_what_is_kept_never_moves_past_a_commit_without_being_united_with_it(
    project: Path, known: Witnessed
) -> None:
    """A process that has misread KEPT comes after a user who committed an out-of-date worktree."""
    older, kept = known.acknowledged
    tree = write_tree(project, older)
    out_of_date = git(project, "commit-tree", "-m", "notes", "-p", kept, tree)
    update_ref(project, out_of_date)
    for misread in (older, None):
        known._keeper.keep(misread, out_of_date)
        assert git(project, "rev-parse", KEPT) == kept
    put(known, THIRD)
    assert set(known.run_ids()) == {RUN, OTHER, THIRD}


def test_an_incomplete_witness_is_not_used(project: Path, known: Witnessed) -> None:
    """A gc may have removed a part of a commit to which no reference led."""
    commit_files(project, {"file": "which a gc removes"})
    blob, tree = git(project, "rev-parse", "main:file", "main^{tree}").split()
    incomplete = git(project, "commit-tree", "-p", REF, "-m", "x", tree)
    git(project, "reset", "-q", "--hard", "main~1")
    (project / ".git/objects" / blob[:2] / blob[2:]).unlink()
    known.acknowledged.append(incomplete)
    git(project, "update-ref", "-d", KEPT)
    known.settle()
    assert known.run_ids() == [RUN, OTHER]
    assert git(project, "rev-parse", KEPT) == known.tip() != incomplete


MARK = {"at": "2026-01-01T00:00:00Z", "by": "ada", "why": "shifted labels"}


def test_the_labels_of_both_versions_of_a_record_are_kept(
    project: Path, known: Witnessed
) -> None:
    """Two clones have labelled a run; then the branch of one is moved to that of the other."""
    base = known.acknowledged[-1]
    verdict = {
        "id": OTHER,
        "of": RUN,
        "verdict": "identical",
        "at": "2",
        "by": "ada",
    }
    undone = {**MARK, "undone": {"at": "3", "by": "eve"}}
    theirs = put(known, RUN, history=[{"at": "1"}], invalidations=[undone])
    known.acknowledged.append(theirs)
    git(project, "update-ref", KEPT, base)
    update_ref(project, base)
    known.acknowledged.append(base)
    ours = put(
        known, RUN, history=[{"at": "1"}], verdicts=[verdict], invalidations=[MARK]
    )
    for tip, acknowledged in ((theirs, ours), (ours, theirs)):
        update_ref(project, tip)
        git(project, "update-ref", KEPT, acknowledged)
        known.acknowledged.append(acknowledged)
        put(known, THIRD)
        record = json.loads(
            git(project, "show", f"{REF}:{RunPaths.of(RUN).record}")
        )
        assert record["verdicts"] == [verdict]
        assert record["invalidations"] == [undone]
        assert_sound(project)

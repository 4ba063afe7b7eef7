"""Another git program removes or moves gitorch's references, or a part of its state goes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.actions.ready import ready
from gitorch.actions.selection import Selection
from gitorch.actions.set import set_priority
from gitorch.git.store import pack
from gitorch.model.run.record import Record
from gitorch.model.run.status import Status
from gitorch.storage.catalog import Catalog
from gitorch.storage.recording import catch_up, recording
from gitorch.storage.site import Site
from tests.conftest import commit_files, git, gitorch, gitorch_json, write

REF = "refs/heads/gitorch/results"
KEPT = "refs/gitorch/kept/results"


@pytest.fixture
def done(project: Path) -> Path:
    """A project with one complete run, and one that was pinned to a snapshot and waits."""
    commit_files(
        project,
        {
            "experiments/a.yaml": "tasks: [{id: one, command: 'echo 1 > {outputDir}/x'}]\n"
        },
    )
    gitorch(project, "run", "experiments")
    write(project, "experiments/b.yaml", "tasks: [{id: one, command: echo 2}]\n")
    gitorch(project, "ready", "experiments/b.yaml", "--snapshot")
    return project


def statuses(project: Path) -> dict[str, str]:
    runs = gitorch_json(project, "list")["runs"]
    return {run["name"]: run["status"] for run in runs}


def push_mirror_of_a_plain_clone(project: Path) -> None:
    clone = project.parent / "clone"
    git(project.parent, "clone", "-q", str(project), str(clone))
    git(project, "config", "receive.denyCurrentBranch", "ignore")
    git(clone, "push", "-q", "--mirror", str(project))


def fetch_with_prune(project: Path) -> None:
    clone = project.parent / "bare"
    git(
        project.parent,
        "clone",
        "-q",
        "--bare",
        "--single-branch",
        str(project),
        str(clone),
    )
    git(
        project,
        "fetch",
        "-q",
        "--prune",
        "--update-head-ok",
        str(clone),
        "+refs/*:refs/*",
    )


@pytest.mark.parametrize("mirror", [push_mirror_of_a_plain_clone, fetch_with_prune])
def test_a_mirror_that_deletes_all_references_of_gitorch_loses_nothing(
    done: Path, mirror: object
) -> None:
    pins = git(done, "for-each-ref", "refs/gitorch/pins")
    tip = git(done, "rev-parse", REF)
    mirror(done)  # type: ignore[operator]
    assert git(done, "for-each-ref", "refs/gitorch", "refs/heads/gitorch") == ""
    listed = gitorch(done, "list", "--json")
    assert "2 runs restored" in listed.stderr
    assert listed.stderr.count("\n") == 1
    assert statuses(done) == {"a": "COMPLETE", "b": "WAITING"}
    assert git(done, "rev-parse", REF, KEPT) == f"{tip}\n{tip}"
    assert git(done, "for-each-ref", "refs/gitorch/pins") == pins
    git(done, "gc", "-q", "--prune=now")
    gitorch(done, "run")
    assert statuses(done) == {"a": "COMPLETE", "b": "COMPLETE"}
    assert gitorch(done, "doctor").stderr == "all is well\n"


def empty(project: Path, *references: str) -> None:
    for reference in references:
        (project / ".git" / reference).write_bytes(b"")


def lead_to_a_tree(project: Path, *references: str) -> None:
    tree = git(project, "rev-parse", "main^{tree}")
    for reference in references:
        write(project, f".git/{reference}", f"{tree}\n")


@pytest.mark.parametrize("damage", [empty, lead_to_a_tree])
@pytest.mark.parametrize(
    "references", [(REF,), (KEPT,), (REF, KEPT)], ids=["branch", "kept", "both"]
)
def test_a_damaged_reference_is_restored(
    done: Path, damage: Callable[..., None], references: tuple[str, ...]
) -> None:
    tip = git(done, "rev-parse", REF)

    damage(done, *references)
    found = statuses(done)
    gitorch(done, "run")
    gitorch(done, "doctor")

    assert found == {"a": "COMPLETE", "b": "WAITING"}
    assert statuses(done) == {"a": "COMPLETE", "b": "COMPLETE"}
    git(done, "merge-base", "--is-ancestor", tip, REF)
    assert git(done, "rev-parse", REF) == git(done, "rev-parse", KEPT)


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_branch_without_its_commit_is_refused_until_it_is_repaired(
    done: Path, is_packed: bool
) -> None:
    gitorch(done, "run")
    lost = "deadbeef" * 5
    if is_packed:
        git(done, "pack-refs", "--all")
        packed = done / ".git/packed-refs"
        tip = git(done, "rev-parse", REF)
        packed.write_text(
            packed.read_text().replace(f"{tip} {REF}", f"{lost} {REF}")
        )
    else:
        write(done, f".git/{REF}", f"{lost}\n")

    listed = gitorch(done, "list", code=4)
    found = gitorch(done, "doctor", code=1)
    gitorch(done, "doctor", "--fix")
    gitorch(done, "doctor")

    assert (
        "is not a commit of this clone\nhint: gitorch doctor --fix" in listed.stderr
    )
    assert "leads nowhere" in found.stdout
    assert statuses(done) == {"a": "COMPLETE", "b": "COMPLETE"}
    (aside,) = (done / ".git/gitorch").glob("broken-reference.*")
    assert lost in aside.read_text()


def test_a_broken_reference_of_the_user_hides_nothing(done: Path) -> None:
    write(done, ".git/refs/heads/theirs", "")
    git(done, "update-ref", "-d", REF)
    git(done, "update-ref", "-d", KEPT)

    assert statuses(done) == {"a": "COMPLETE", "b": "WAITING"}


@pytest.mark.parametrize("other", ["gitorch", "gitorch/results/more"])
def test_a_branch_in_the_way_is_named_by_every_verb(done: Path, other: str) -> None:
    git(done, "branch", "-m", "gitorch/results", "old")
    git(done, "branch", other)

    refused = [
        gitorch(done, *verb, code=None) for verb in (["run"], ["doctor", "--fix"])
    ]
    git(done, "branch", "-D", other)
    gitorch(done, "run")

    for result in refused:
        assert result.returncode
        assert f"'{other}' leaves no room" in result.stdout + result.stderr
    assert statuses(done) == {"a": "COMPLETE", "b": "COMPLETE"}


def test_main_forced_onto_the_branch_is_reported_and_undone(done: Path) -> None:
    tip = git(done, "rev-parse", REF)
    git(done, "branch", "-f", "gitorch/results", "main")
    health = gitorch_json(done, "doctor", code=1)["findings"][0]
    assert health["what"] == "branch-diverged"
    assert "2 runs can be restored" in health["message"]
    changed = gitorch(done, "hold", "b")
    assert "lacked results; 2 runs restored" in changed.stderr
    git(done, "merge-base", "--is-ancestor", tip, REF)
    assert git(done, "rev-list", "--count", f"main..{REF}") == git(
        done, "rev-list", "--count", REF
    ), "the project's history is not a part of the results"
    assert statuses(done) == {"a": "COMPLETE", "b": "HOLD"}
    assert gitorch(done, "doctor").stderr == "all is well\n"


def test_commits_of_a_checkout_with_old_files_lose_nothing(done: Path) -> None:
    checkout = done.parent / "checkout"
    git(done, "worktree", "add", "-q", str(checkout), "gitorch/results")
    gitorch(done, "run")
    (checkout / "notes.txt").write_text("mine")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "notes")
    shown = gitorch(done, "list")
    assert "1 run restored" in shown.stderr
    assert statuses(done) == {"a": "COMPLETE", "b": "COMPLETE"}
    assert git(done, "show", f"{REF}:notes.txt") == "mine"


def test_files_that_are_removed_beside_a_record_come_back(done: Path) -> None:
    checkout = done.parent / "checkout"
    before = git(done, "ls-tree", "-r", REF)
    git(done, "worktree", "add", "-q", str(checkout), "gitorch/results")
    for name in ("outputs", "log.txt", "attempt.json", "config.yaml"):
        for path in list(checkout.glob(f"runs/**/{name}")):
            git(checkout, "rm", "-rq", str(path))
    (checkout / "notes.txt").write_text("mine")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "less")
    assert "2 runs restored" in gitorch(done, "list").stderr
    after = git(done, "ls-tree", "-r", REF).splitlines()
    assert [
        line for line in after if "notes.txt" not in line
    ] == before.splitlines()
    assert git(done, "show", f"{REF}:notes.txt") == "mine"
    assert gitorch(done, "list").stderr == ""


def test_an_older_copy_of_the_queue_repeats_nothing(done: Path) -> None:
    state = done / ".git/gitorch"
    copies = {path.name: path.read_bytes() for path in state.glob("queue.db*")}
    gitorch(done, "run")
    for path in state.glob("queue.db*"):
        path.unlink()
    for name, data in copies.items():
        (state / name).write_bytes(data)
    [before] = [
        run for run in gitorch_json(done, "list")["runs"] if run["name"] == "b"
    ]
    gitorch(done, "run")
    [after] = [
        run for run in gitorch_json(done, "list")["runs"] if run["name"] == "b"
    ]
    assert before == after
    assert after["status"] == "COMPLETE"
    assert gitorch(done, "doctor").stderr == "all is well\n"


def test_an_older_copy_of_the_index_hides_nothing(done: Path) -> None:
    index = done / ".git/gitorch/index.db"
    before = statuses(done)
    shutil.copy(index, done.parent / "older")
    gitorch(done, "run")
    assert statuses(done)["b"] == "COMPLETE"
    for path in index.parent.glob("index.db*"):
        path.unlink()
    shutil.copy(done.parent / "older", index)
    assert statuses(done) == {**before, "b": "COMPLETE"}


@pytest.mark.parametrize("gone", ["gitorch/objects", "lfs/objects"])
def test_either_copy_of_a_large_file_is_enough(project: Path, gone: str) -> None:
    text = "tasks: [{id: one, command: 'head -c 2000000 /dev/zero > {outputDir}/big'}]\n"
    commit_files(project, {"experiments/a.yaml": text})
    gitorch(project, "run", "experiments")
    for directory in (project / ".git" / gone).iterdir():
        shutil.rmtree(directory)
    place = gitorch(project, "checkout-run", "a").stdout.strip()
    [big] = Path(place).glob("run-*/outputs/big")
    assert big.stat().st_size == 2_000_000
    gitorch(project, "doctor", "--fix")
    assert gitorch(project, "doctor").stderr == "all is well\n"


# -- within one process


@pytest.fixture
def site(project: Path) -> Site:
    write(project, "experiments/a.yaml", "tasks: [{id: one, command: echo 1}]\n")
    site = Site.at(project)
    ready(site, [project / "experiments"], environment={"PATH": "/usr/bin:/bin"})
    return site


def put_priority(site: Site, run_id: str, priority: int, subject: str) -> None:
    with recording(site) as changes:
        record = changes.record(run_id)
        assert record is not None
        changes.put(replace(record, priority=priority))
        changes.commit(subject)


def test_the_queue_does_not_skip_a_commit_that_came_between(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program commits between the look at the branch and our own commit."""
    [run] = site.queue.runs()
    before = site.results.tip()
    put_priority(site, run.id, 7, "theirs")
    theirs = site.results.tip()
    assert before
    assert theirs
    other = Record.from_json(site.results.record(run.id) or {})
    for ref in (REF, KEPT):
        git(site.repository.root, "update-ref", ref, before)
    site = Site.at(site.repository.root)
    with site.results.changing() as edit:
        edit.put_record(replace(other, priority=0).to_json())
        edit.commit("as before")
    catch_up(site)
    steps = iter([None])

    def step() -> None:
        if next(steps, "over") is None:
            git(site.repository.root, "update-ref", REF, theirs)

    monkeypatch.setattr(pack, "boundary", step)
    with recording(site) as changes:
        changes.branch.put("runs/note", b"")
        changes.commit("ours")
    monkeypatch.undo()
    catch_up(site)
    entry = site.queue.run(run.id)
    assert entry is not None
    record = Record.from_json(site.results.record(run.id) or {})
    assert entry.tasks[0].priority == (record.priority or 0)
    assert site.queue.meta("tip") == site.results.tip()


def test_a_verb_is_repeated_if_its_run_changes_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    [run] = site.queue.runs()
    root = site.repository.root
    first = site.results.tip()
    changed = Record.from_json(site.results.record(run.id) or {})
    with site.results.changing() as edit:
        edit.put_record(replace(changed, output_name="theirs").to_json())
        theirs = edit.commit("theirs").tip
    assert first
    for ref in (REF, KEPT):
        git(root, "update-ref", ref, first)
    steps = iter([None])

    def step() -> None:
        if next(steps, "over") is None:
            git(root, "update-ref", REF, theirs)

    monkeypatch.setattr(pack, "boundary", step)
    set_priority(site, Selection(references=(run.id,)), 7)
    record = Record.from_json(site.results.record(run.id) or {})
    assert (record.output_name, record.priority) == ("theirs", 7)
    [row] = Catalog.of(site).rows()
    assert row.status is Status.WAITING


@pytest.mark.parametrize("data", [b"\xff\0{", b""])
def test_a_damaged_id_of_the_clone_is_named(done: Path, data: bytes) -> None:
    (done / ".git/gitorch/clone-id").write_bytes(data)

    refused = gitorch(done, "run", code=4)

    assert "does not hold the id of this clone" in refused.stderr


@pytest.mark.parametrize("verb", ["status", "run", "collect"])
def test_a_damaged_file_of_git_is_not_a_bug(done: Path, verb: str) -> None:
    write(done, ".git/shallow", "garbage\n")
    (done / ".git/gitorch/index.db").unlink()

    failed = gitorch(done, verb, code=None)

    assert failed.returncode in (1, 4)
    assert "bug" not in failed.stderr


def test_a_damaged_note_of_the_path_is_written_again(done: Path) -> None:
    home = done / ".git/gitorch/clone-home"
    noted = home.read_bytes()
    home.write_bytes(b"\xff\0{")

    gitorch(done, "run")
    gitorch(done, "doctor")

    assert home.read_bytes() == noted


def test_a_directory_in_the_place_of_a_lock_is_named(done: Path) -> None:
    lock = done / ".git/gitorch/lock"
    lock.unlink()
    lock.mkdir()

    refused = gitorch(done, "run", code=1)

    assert f"{lock}: Is a directory\nhint: a file belongs there" in refused.stderr

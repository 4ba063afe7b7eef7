"""What a run has written is kept, and what `discard` names is left out: neither read nor hashed."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.model.branch_layout import RunPaths
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Discarded
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.model.workspace import RunDirectory
from gitorch.storage import output_restore, outputs
from gitorch.storage.new_record import Creation, RunDefinition, new_record
from gitorch.storage.outputs import FoundOutputs
from gitorch.storage.site import Site

PREPARE = TaskSpec(id="prepare", command="true")
TRAIN = TaskSpec(
    id="train", command="true", needs=("prepare",), discard=("ckpt/*.pt", "*.tmp")
)
REPORT = TaskSpec(id="report", command="true", needs=("train",))
RUN = "3f2a9c04b7d1"
SPEC = RunSpec(name="e", document={}, tasks=(PREPARE, TRAIN, REPORT))


@pytest.fixture
def site(project: Path) -> Site:
    return Site.at(project)


@pytest.fixture
def run(site: Site) -> RunDirectory:
    directory = site.directory(RUN)
    directory.output.mkdir(parents=True)
    directory.tree.mkdir()
    return directory


def put(run: RunDirectory, name: str, text: str = "x") -> Path:
    path = run.output / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def kept(found: FoundOutputs) -> dict[str, str]:
    """The task that each kept file is of."""
    assert found.notes == ()
    return {output.path: output.task for output in found.outputs}


def record_outputs(site: Site, found: FoundOutputs) -> None:
    """Have the branch hold what was found."""
    created = datetime(2026, 1, 1, tzinfo=UTC)
    pin = Pin(commit="c" * 40, tree="d" * 40)
    definition = RunDefinition(
        spec=SPEC, source="e", pin=pin, identity="1", interpreter="python"
    )
    record = new_record(definition, Creation(id=RUN, clone="c", by="A", at=created))
    with site.results.changing() as change:
        change.put_record(replace(record, outputs=found.outputs).to_json())
        for path, stored in found.new.items():
            change.put(f"{RunPaths.of(RUN).directory}/outputs/{path}", stored)
        change.commit("a record")


def test_what_is_left_out_is_not_read(site: Site, run: RunDirectory) -> None:
    for step in range(3):
        put(run, f"ckpt/{step}.pt", "12345").chmod(0)
    put(run, "ckpt/best.json")
    os.mkfifo(run.output / "wakeup.tmp")
    found = outputs.find(site, run, SPEC, TRAIN)
    assert kept(found) == {"ckpt/best.json": "train"}
    assert found.discarded == (
        Discarded(glob="ckpt/*.pt", files=3, size=15, task="train"),
        Discarded(glob="*.tmp", files=1, size=0, task="train"),
    )
    assert sorted(path.name for path in (run.output / "ckpt").iterdir()) == [
        "0.pt",
        "1.pt",
        "2.pt",
        "best.json",
    ]


def test_discard_is_about_what_the_task_itself_wrote(
    site: Site, run: RunDirectory
) -> None:
    put(run, "given.tmp")
    assert kept(outputs.find(site, run, SPEC, PREPARE)) == {"given.tmp": "prepare"}
    put(run, "own.tmp")
    assert kept(outputs.find(site, run, SPEC, TRAIN)) == {"given.tmp": "prepare"}
    put(run, "new.tmp")
    found = outputs.find(site, run, SPEC, REPORT)
    assert kept(found) == {"given.tmp": "prepare", "new.tmp": "report"}
    assert found.discarded == (), "of a later task, which left nothing out"
    put(run, "own.tmp", "written anew")
    assert kept(outputs.find(site, run, SPEC, REPORT))["own.tmp"] == "report"


def test_what_was_left_out_stays_so_after_a_crash(
    site: Site, run: RunDirectory
) -> None:
    put(run, "own.tmp")
    put(run, "model.txt")
    outputs.find(site, run, SPEC, TRAIN)
    outputs.forget(site, run)
    found = outputs.find(site, run, SPEC, REPORT)
    assert kept(found) == {"model.txt": "report"}
    assert found.new.keys() == {"model.txt"}, (
        "read anew: its commit may have been lost"
    )


def test_the_end_of_a_task_keeps_nothing_that_one_beside_it_will_discard(
    site: Site, run: RunDirectory
) -> None:
    left = TaskSpec(id="left", command="true")
    right = TaskSpec(id="right", command="true", discard=("*.tmp",))
    spec = RunSpec(name="e", document={}, tasks=(left, right))
    put(run, "half.tmp")
    found = outputs.find(site, run, spec, left)
    assert (kept(found), found.discarded) == ({}, ())
    found = outputs.find(site, run, spec, right)
    assert (kept(found), found.discarded) == (
        {},
        (Discarded(glob="*.tmp", files=1, size=1, task="right"),),
    )


def test_a_memory_that_cannot_be_read_keeps_more(
    site: Site, run: RunDirectory
) -> None:
    put(run, "own.tmp")
    outputs.find(site, run, SPEC, TRAIN)
    (run.path / "seen.json").write_text('{"kept": {}, "left_out": {"own.tmp": 3}}')
    assert kept(outputs.find(site, run, SPEC, REPORT)) == {"own.tmp": "report"}
    assert outputs.find(site, run, SPEC, TRAIN).outputs[0].task == "report"


def test_what_is_the_same_stays_whose_it_was(site: Site, run: RunDirectory) -> None:
    put(run, "a")
    put(run, "b")
    outputs.find(site, run, SPEC, PREPARE)
    put(run, "a")
    put(run, "b", "changed")
    assert kept(outputs.find(site, run, SPEC, TRAIN)) == {
        "a": "prepare",
        "b": "train",
    }


def test_what_is_brought_back_is_whose_it_was_and_is_not_read_again(
    site: Site, run: RunDirectory
) -> None:
    put(run, "a")
    put(run, "b")
    record_outputs(site, outputs.find(site, run, SPEC, PREPARE))
    shutil.rmtree(run.output)
    (run.path / "seen.json").unlink()
    output_restore.bring_back(site, run, with_tree=False)
    put(run, "b", "changed")
    found = outputs.find(site, run, SPEC, TRAIN)
    assert kept(found) == {"a": "prepare", "b": "train"}
    assert found.new.keys() == {"b"}


def test_after_a_crash_what_the_record_has_stays_whose_it_was(
    site: Site, run: RunDirectory
) -> None:
    put(run, "a.tmp")
    record_outputs(site, outputs.find(site, run, SPEC, PREPARE))
    put(run, "b")
    outputs.forget(site, run)
    found = outputs.find(site, run, SPEC, TRAIN)
    assert kept(found) == {"a.tmp": "prepare", "b": "train"}, (
        "though train would leave it out"
    )
    assert found.new.keys() == {"a.tmp", "b"}


def test_what_one_task_took_from_the_worktree_is_kept_until_another_takes_it(
    site: Site, run: RunDirectory
) -> None:
    (run.tree / "plot.png").write_text("1")
    takes, other = (
        replace(PREPARE, outputs=("*.png",)),
        replace(TRAIN, outputs=("plot.*",)),
    )
    outputs.find(site, run, SPEC, takes)
    (run.tree / "plot.png").write_text("changed")
    kept_output = outputs.find(site, run, SPEC, REPORT).outputs[0]
    assert (kept_output.path, kept_output.task, kept_output.size) == (
        "worktree/plot.png",
        "prepare",
        1,
    )
    assert outputs.find(site, run, SPEC, other).outputs[0].task == "train"
    (run.tree / "plot.png").unlink()
    assert outputs.find(site, run, SPEC, other).outputs == ()

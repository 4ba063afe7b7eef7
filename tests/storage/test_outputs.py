"""Files that a run writes are kept. Files that `discard` names are neither read nor kept."""

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


def write_output(run: RunDirectory, name: str, text: str = "x") -> Path:
    path = run.output / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def writers(found: FoundOutputs) -> dict[str, str]:
    """Return the task that each kept file is attributed to, by the file's name."""
    assert found.notes == ()
    return {output.path: output.task for output in found.outputs}


def record_outputs(site: Site, found: FoundOutputs) -> None:
    """Commit a record with these outputs, and their content, to the results branch."""
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


def test_a_discarded_file_is_not_read(site: Site, run: RunDirectory) -> None:
    for step in range(3):
        write_output(run, f"ckpt/{step}.pt", "12345").chmod(0)
    write_output(run, "ckpt/best.json")
    os.mkfifo(run.output / "wakeup.tmp")
    found = outputs.find(site, run, SPEC, TRAIN)
    assert writers(found) == {"ckpt/best.json": "train"}
    assert found.discarded == (
        Discarded(glob="ckpt/*.pt", files=3, size=15, task="train"),
        Discarded(glob="*.tmp", files=1, size=0, task="train"),
    )
    names = {path.name for path in (run.output / "ckpt").iterdir()}
    assert names == {"0.pt", "1.pt", "2.pt", "best.json"}


def test_discard_leaves_out_only_files_that_its_own_task_wrote(
    site: Site, run: RunDirectory
) -> None:
    write_output(run, "given.tmp")
    assert writers(outputs.find(site, run, SPEC, PREPARE)) == {
        "given.tmp": "prepare"
    }
    write_output(run, "own.tmp")
    assert writers(outputs.find(site, run, SPEC, TRAIN)) == {"given.tmp": "prepare"}
    write_output(run, "new.tmp")
    found = outputs.find(site, run, SPEC, REPORT)
    assert writers(found) == {"given.tmp": "prepare", "new.tmp": "report"}
    assert found.discarded == (), "REPORT has no `discard`"
    write_output(run, "own.tmp", "written anew")
    assert writers(outputs.find(site, run, SPEC, REPORT))["own.tmp"] == "report"


def test_a_discarded_file_stays_left_out_after_a_crash(
    site: Site, run: RunDirectory
) -> None:
    write_output(run, "own.tmp")
    write_output(run, "model.txt")
    outputs.find(site, run, SPEC, TRAIN)
    outputs.forget(site, run)
    found = outputs.find(site, run, SPEC, REPORT)
    assert writers(found) == {"model.txt": "report"}
    assert found.new.keys() == {"model.txt"}, (
        "the file is read again, because its commit may be lost"
    )


def test_a_file_that_a_parallel_task_may_discard_is_not_kept(
    site: Site, run: RunDirectory
) -> None:
    left = TaskSpec(id="left", command="true")
    right = TaskSpec(id="right", command="true", discard=("*.tmp",))
    spec = RunSpec(name="e", document={}, tasks=(left, right))
    write_output(run, "half.tmp")
    found = outputs.find(site, run, spec, left)
    assert writers(found) == {}
    assert found.discarded == ()
    found = outputs.find(site, run, spec, right)
    assert writers(found) == {}
    assert found.discarded == (
        Discarded(glob="*.tmp", files=1, size=1, task="right"),
    )


def test_a_discarded_file_is_kept_if_the_memory_is_broken(
    site: Site, run: RunDirectory
) -> None:
    write_output(run, "own.tmp")
    outputs.find(site, run, SPEC, TRAIN)
    (run.path / "seen.json").write_text('{"kept": {}, "left_out": {"own.tmp": 3}}')
    assert writers(outputs.find(site, run, SPEC, REPORT)) == {"own.tmp": "report"}
    assert outputs.find(site, run, SPEC, TRAIN).outputs[0].task == "report"


def test_an_unchanged_file_stays_attributed_to_its_first_writer(
    site: Site, run: RunDirectory
) -> None:
    write_output(run, "a")
    write_output(run, "b")
    outputs.find(site, run, SPEC, PREPARE)
    write_output(run, "a")
    write_output(run, "b", "changed")
    assert writers(outputs.find(site, run, SPEC, TRAIN)) == {
        "a": "prepare",
        "b": "train",
    }


def test_a_restored_file_keeps_its_writer_and_is_not_read_again(
    site: Site, run: RunDirectory
) -> None:
    write_output(run, "a")
    write_output(run, "b")
    record_outputs(site, outputs.find(site, run, SPEC, PREPARE))
    shutil.rmtree(run.output)
    (run.path / "seen.json").unlink()
    output_restore.bring_back(site, run, with_tree=False)
    write_output(run, "b", "changed")
    found = outputs.find(site, run, SPEC, TRAIN)
    assert writers(found) == {"a": "prepare", "b": "train"}
    assert found.new.keys() == {"b"}


def test_a_recorded_file_keeps_its_writer_after_a_crash(
    site: Site, run: RunDirectory
) -> None:
    write_output(run, "a.tmp")
    record_outputs(site, outputs.find(site, run, SPEC, PREPARE))
    write_output(run, "b")
    outputs.forget(site, run)
    found = outputs.find(site, run, SPEC, TRAIN)
    assert writers(found) == {"a.tmp": "prepare", "b": "train"}, (
        "TRAIN discards *.tmp, but a.tmp is recorded for PREPARE"
    )
    assert found.new.keys() == {"a.tmp", "b"}


def test_an_output_in_the_worktree_is_kept_until_another_task_takes_the_file(
    site: Site, run: RunDirectory
) -> None:
    (run.tree / "plot.png").write_text("1")
    prepare = replace(PREPARE, outputs=("*.png",))
    train = replace(TRAIN, outputs=("plot.*",))
    outputs.find(site, run, SPEC, prepare)
    (run.tree / "plot.png").write_text("changed")
    output = outputs.find(site, run, SPEC, REPORT).outputs[0]
    assert output.path == "worktree/plot.png"
    assert output.task == "prepare"
    assert output.size == 1
    assert outputs.find(site, run, SPEC, train).outputs[0].task == "train"
    (run.tree / "plot.png").unlink()
    assert outputs.find(site, run, SPEC, train).outputs == ()

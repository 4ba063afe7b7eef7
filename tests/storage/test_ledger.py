"""The ledger has every run that this clone has queued, whatever happens to its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gitorch.actions.ready import ready
from gitorch.model.run.record import Record
from gitorch.model.run.spec import RunSpec
from gitorch.storage import ledger
from gitorch.storage.recording import catch_up, recording
from gitorch.storage.site import Site
from tests.conftest import write


@pytest.fixture
def site(project: Path) -> Site:
    write(project, "experiments/a.yaml", "tasks: [{id: one, command: echo 1}]\n")
    site = Site.at(project)
    ready(site, [project / "experiments"], environment={"PATH": "/usr/bin:/bin"})
    return site


@pytest.fixture
def record(site: Site) -> Record:
    [run] = site.queue.runs()
    document = site.results.record(run.id)
    return Record.from_json(document)


def with_id(record: Record, run_id: str) -> Record:
    return replace(record, id=run_id)


def test_a_line_that_was_torn_affects_no_other(site: Site, record: Record) -> None:
    path = site.state / "queued-runs"
    with path.open("ab") as file:
        file.write(b"0123456789ab 0a1b2c")
    later = with_id(record, "abcdefabcdef")
    with recording(site):
        ledger.note_queued(site, [later])
    assert ledger.queued_here(site, [record, later]) == {record.id, later.id}
    assert path.read_bytes().endswith(b"\n")


def test_a_run_is_noted_once(site: Site, record: Record) -> None:
    before = (site.state / "queued-runs").read_bytes()
    with recording(site):
        ledger.note_queued(site, [record])
    assert (site.state / "queued-runs").read_bytes() == before


def test_a_queue_of_a_version_without_ledger_is_noted(
    site: Site, record: Record
) -> None:
    (site.state / "queued-runs").unlink()
    catch_up(site)
    assert ledger.has_queued(site, record)
    assert not ledger.has_queued(site, with_id(record, "abcdefabcdef"))


def test_without_queue_and_ledger_nothing_is_assumed(
    site: Site, record: Record
) -> None:
    for path in site.state.glob("queue*"):
        path.unlink()
    later = Site.at(site.repository.root)
    catch_up(later)
    assert not ledger.has_queued(later, record)
    assert later.queue.runs() == []


def test_a_field_of_a_later_version_does_not_change_the_digest(
    site: Site, record: Record
) -> None:
    class LaterSpec(RunSpec, frozen=True, kw_only=True):
        shell: str | None = None
        volatile: tuple[str, ...] = ()

    values = {
        name: getattr(record.spec, name) for name in RunSpec.__struct_fields__
    }
    later = replace(record, spec=LaterSpec(**values))
    assert ledger.has_queued(site, later)
    other = replace(record, spec=LaterSpec(**values, shell="sh"))
    assert not ledger.has_queued(site, other)

"""When the slots of a worker start: they take longer to start than many tasks take."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gitorch.actions import run as action
from gitorch.actions.jobs import Jobs
from gitorch.engines.local import LocalEngine
from gitorch.storage.site import Site
from tests.conftest import gitorch, write


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of the starts and ends of slots, and of the time at which the index is read."""
    events: list[str] = []
    start, leave = LocalEngine._start_supervisor, LocalEngine.__exit__
    warn = action._warn_of_unqueued

    def noted_start(engine: LocalEngine, count: int) -> None:
        events.append(f"{count} slots")
        start(engine, count)

    def noted_end(engine: LocalEngine, *error: Any) -> None:
        leave(engine, *error)
        events.append("end")

    def noted_warning(site: Site, listener: action.Listener) -> None:
        events.append("index")
        warn(site, listener)

    monkeypatch.setattr(LocalEngine, "_start_supervisor", noted_start)
    monkeypatch.setattr(LocalEngine, "__exit__", noted_end)
    monkeypatch.setattr(action, "_warn_of_unqueued", noted_warning)
    return events


def _run(root: Path, **options: Any) -> action.Worked:
    return action.run(
        Site.at(root),
        [],
        lambda announcement: None,
        jobs=Jobs(2),
        environment=os.environ,
        **options,
    )


def test_without_work_no_slot_starts(project: Path, events: list[str]) -> None:
    assert not _run(project).runs
    assert events == ["index"]


def test_the_slots_start_while_the_index_is_read(
    project: Path, events: list[str]
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    worked = _run(project)
    assert len(worked.complete) == 1
    assert events == ["2 slots", "index", "end"]


def test_the_slots_start_after_the_terminal_is_left(
    project: Path, events: list[str]
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    worked = _run(
        project, begin=lambda worker: events.append("begin"), detaches=True
    )
    assert len(worked.complete) == 1
    assert events == ["index", "begin", "2 slots", "end"]


def test_the_slots_end_if_the_work_cannot_begin(
    project: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "ready")
    site = Site.at(project)

    def fail(site: Site, listener: action.Listener) -> None:
        raise ValueError("of the test")

    monkeypatch.setattr(action, "_warn_of_checkout", fail)
    with pytest.raises(ValueError, match="of the test"):
        _run(project)
    assert events == ["2 slots", "end"]
    assert not list((site.state / "workers").iterdir())

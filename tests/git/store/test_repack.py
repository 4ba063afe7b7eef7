"""Merging packs, in the background and at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from gitorch.git.store import repack
from gitorch.git.store.results import ResultsBranch
from tests.conftest import git, wait_for
from tests.git.store.conftest import put

RUNS = [f"{number:012x}" for number in range(repack._PACKS_BEFORE_REPACK)]


def test_packs_are_merged_in_the_background(
    project: Path, branch: ResultsBranch
) -> None:
    put(branch, "f" * 12)
    assert not repack.maybe_repack(branch.repo)
    for run in RUNS:
        put(branch, run)
    assert repack.maybe_repack(branch.repo)
    wait_for(lambda: repack.count_packs(branch.repo) < 5)
    assert branch.run_ids() == [*RUNS, "f" * 12]
    put(branch, "e" * 12)  # by the same process, whose open packs have been deleted
    assert branch.run_ids() == [*RUNS, "e" * 12, "f" * 12]
    assert git(project, "fsck", "--full", "--strict", "--no-dangling") == ""


def test_merging_in_the_background_has_the_lowest_priority(
    branch: ResultsBranch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in RUNS:
        put(branch, run)
    programs = tmp_path / "programs"
    programs.mkdir()
    shown = tmp_path / "niceness"
    (programs / "git").write_text(
        f"#!/bin/sh\nnice > {shown}.new; mv {shown}.new {shown}\n"
    )
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    assert repack.maybe_repack(branch.repo)
    wait_for(shown.exists)
    assert shown.read_text() == "19\n"


def test_only_one_process_merges_packs_at_a_time(
    project: Path, branch: ResultsBranch
) -> None:
    for run in RUNS[:4]:
        put(branch, run)
    with (branch.repo.state_dir / "repack.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not repack.repack(branch.repo)
        assert repack.count_packs(branch.repo) == 4
    assert repack.repack(branch.repo)
    assert repack.count_packs(branch.repo) == 1
    assert branch.run_ids() == RUNS[:4]
    assert git(project, "fsck", "--full", "--strict", "--no-dangling") == ""

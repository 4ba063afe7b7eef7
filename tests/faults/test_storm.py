"""A storm of bounded length: see `tests.benchmarks.storm`, which runs for as long as one likes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.storm import Storm, prepare

SECONDS = float(os.environ.get("STORM_SECONDS", "30"))


@pytest.mark.alone
@pytest.mark.timeout(SECONDS + 240)
def test_a_storm_loses_nothing_and_accepts_nothing_twice(tmp_path: Path) -> None:
    storm = Storm(prepare(tmp_path), SECONDS, seed=9)
    storm.blow()
    assert storm.verify() == []
    assert storm.queued

"""A clock that is set while a program runs is noticed."""

from __future__ import annotations

import pytest

from gitorch.tools import clock


def test_a_clock_that_runs_has_not_jumped() -> None:
    assert clock.jump_s() == 0


@pytest.mark.parametrize(("set_by", "jump"), [(3600, 3600), (-86400, -86400)])
def test_a_clock_that_was_set(
    monkeypatch: pytest.MonkeyPatch, set_by: float, jump: float
) -> None:
    before = clock._ahead_of_boot_s()
    monkeypatch.setattr(clock, "_ahead_of_boot_s", lambda: before + set_by)
    assert clock.jump_s() == pytest.approx(jump, abs=60)


def test_a_small_correction_is_not_a_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock._ahead_of_boot_s()
    monkeypatch.setattr(clock, "_ahead_of_boot_s", lambda: before - 100)
    assert clock.jump_s() == 0

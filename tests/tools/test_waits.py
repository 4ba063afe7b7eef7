"""A wait has a bound, and ends when the user has asked to stop."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from gitorch.errors import UserInterrupted
from gitorch.tools import waits
from gitorch.tools.waits import Wait


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(waits, "SAID_AFTER_S", 0.05)
    monkeypatch.setattr(waits, "GRACE_S", 0.05)
    yield
    waits.forget_stop()
    waits.listen(None)


def test_a_wait_has_a_bound() -> None:
    wait = Wait("nothing", bound_s=0.02)
    pauses = 0
    while wait.pause():
        pauses += 1
    assert pauses > 0
    assert wait.remaining_s == 0


def test_a_long_wait_is_said_once() -> None:
    said: list[str] = []
    waits.listen(said.append)
    wait = Wait("the lock", bound_s=0.2, describe=lambda: ", held by pid 1")
    while wait.pause():
        pass
    assert said == ["waiting for the lock, held by pid 1"]


def test_a_short_wait_is_finished_although_the_user_asks_to_stop() -> None:
    waits.request_stop()
    assert Wait("the lock").pause()
    time.sleep(0.06)
    with pytest.raises(UserInterrupted) as caught:
        Wait("the lock").pause()
    assert caught.value.message == "interrupted while waiting for the lock"

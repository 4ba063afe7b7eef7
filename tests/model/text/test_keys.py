"""Dotted keys and the parameters that they name."""

from __future__ import annotations

import pytest

from gitorch.model.text.keys import Target, target_of

NAMES = ("lr", "a.b", "tasks")
TASKS = ("train", "train.fine")


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("lr", Target(None, ("lr",))),
        ("model.depth", Target(None, ("model", "depth"))),
        ("a.b", Target(None, ("a.b",))),
        ("tasks.train.epochs", Target("train", ("epochs",))),
        ("tasks.train.optimizer.lr", Target("train", ("optimizer", "lr"))),
        ("tasks.train.fine.lr", Target("train.fine", ("lr",))),
        ("tasks.train.fine", Target("train", ("fine",))),
    ],
)
def test_a_key_names_a_parameter(key: str, target: Target) -> None:
    assert target_of(key, NAMES, TASKS) == target


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("a..b", "is not a dotted name"),
        ("", "is not a dotted name"),
        ("tasks.train", "does not name a task and one of its parameters"),
        ("tasks.tarin.lr", "does not name a task and one of its parameters"),
    ],
)
def test_a_key_that_names_no_parameter_is_refused(key: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        target_of(key, NAMES, TASKS)

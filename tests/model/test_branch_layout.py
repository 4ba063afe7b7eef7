"""The paths of the results branch, as documented for readers with plain git."""

from __future__ import annotations

import pytest

from gitorch.model.branch_layout import (
    RunPaths,
    escaped,
    killed_mark,
    run_of,
    unescaped,
)

RUN = "3f2a5c8e91d0"


def test_the_paths_of_a_run() -> None:
    paths = RunPaths.of(RUN)
    assert paths.record == "runs/3f/3f2a5c8e91d0/record.json"
    assert paths.file("config.yaml") == "runs/3f/3f2a5c8e91d0/config.yaml"
    assert (
        paths.attempt("train", 2).log
        == "runs/3f/3f2a5c8e91d0/tasks/train/2/log.txt"
    )
    assert (
        paths.output("a/.gitignore") == "runs/3f/3f2a5c8e91d0/outputs/a/%.gitignore"
    )
    assert killed_mark(RUN) == "killed/3f/3f2a5c8e91d0"
    assert run_of(paths.record) == RUN


@pytest.mark.parametrize(
    "path", [".git", "a/.GIT/b", "git~1", "100%", "%", "a/%b", "plain.txt"]
)
def test_escaping_can_be_undone(path: str) -> None:
    assert unescaped(escaped(path)) == path

"""Suggestions: which words are misspelt, and which are other words."""

from __future__ import annotations

import pytest

from gitorch.model.run.spec import OWN_KEYS, OWN_TASK_KEYS
from gitorch.model.text.spelling import did_you_mean, nearest, nearest_path


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("comand", "command"),
        ("commands", "command"),
        ("mehtod", "method"),
        ("METHOD", "method"),
        ("need", "needs"),
        ("Id", "id"),
        ("git_orch", "gitorch"),
        ("cmd", None),
        ("idx", None),
        ("model", None),
        ("seeds", None),
        ("", None),
    ],
)
def test_misspelt_keys_of_a_task(word: str, meant: str | None) -> None:
    assert nearest(word, OWN_TASK_KEYS) == meant


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("task", "tasks"),
        ("pathToTask", "pathToTasks"),
        ("path_to_tasks", "pathToTasks"),
        ("outputdir", "outputDir"),
        ("githubRepo", None),
        ("githubRepositroy", "githubRepository"),
        ("UNSAFE_ignoreDirty", "UNSAFE_ignoreDirtyCheck"),
        ("output", None),
        ("mask", None),
        ("path", None),
    ],
)
def test_misspelt_keys_of_a_config(word: str, meant: str | None) -> None:
    assert nearest(word, OWN_KEYS) == meant


def test_a_suggestion_is_empty_if_no_word_is_near() -> None:
    assert did_you_mean("epochs", ["epoch", "lr"]) == ", did you mean 'epoch'?"
    assert did_you_mean("epochs", ["lr"]) == ""
    assert did_you_mean("epochs", ["epoch", *map(str, range(1000))]) == ""


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("src/modle.py", "src/model.py"),
        ("scr/*.py", "src/*.py"),
        ("source/model.py", None),
        ("libary/**/*.py", "library/**/*.py"),
        ("library/deep/utlis.py", "library/deep/utils.py"),
        ("src/*.yml", None),
        ("src/model.py", None),
        ("", None),
    ],
)
def test_the_first_wrong_name_of_a_path_is_corrected(
    path: str, meant: str | None
) -> None:
    assert (
        nearest_path(path, ["src/model.py", "library/deep/utils.py", "README.md"])
        == meant
    )

"""What the commands make of their arguments, and of the settings of the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitorch.cli.arguments import selection_of
from gitorch.errors import UsageError
from tests.conftest import git, gitorch


@pytest.mark.parametrize("verb", [["list"], ["status"], ["check"], ["run"]])
def test_an_unknown_setting_is_warned_of_once_on_stderr(
    project: Path, verb: list[str]
) -> None:
    git(project, "config", "gitorch.job", "2")
    result = gitorch(project, *verb, code=None)
    warnings = [
        line for line in result.stderr.splitlines() if line.startswith("warning: ")
    ]
    assert warnings == [
        "warning: gitorch has no setting gitorch.job, did you mean 'jobs'?"
    ]
    assert "warning" not in result.stdout


def test_the_json_document_stays_the_same_with_an_unknown_setting(
    project: Path,
) -> None:
    before = gitorch(project, "status", "--json").stdout
    git(project, "config", "gitorch.job", "2")
    after = gitorch(project, "status", "--json")
    assert json.loads(after.stdout) == json.loads(before)
    assert after.stderr.startswith("warning: gitorch has no setting gitorch.job")


def test_runs_are_named_or_selected() -> None:
    assert selection_of(["a", "b"]).references == ("a", "b")
    assert selection_of(None, status="error").status == "ERROR"
    with pytest.raises(
        UsageError, match="name runs or select them with options, not both"
    ):
        selection_of(["a"], name="b*")
    with pytest.raises(UsageError, match="'done' is not a status") as error:
        selection_of(None, status="done")
    assert "COMPLETE" in (error.value.hint or "")

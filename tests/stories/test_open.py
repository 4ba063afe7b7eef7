"""`gitorch open` shows an output with a program of the user's choice."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.conftest import git, gitorch, write


@pytest.fixture
def finished(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    command = "cd {outputDir}; echo hi > plot.txt; echo x > '-r $(a);.png'; ln -s plot.txt l"
    write(
        project,
        "experiments/a.yaml",
        f'tasks: [{{id: t, command: "{command}"}}]',
    )
    gitorch(project, "run", "experiments")
    return project


def test_the_opener_gets_a_read_only_copy(finished: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    opener = tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {seen}\n')
    opener.chmod(0o755)
    environment = {"GITORCH_OPENER": f"{opener} --view"}
    said = gitorch(finished, "open", "a", "plot.txt", env=environment)
    option, shown = seen.read_text().splitlines()
    copy = Path(shown)
    assert option == "--view"
    assert (copy.name, copy.read_text()) == ("plot.txt", "hi\n")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o400
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert (said.stdout, said.stderr) == ("", f"opening {copy}\n")
    git(finished, "config", "gitorch.opener", str(opener))
    gitorch(finished, "open", "a", "plot.txt")
    assert len(seen.read_text().splitlines()) == 3


def test_a_hostile_name(finished: Path) -> None:
    said = gitorch(
        finished, "open", "a", "--", "-r $(a);.png", env={"GITORCH_OPENER": "true"}
    )
    assert said.stderr.endswith("/r _a_.png\n")


def test_what_cannot_be_opened_is_said(finished: Path) -> None:
    environment = {"GITORCH_OPENER": "no-such-program"}
    wrong = gitorch(finished, "open", "a", "plot.txt", env=environment, code=69)
    assert "no-such-program, which opens files, is not installed" in wrong.stderr
    wrong = gitorch(
        finished, "open", "a", "plot.txt", env={"GITORCH_OPENER": "false"}, code=4
    )
    assert "its exit code is 1" in wrong.stderr
    wrong = gitorch(
        finished, "open", "a", "plot.txt", env={"GITORCH_OPENER": "a '"}, code=2
    )
    assert "is not a command" in wrong.stderr
    temporary = Path(os.environ["TMPDIR"])
    environment = {"GITORCH_OPENER": "true"}
    for path, code in (("plot.tx", 3), ("l", 4)):
        before = sorted(temporary.iterdir())
        gitorch(finished, "open", "a", path, env=environment, code=code)
        assert sorted(temporary.iterdir()) == before

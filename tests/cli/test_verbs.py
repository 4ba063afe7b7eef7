"""Every command has its module and its line of the table, and is imported when it is invoked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gitorch.cli import commands
from gitorch.cli.verbs import VERBS, load_command
from tests.conftest import gitorch

# What takes long to import: actions and everything below them, and the libraries that they need.
HEAVY = (
    "gitorch.actions",
    "gitorch.runs",
    "msgspec",
    "pygit2",
    "sqlite3",
    "yaml",
    "rich",
)


def test_the_table_lists_every_module_of_commands() -> None:
    [directory] = commands.__path__
    modules = {path.stem for path in Path(directory).glob("*.py")} - {"__init__"}
    assert sorted(verb.module for verb in VERBS.values()) == sorted(modules)


@pytest.mark.parametrize("name", VERBS)
def test_the_summary_is_the_first_line_of_the_help(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert (command.help or "").splitlines()[0] == VERBS[name].summary


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["no-such-command"]]
)
def test_the_program_itself_loads_no_command(
    tmp_path: Path, arguments: list[str]
) -> None:
    assert loaded_by(tmp_path, *arguments) == []


def test_the_help_of_a_command_loads_that_command_and_no_action(
    tmp_path: Path,
) -> None:
    assert loaded_by(tmp_path, "run", "--help") == ["gitorch.cli.commands.run"]
    assert loaded_by(tmp_path, "list", "--help") == [
        "gitorch.cli.commands.list_runs"
    ]


def test_an_invoked_command_loads_no_other_command(project: Path) -> None:
    loaded = loaded_by(project, "status")
    assert "gitorch.actions.status" in loaded
    commands = [name for name in loaded if name.startswith("gitorch.cli.commands.")]
    assert commands == ["gitorch.cli.commands.status"]


def loaded_by(root: Path, *arguments: str) -> list[str]:
    """Run the program, and return the commands and the heavy modules that it has imported."""
    program = (
        "import json, sys\n"
        "from gitorch.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    print('\\n' + json.dumps(list(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = json.loads(result.stdout.splitlines()[-1])
    names = ("gitorch.cli.commands.", *HEAVY)
    return sorted(name for name in loaded if name.startswith(names))


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (
            "gitorch re",
            ["ready", "report", "revert", "rerun", "release", "retry", "resubmit"],
        ),
        ("gitorch ready --sn", ["--snapshot"]),
        ("gitorch checkout-", ["checkout-run"]),
    ],
)
def test_the_shell_completes_commands_and_options(
    tmp_path: Path, words: str, completions: list[str]
) -> None:
    assert completed(tmp_path, words) == completions


def test_completion_does_not_warn_of_unknown_settings(project: Path) -> None:
    subprocess.run(["git", "config", "gitorch.job", "2"], cwd=project, check=True)
    assert completed(project, "gitorch show x") == []


def completed(root: Path, words: str) -> list[str]:
    """Return what the shell offers for the last word; the program must print nothing else."""
    position = str(len(words.split()) - 1)
    environment = {
        "_GITORCH_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": position,
    }
    result = subprocess.run(
        [str(Path(sys.executable).with_name("gitorch"))],
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    return result.stdout.split()


def test_the_closest_command_is_suggested_for_a_misspelt_one(
    tmp_path: Path,
) -> None:
    said = gitorch(tmp_path, "retyr", code=2).stderr
    assert "no such command 'retyr'. Did you mean 'retry'" in said


@pytest.mark.parametrize(
    ("tried", "meant"),
    [
        ("diff", ["compare A B"]),
        ("rm", ["kill ID"]),
        ("delete", ["kill ID"]),
        ("cancel", ["kill ID"]),
        ("log", ["logs ID"]),
        ("history", ["list", "show ID"]),
        ("ls", ["list"]),
        ("gc", ["collect"]),
        ("prune", ["collect"]),
        ("resume", ["run", "release ID", "retry ID"]),
        ("start", ["run"]),
        ("submit", ["ready"]),
        ("info", ["show ID"]),
        ("tail", ["logs -f ID"]),
        ("Requeue", ["ready --again", "resubmit ID"]),
    ],
)
def test_the_names_that_people_try_lead_to_the_right_command(
    tmp_path: Path, tried: str, meant: list[str]
) -> None:
    said = gitorch(tmp_path, tried, "x", code=2).stderr
    first, *hints = said.splitlines()
    assert first == f"error: gitorch has no command {tried!r}"
    hinted = [hint.removeprefix("hint:").strip().split(": ")[0] for hint in hints]
    assert hinted == [f"gitorch {usage}" for usage in meant]
    document = json.loads(gitorch(tmp_path, tried, "--json", code=2).stdout)
    assert document["error"]["kind"] == "usage"

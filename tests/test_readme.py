"""The commands of both READMEs work. The tests run them in the order in which a reader does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gitorch.actions.demo import create
from gitorch.cli.topics import TOPICS
from tests.conftest import git

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DEMO_README = (ROOT / "demo" / "README.md").read_text()
PROGRAMS = Path(sys.executable).parent

# The directory in which the commands under a heading are run. A new heading must be added here.
IN_THE_CLONE = ("Try it",)
IN_THE_DEMO = ("Look around", "Penguins")
IN_A_PROJECT = (
    "Your own project",
    "A script of your own",
    "Many runs",
    "Leave it running",
)
# Commands that .ci/run and test_packaging.py run.
BY_CI = ("./demo/run", "./tests/run")
BY_PACKAGING = ("pip install .",)


class Block(NamedTuple):
    """A fenced block of a Markdown page, with its language, its text and the heading above it."""

    heading: str
    language: str
    text: str


def blocks_of(page: str) -> Iterator[Block]:
    heading = ""
    for match in re.finditer(
        r"^#+ (?P<heading>[^\n]+)$|^```(?P<language>\w*)\n(?P<text>.*?)^```$",
        page,
        re.M | re.S,
    ):
        if match["heading"]:
            heading = match["heading"]
        else:
            yield Block(heading, match["language"], match["text"])


def commands_of(page: str, *headings: str) -> list[str]:
    """Return the commands under these headings.

    Each line of a `sh` block is a command. In a `console` block, a command follows a `$`.
    """
    commands = []
    for block in blocks_of(page):
        if block.heading in headings and block.language in ("sh", "console"):
            lines = [
                line
                for line in block.text.splitlines()
                if block.language == "sh" or line.startswith("$ ")
            ]
            commands += [
                line.removeprefix("$ ").split("  #")[0].strip() for line in lines
            ]
    return [
        command for command in commands if command and not command.startswith("#")
    ]


def run_all(
    commands: list[str], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run the commands one after the other. Each must succeed without a terminal or a question."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")
    for command in commands:
        result = subprocess.run(
            ["sh", "-c", command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, (
            f"$ {command}\n{result.stdout}{result.stderr}"
        )
        assert "\x1b" not in result.stdout + result.stderr, (
            f"$ {command}: colours off a terminal"
        )


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the demo's repository with its runs, as `demo/run` does."""
    root = create(tmp_path / "penguins")
    run_all(["gitorch ready", "gitorch run -j 2"], root, monkeypatch)
    return root


def test_every_heading_with_commands_has_a_directory() -> None:
    for page in (README, DEMO_README):
        headings = {
            block.heading
            for block in blocks_of(page)
            if block.language in ("sh", "console", "", "bash")
        }
        assert headings <= {*IN_THE_CLONE, *IN_THE_DEMO, *IN_A_PROJECT}


def test_ci_runs_the_first_two_commands_of_the_readme() -> None:
    assert tuple(commands_of(README, *IN_THE_CLONE)) == BY_CI
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert set(BY_CI) <= set(script)
    assert all(os.access(ROOT / command, os.X_OK) for command in BY_CI)


def test_the_readmes_commands_in_the_demo_work(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = commands_of(README, *IN_THE_DEMO)
    assert len(commands) >= 10
    run_all(commands, demo, monkeypatch)


def test_the_commands_of_the_demos_own_readme_work(
    demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = commands_of(DEMO_README, *IN_THE_DEMO)
    assert len(commands) >= 6
    run_all(commands, demo, monkeypatch)


def test_the_example_project_of_the_readme_works(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in blocks_of(README):
        if block.language in ("python", "yaml"):
            name = block.text.splitlines()[0].removeprefix("# ")
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).write_text(block.text)
        elif block.heading in IN_A_PROJECT:
            page = f"# {block.heading}\n```{block.language}\n{block.text}```\n"
            commands = [
                command
                for command in commands_of(page, block.heading)
                if command not in BY_PACKAGING
            ]
            run_all(commands, project, monkeypatch)
    looked = subprocess.run(
        [sys.executable, "look.py"],
        cwd=project,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "0.1    0.158556" in looked.stdout
    trailers = "--format=%(trailers:key=Gitorch-Status,valueonly)"
    statuses = git(project, "log", "-1", trailers, "gitorch/results").splitlines()
    assert set(statuses) == {"COMPLETE"}  # a commit may record several attempts


# The table of commands: each row has a command, its usage and a description.
_, _, COMMANDS = README.partition("\n## Commands\n")
COMMANDS, _, _ = COMMANDS.partition("\n## ")
ROWS = re.findall(r"^\| `([a-z-]+)([^`]*)` \| (.+) \|$", COMMANDS, re.M)


@pytest.mark.parametrize(
    ("command", "usage"), [row[:2] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_the_table_names_only_options_that_exist(command: str, usage: str) -> None:
    result = subprocess.run(
        [PROGRAMS / "gitorch", command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for option in re.findall(r"--?[a-z-]+", usage):
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", result.stdout), (
            f"{option} is not in:\n{result.stdout}"
        )


def test_the_table_names_every_command() -> None:
    result = subprocess.run(
        [PROGRAMS / "gitorch", "--help"], capture_output=True, text=True, check=True
    )
    _, _, listing = result.stdout.partition("Commands:")
    commands = re.findall(r"^  ([a-z][a-z-]*)", listing, re.M)
    assert sorted(commands) == sorted(row[0] for row in ROWS)


def test_the_table_names_every_topic_of_the_manual() -> None:
    descriptions = {command: text for command, _, text in ROWS}
    named = re.findall(r"`([a-z-]+)`", descriptions["help"])
    assert named == list(TOPICS)


def test_the_files_that_the_pages_link_to_exist() -> None:
    for page, directory in (
        (README, ROOT),
        (DEMO_README, ROOT / "demo"),
        ((ROOT / "CONTRIBUTING.md").read_text(), ROOT),
    ):
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page):
            if "://" not in target:
                assert (directory / target).exists(), target

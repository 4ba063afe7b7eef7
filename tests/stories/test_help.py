"""`gitorch help`: the commands and configs in its topics work, and the examples of all commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gitorch.actions.demo import create
from gitorch.cli.boundary import EXIT_CODE_MEANINGS, EXIT_CODES
from gitorch.cli.examples import EXAMPLES
from gitorch.cli.topics import TOPICS, render_topic
from gitorch.model.run.status import Status
from gitorch.model.settings import SETTINGS
from tests.conftest import git, gitorch, gitorch_json, write
from tests.engines.dask_site import dask_site
from tests.terminal import on_terminal

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent


# The same names as in the demo, without its work.
QUICK = """
    seed: 1
    learningRate: {rate}
    tasks:
      - id: evaluate
        command: |
          echo '{{"accuracy": 0.95}}' > {{outputDir}}/metrics.json
          for loss in 2 1; do
            echo '{{"metric": "loss", "value": '$loss'}}' >> $GITORCH_EVENTS
          done
"""


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Create the demo's repository with its runs."""
    root = create(tmp_path / "penguins")
    gitorch(root, "run", "-j", "2", "experiments")
    return root


@pytest.fixture
def quick(project: Path) -> Path:
    """Make a repository with two runs that are named like those of the demo."""
    for name, rate in (("bill-shape", 0.1), ("body-size", 0.2)):
        write(project, f"experiments/{name}.yaml", QUICK.format(rate=rate))
    git(project, "add", "experiments")
    git(project, "commit", "-qm", "experiments")
    gitorch(project, "run", "-j", "2", "experiments")
    return project


def commands_of(topic: str) -> list[str]:
    text = render_topic(topic)
    return [
        line.strip()[2:] for line in text.splitlines() if line.startswith("    $ ")
    ]


def shell(root: Path, command: str) -> str:
    """Run a line as bash does. Return what it prints."""
    unquoted = re.sub("""'[^']*'|"[^"]*\"""", "", command)
    if command.startswith("gitorch ") and not set(unquoted) & set("$`;&|<>"):
        # Nothing here is for bash, and a process of its own takes much longer.
        return gitorch(root, *shlex.split(command)[1:]).stdout
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=root,
        env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"$ {command}\n{result.stdout}{result.stderr}"
    return result.stdout


def blocks_of(topic: str) -> list[str]:
    """Return the indented blocks of a topic: examples, which begin four columns from the left."""
    text = gitorch(ROOT, "help", topic).stdout
    found = re.findall(r"^(?:    \S.*\n(?:     *\S.*\n)*)+", text, re.M)
    return [textwrap.dedent(block) for block in found]


def run_block(root: Path, block: str) -> list[Path]:
    """Do what the block is an example of. Return the files that it needed."""
    if block.startswith("$ "):
        for command in block.splitlines():
            assert command.startswith("$ "), command
            shell(root, command[2:])
    elif match := re.match(r"# (\S+\.yaml)\n", block):
        path = root / match[1]
        path.write_text(block)
        return [path]
    elif block.startswith("import "):
        subprocess.run([sys.executable, "-c", block], cwd=root, check=True)
    elif block.startswith("{"):
        report_events(root, block)
    elif block.startswith("pip install 'gitorch[dask]'"):
        run_on_dask(root, block)
    else:
        raise AssertionError(f"nobody runs this block:\n{block}")
    return []


def run_on_dask(root: Path, block: str) -> None:
    """Execute a run as the last line says, with the scheduler and the worker of the others."""
    _, scheduler, worker, command = block.splitlines()
    assert scheduler.startswith("dask scheduler ")
    words = worker.partition("#")[0].split()
    assert words[:3] == ["dask", "worker", "tcp://HOST:8786"]
    with dask_site(root.parent / "dask") as site:
        site.worker("host", *words[3:])
        gitorch(root, "rerun", "body-size", "--queue")
        shell(root, command.replace("tcp://HOST:8786", site.address))


def report_events(root: Path, block: str) -> None:
    """Let a task report these events. Its run must have what they say."""
    events = [json.loads(line) for line in block.splitlines()]
    write(
        root,
        "reporting.yaml",
        f"""
        gitorch: {{shell: sh}}
        tasks:
          - id: report
            command: [sh, -c, 'echo "$0" >>"$GITORCH_EVENTS"', {json.dumps(block)}]
        """,
    )
    gitorch(root, "run", "reporting.yaml")
    run = gitorch_json(root, "show", "@")["run"]
    measured = {
        event["metric"]: event["value"] for event in events if "metric" in event
    }
    assert measured
    assert run["metrics"] == measured
    (root / "reporting.yaml").unlink()


def test_the_blocks_of_the_topics_work(demo: Path) -> None:
    for topic in sorted(set(TOPICS) - {"files", "sharing"}):
        needed = []
        for block in blocks_of(topic):
            needed += run_block(demo, block)
        # A config of this topic may need what the demo does not have, a lock for example.
        for path in needed:
            path.unlink()


def test_the_other_topics_have_only_commands() -> None:
    """Tests of their own run these, in one order and in several repositories."""
    for topic in ("files", "sharing"):
        lines = "".join(blocks_of(topic)).splitlines()
        assert [line.removeprefix("$ ") for line in lines] == commands_of(topic)


def test_the_topics_are_short_lines_without_placeholders() -> None:
    for topic in TOPICS:
        text = render_topic(topic)
        assert not re.search(r"^\{[a-z ]+\}$", text, re.M), topic
        for line in text.splitlines():
            assert len(line) <= 80 or line.startswith("    $ "), line


def test_the_tables_are_complete() -> None:
    for setting in SETTINGS:
        assert f"gitorch.{setting.name} " in render_topic("settings")
    for status in Status:
        assert f"\n  {status} " in render_topic("states")
    assert {0, 1, 70, *EXIT_CODES.values()} == set(EXIT_CODE_MEANINGS)
    schema = json.loads((ROOT / "schemas/config.schema.json").read_text())
    for place in (schema, *schema["definitions"].values()):
        if place in (schema, schema["definitions"]["fileSettings"]):
            for key in place["properties"]:
                assert f"\n  {key}" in render_topic("config"), key
    documents = set()
    for path in ROOT.glob("gitorch/**/*.py"):
        documents |= set(re.findall(r'"(gitorch/[a-z]+/v1)"', path.read_text()))
    shown = set(re.findall(r"gitorch/[a-z]+/v1", render_topic("json")))
    assert documents - {"gitorch/record/v1", "gitorch/used/v1"} <= shown


@pytest.mark.parametrize("columns", [80, 120])
def test_the_groups_and_topics_on_a_terminal(tmp_path: Path, columns: int) -> None:
    seen = on_terminal(tmp_path, "--help", columns=columns)
    titles = [line for line in seen.lines if re.fullmatch(r"[A-Z][a-z ]+:", line)]
    assert titles == [
        "Options:",
        "Start:",
        "Look:",
        "Go back:",
        "Steer:",
        "Keep house:",
    ]
    assert "..." not in seen.text.partition("Commands:")[2]
    assert max(map(len, seen.lines)) <= 80
    seen = on_terminal(tmp_path, "help", columns=columns)
    listed = [line.split()[0] for line in seen.lines if line.startswith("  ")]
    assert listed == list(TOPICS)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("words", [("list", "--help"), ("help", "config")])
def test_the_help_fits_on_a_terminal(
    tmp_path: Path, words: tuple[str, ...], columns: int
) -> None:
    seen = on_terminal(tmp_path, *words, columns=columns)
    assert max(map(len, seen.lines)) <= columns
    assert len(seen.lines) > 30


def test_the_help_of_each_command_ends_with_its_two_examples(
    tmp_path: Path,
) -> None:
    for command, examples in EXAMPLES.items():
        shown = gitorch(tmp_path, command, "--help").stdout.rstrip().splitlines()
        assert [line.strip() for line in shown[-2:]] == [*examples], command


def test_help_shows_the_help_of_a_command_and_corrects_a_topic(
    tmp_path: Path,
) -> None:
    assert (
        gitorch(tmp_path, "help", "run").stdout
        == gitorch(tmp_path, "run", "-h").stdout
    )
    said = gitorch(tmp_path, "help", "setings", code=2).stderr
    assert "there is no topic 'setings', did you mean 'settings'?" in said


def test_the_commands_of_files_remove_everything(quick: Path) -> None:
    gitorch(quick, "checkout-run", "body-size")
    git(quick, "config", "gitorch.jobs", "2")
    commands = commands_of("files")
    assert len(commands) == 8
    for command in commands:
        shell(quick, command)
    assert not list(quick.parent.glob("*.gitorch"))
    assert "gitorch" not in git(quick, "for-each-ref")
    assert "gitorch" not in git(quick, "worktree", "list").replace(str(quick), "")
    assert "gitorch" not in (quick / ".git/config").read_text()
    files = [path for path in (quick / ".git").rglob("*") if path.is_file()]
    assert not [path for path in files if "gitorch" in str(path.relative_to(quick))]
    assert git(quick, "status", "--porcelain") == ""
    assert gitorch(quick, "list").stderr == "no runs yet; next: gitorch ready\n"


def test_the_commands_of_sharing_share_results(quick: Path, tmp_path: Path) -> None:
    shared, other = tmp_path / "shared.git", tmp_path / "other"
    git(quick, "init", "-q", "--bare", str(shared))
    git(quick, "remote", "add", "origin", str(shared))
    git(quick, "push", "-q", "origin", "HEAD")
    git(quick, "config", "gitorch.largeFile", "10")
    large = gitorch(quick, "rerun", "body-size").stdout.strip()
    push, *there = commands_of("sharing")
    shell(quick, push)
    git(quick, "clone", "-q", str(shared), str(other))
    look, merge, (lfs_push, lfs_fetch) = there[:4], there[4:-2], there[-2:]
    for command in look:
        shell(other, command)
    assert len(json.loads(shell(other, "gitorch list --json"))["runs"]) == 4
    # Both have new runs.
    gitorch(quick, "rerun", "--queue", "body-size")
    shell(quick, push)
    for command in merge:
        shell(other, command)
    runs = json.loads(shell(other, "gitorch list --json"))["runs"]
    assert len(runs) == 5
    assert git(shared, "rev-parse", "gitorch/results") == git(
        other, "rev-parse", "gitorch/results"
    )
    assert git(other, "log", "-1", "--format=%P", "gitorch/results").count(" ") == 1
    if shutil.which("git-lfs") is not None:
        gitorch(other, "cat", large, "metrics.json", code=3)
        shell(quick, lfs_push)
        shell(other, lfs_fetch)
        gitorch(other, "cat", large, "metrics.json")


QUEUED = "gitorch ready --again experiments/body-size.yaml"
FAILING = (
    "echo 'tasks: [{id: t, command: \"false\"}]' > ../body-size.yaml",
    "gitorch ready --again ../body-size.yaml",
    "gitorch run || true",
)
# What must have happened before an example can work.
BEFORE = {
    "gitorch -C ../other init": ["git init -q ../other"],
    "gitorch check": ["rm experiments/example.yaml"],
    "gitorch run -j 2": [QUEUED],
    "gitorch checkout-run @ ../look": ["rm -rf ../look"],
    "gitorch revert @ --detach": ["git switch -q -"],
    "gitorch hold body-size": ["git switch -q -", QUEUED],
    "gitorch hold --status WAITING --yes": [QUEUED],
    "gitorch retry body-size --at HEAD": FAILING,
    "gitorch retry --status ERROR --yes": ["gitorch run || true"],
    "gitorch fail body-size": FAILING,
    "gitorch set body-size --priority 5": [QUEUED],
    'gitorch kill --yes @ --why "a typo"': [QUEUED],
}


def test_the_examples_of_all_commands_work(quick: Path) -> None:
    git(quick, "config", "gitorch.jobs", "2")
    git(quick, "config", "gitorch.opener", "true")
    for command, examples in EXAMPLES.items():
        if command in (
            "demo",  # see tests/actions/test_demo.py
            "ui",  # see tests/page/
        ):
            continue
        for example in examples:
            for before in BEFORE.get(example, ()):
                shell(quick, before)
            program, *words = shlex.split(example)
            assert program == "gitorch"
            gitorch(quick, *words)

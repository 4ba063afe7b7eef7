"""Every piece of code in a sentence of the README or of `gitorch help` works.

A piece is code between backticks. The first class of `CLASSES` that takes a piece says how it is
tested. A piece that no class takes fails a test.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitorch.cli.examples import EXAMPLES
from gitorch.cli.topics import TOPICS, render_topic
from gitorch.config.schema import file_settings, task_settings
from gitorch.model.settings import SETTINGS
from tests.conftest import commit_files, git, gitorch, gitorch_json, write
from tests.locked_project import locked, make_wheel, uv
from tests.stories.test_locked_environments import CONDA
from tests.test_installation import installations

__all__ = ["locked"]  # a fixture

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "tests" / "cli" / "reference.txt").read_text()
KEYS = {*file_settings(), *task_settings(), "tasks", "needs", "gitorch"}
SOURCES = "".join(path.read_text() for path in (ROOT / "gitorch").rglob("*.py"))
# Programs and Python of which the README only tells what they do.
NAMED = (
    *("gitorch.progress(done, total)", '{"progress": [done, total]}'),
    *(
        "python",
        "yaml",
        "uv",
        "head",
        "id",
        "id()",
        "copy.deepcopy",
        "literal_eval",
    ),
    *(
        "run()",
        "metric(…)",
        "file://",
        "--key=value",
        "lr",
        "*TOKEN*",
        "schema",
    ),
    *(
        "train/loss",
        "validation/loss",
        "features",
        "NA",
        "--key value",
        "tasks.train.epochs",
    ),
)


def pieces_of(page: str) -> list[str]:
    """Return the code between backticks, each piece once. Fenced blocks are left out."""
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S)
    found = re.findall(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`", prose)
    return list(dict.fromkeys(piece.replace("\n", " ") for piece in found))


PIECES = pieces_of(
    "\n\n".join(
        [
            README,
            (ROOT / "demo" / "README.md").read_text(),
            *(render_topic(topic) for topic in TOPICS),
        ]
    )
)


def fragment(piece: str) -> Any:
    """Return the value of a piece that is a part of a config, None for any other piece."""
    if not re.match(r"[a-zA-Z]+: ", piece):
        return None
    try:
        value = yaml.safe_load(piece)
    except yaml.YAMLError:
        return None
    is_config = isinstance(value, dict) and set(value) <= {*KEYS, "dash", "equals"}
    return value if is_config else None


def is_usage(piece: str) -> bool:
    """Return True for a row of the table of commands; test_readme.py tests its options."""
    table = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    is_pattern = re.search(r"\[-|…|\b[A-Z]+\]|FILE", piece) is not None
    return f"| `{piece}` |" in table or (
        piece.split()[0] in EXAMPLES and is_pattern
    )


def is_command(piece: str) -> bool:
    first, _, rest = piece.partition(" ")
    if first in ("gitorch", "git"):
        return True
    return first in EXAMPLES and bool(rest)


def is_address(piece: str) -> bool:
    return piece.startswith("@") or piece.strip('"').startswith("body-size")


def is_expression(piece: str) -> bool:
    return piece in EXPRESSIONS


def is_printed(piece: str) -> bool:
    """Return True for what a placeholder becomes, or for a placeholder."""
    return piece in PRINTED


def is_shell(piece: str) -> bool:
    return piece in SHELL_COMMANDS


def is_name(piece: str) -> bool:
    """Return True for the name of something that exists."""
    word = piece.rstrip(":/").removesuffix(".…")
    settings = {f"gitorch.{setting.name}" for setting in SETTINGS}
    defaults = {setting.default for setting in SETTINGS}
    return (
        word in KEYS | settings | defaults | {*EXAMPLES, *TOPICS, *NAMED}
        or (piece.startswith("-") and is_option(piece))
        or (ROOT / piece).exists()
        or (ROOT / "demo" / piece).exists()
        or f"class {piece}" in (ROOT / "demo" / "Tasks.py").read_text()
        # Values, columns, files and variables are literal texts of the code or of its schemas.
        or f'"{word.lstrip("$")}"' in SOURCES + SCHEMA
        or re.search(rf"\b{re.escape(piece)}\b", SCHEMA + SETTING_TEXTS) is not None
    )


SCHEMA = (ROOT / "schemas" / "config.schema.json").read_text()
SETTING_TEXTS = " ".join(setting.meaning for setting in SETTINGS)


def is_option(piece: str) -> bool:
    """Return True if a command has the option, with the value that the piece gives it."""
    option = piece.split()[0]
    return re.search(rf"(?<![\w-]){option}(?![\w-])", REFERENCE) is not None


# What is true of the runs of `project_with_runs`.
EXPRESSIONS = {
    "status == COMPLETE": "status == COMPLETE",
    "and or not ( )": "not (lr == 1 and lr == 2 or lr == 3)",
    "== != < <= > >=": "lr == 0.1 and lr != 1 and lr < 1 and lr <= 1 and lr > 0 and lr >= 0",
    "in [1, 2]": "seed in [1, 2]",
    "like 'peng*'": "not name like 'peng*'",
    "params.…": "params.lr == 0.1",
    "metrics.…": "metrics.accuracy > 0.9",
    "params.tasks.train.epochs": "params.tasks.train.epochs == 5",
}
# The exit code of a task with this command.
SHELL_COMMANDS = {
    "yes | head -1": 141,
    "(yes || true) | head -1": 0,
    "train.py | tee log": 127,
    "curl -w '%{http_code}'": 127,
    "main.py {overrides} hydra.run.dir={output}": 0,
    "papermill in.ipynb {output}/out.ipynb -f $GITORCH_PARAMS": 0,
    "bash -eo pipefail -c": 0,
    "sh -ec": 0,
    "sh -c": 0,
}
# A config's settings, and the texts of the README that the program then finds in its arguments.
FLAGS = {
    "{bool: yaml}": ("--amp true",),
    "{bool: switch}": ("--amp", "--learning_rate"),
    "{bool: no-prefix}": ("--amp", "--no-ema"),
    "{bool: python}": ("--amp True",),
    "{dash: true}": ("--learning-rate",),
    "{equals: true}": ("--lr=0.1 --sizes=[64, 128]",),
}
# The placeholders in the README's table, and what they become there.
TABLE = {
    "{lr}": ("0.1",),
    "{amp}": ("true",),
    "{none}": ("null",),
    "{sizes}": ("[64, 128]",),
    "{model}": ('{"depth": 3}',),
    "{model.depth}": ("3",),
    "{flags:lr,sizes,model}": ("--lr 0.1 --sizes 64 128 --model.depth 3",),
    "{flags:lr,model}": ("--lr 0.1 --model.depth 3",),
    "{overrides:lr,sizes,model}": ("lr=0.1 sizes=[64,128] model.depth=3",),
    "{overrides:none}": ("none=null",),
    "{overrides:lr}": ("lr=0.1",),
    "{output}": ("../output",),
    "{{name}}": ("{name}",),
}
PRINTED = {
    *("{name}", "{flags}", "{overrides}", "{outputDir}", "key=null", "--no-amp"),
    *TABLE,
    *(text for texts in (*TABLE.values(), *FLAGS.values()) for text in texts),
}

CLASSES: dict[str, Callable[[str], object]] = {
    "usage": is_usage,
    "shell": is_shell,
    "expression": is_expression,
    "printed": is_printed,
    "run elsewhere": lambda piece: piece in ELSEWHERE,
    "fragment": fragment,
    "command": is_command,
    "address": is_address,
    "option and its value": lambda piece: piece in (*OPTIONS, NOTIFY),
    "environment": lambda piece: piece in ENVIRONMENT,
    "name": is_name,
    "file": lambda piece: piece in FILES,
}
OPTIONS = {"--sort '-accuracy max'": ("list", "--group", "name")}
NOTIFY = """--notify 'mail -s "$GITORCH_SUMMARY" me </dev/null'"""
ENVIRONMENT = ("PYTHONHASHSEED=0", "GITORCH_WORKSPACE")
# What needs more than a repository. `test_what_is_run_elsewhere` says which tests run it.
ON_DASK = "gitorch run --engine dask --scheduler tcp://HOST:8786"
WITH_CONDA = "conda: environment.yml"
ELSEWHERE = {ON_DASK, WITH_CONDA, *installations()}
# Files of a user's project that a sentence names as an example, and what gitorch does with them.
FILES = {
    "data.csv.dvc": "tests/stories/test_pointed_data.py",
    "data/.gitkeep": "tests/stories/test_ignored_files.py",
    ".python-version": "tests/stories/test_locked_environments.py",
    "requirements*.txt": "tests/stories/test_locked_environments.py",
    "/tmp/gitorch-<uid>": "tests/stories/test_help.py",
}


def of_class(name: str) -> list[str]:
    return [piece for piece in PIECES if class_of(piece) == name]


def class_of(piece: str) -> str | None:
    for name, takes in CLASSES.items():
        if takes(piece):
            return name
    return None


def test_each_piece_has_a_class() -> None:
    assert [piece for piece in PIECES if class_of(piece) is None] == []


# Runs with the names that the sentences use. The latest one fails, and its task is called `TASK`.
PROJECT = {
    "experiments/body-size.yaml": """
        lr: 0.1
        seed: 1
        gitorch: {matrix: {seed: [1, 2], tasks.train.epochs: [5]}}
        tasks:
          - id: train
            command: |
              echo '{"accuracy": 0.95}' > {outputDir}/metrics.json
              echo '{"metric": "loss", "value": 1, "step": 1}' >> $GITORCH_EVENTS
              echo '{"metric": "loss", "value": 0, "step": 2}' >> $GITORCH_EVENTS
    """,
    "experiments/broken.yaml": """
        lr: 0.1
        tasks:
          - {id: train, command: "false"}
    """,
}
VALUES = {"ID": "broken", "NAME": "body-size", "TASK": "train", "HEAD": "HEAD"}
# What must have happened before a piece can work.
BEFORE = {
    "gitorch run NAME": ["gitorch rerun --queue body-size"],
    "gitorch retry ID --at HEAD": ["gitorch run broken"],
    "gitorch retry ID --config": ["gitorch run broken"],
    "gitorch retry ID --from TASK": ["gitorch run broken"],
    "gitorch run --no-cache": ["gitorch kill broken"],
    "rerun ID --verify": ["git config gitorch.python --unset"],
    "logs --worker": [
        "gitorch rerun --queue body-size && gitorch run --detach; gitorch wait"
    ],
}
# The pieces that are only a part of a command, with the words that make it whole.
WHOLE = {
    "git orch": "git orch --version",
    "gitorch": "gitorch --version",
    "ready --snapshot": "gitorch ready --snapshot experiments/body-size.yaml",
    "show --json": "gitorch show @ --json",
    "compare --environment": "gitorch compare --environment @ @~1",
    "rerun --verify": "gitorch rerun --verify body-size",
    "rerun ID --verify": "gitorch rerun body-size --verify",
    "doctor --fix": "gitorch doctor --fix",
    "gitorch plot": "gitorch plot --svg ../plot.svg",
    "logs --worker": "gitorch logs --worker",
    "run --detach": "gitorch run --detach",
    "gitorch metrics ID [NAME]": "gitorch metrics body-size accuracy",
    "gitorch metrics": "gitorch metrics body-size",
    "gitorch open": "GITORCH_OPENER=true gitorch open body-size metrics.json",
    "gitorch ui": "timeout --signal INT 3 gitorch ui; test $? = 124",
}


@pytest.fixture
def runs(project: Path) -> Path:
    """Make a repository with runs of the names in the sentences."""
    for name, text in PROJECT.items():
        write(project, name, text)
    commit_files(project, {})
    gitorch(project, "run", "-j", "2", "experiments", code=1)
    return project


def shell(
    root: Path,
    command: str,
    env: dict[str, str] | None = None,
    *,
    code: int | None = 0,
) -> None:
    """Run a command as a shell does. None accepts any exit code."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=root,
        env={**os.environ, "PATH": programs, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if code is not None:
        said = f"{result.stdout}{result.stderr}"
        assert result.returncode == code, f"$ {command}\n{said}"


def test_the_commands_work(runs: Path, tmp_path: Path) -> None:
    home = {
        "HOME": str(tmp_path / "another-home"),
        "SHELL": "/bin/bash",
        "XDG_DATA_HOME": "",
    }
    for piece in of_class("command"):
        words = [VALUES.get(word, word) for word in shlex.split(piece)]
        for before in BEFORE.get(piece, ()):
            shell(runs, before, code=None)
        if words[0] in EXAMPLES:
            words.insert(0, "gitorch")
        command = WHOLE.get(piece, shlex.join(words))
        shell(runs, command, home if "--install-completion" in piece else {})


# What the fragments name.
NAMED_FILES: dict[str, str | bytes] = {
    "params.yaml": "seed: 0\n",
    "experiments/base.yaml": "seed: 3\n",
    "Tasks.py": "",
    "src/a.py": "",
    "services/model/a.py": "",
    "libs/common/a.py": "",
    "environment.yml": "dependencies: [python]\n",
    "uv.lock": 'version = 1\nrequires-python = ">=3.11"\n',
    "apps/model/uv.lock": 'version = 1\nrequires-python = ">=3.11"\n',
    ".gitignore": "/data\n*.so\n/sets\n",
}


def test_the_fragments_of_configs_are_valid_and_run(project: Path) -> None:
    commit_files(project, NAMED_FILES)
    for name in ("data/train.csv", "src/a.so", "sets/a.png"):
        write(project, name, "1\n")
    git(project, "config", "gitorch.cpus", "4")
    git(project, "config", "gitorch.gpus", "1")
    git(project, "config", "gitorch.memory", "8GiB")
    pieces = of_class("fragment")
    assert len(pieces) >= 25
    runnable = [piece for piece in pieces if not piece.startswith("python:")]
    for number, piece in enumerate(runnable):
        path = project / "experiments" / f"piece{number}.yaml"
        config = whole_config(piece, project) | {"number": number}
        path.write_text(yaml.safe_dump(config))
    assert gitorch_json(project, "check")["problems"] == []
    runs = gitorch_json(project, "run", "-j", "2", "experiments")["runs"]
    assert len(runs) == len(runnable)


PACKAGES = "print(*sorted(d.name for d in importlib.metadata.distributions()))"
MODEL = """
dependency-groups = {eval = ["score"]}
tool.uv = {find-links = ["../../wheels"], no-index = true}

[project]
name = "model"
version = "1"
requires-python = ">=3.11"
dependencies = ["dep==2.0"]
optional-dependencies.gpu = ["cuda"]
"""


def test_the_locks_of_the_fragments_are_used(locked: Path) -> None:
    for name in ("cuda", "score"):
        make_wheel(locked / "wheels", "1.0", name)
    write(locked, "apps/model/pyproject.toml", MODEL)
    uv(locked / "apps/model", "lock", "--offline")
    commit_files(locked, {"names.py": f"import importlib.metadata\n{PACKAGES}\n"})
    packages = {}
    for piece in of_class("fragment"):
        if piece.startswith("python:"):
            here = f"--python {sys.version_info.major}.{sys.version_info.minor}"
            settings = piece.replace("--python 3.11", here)
            tasks = "tasks: [{id: t, command: python names.py}]\n"
            write(locked, "a.yaml", f"gitorch: {{{settings}}}\n{tasks}")
            gitorch(locked, "run", "a.yaml")
            packages[piece] = gitorch(locked, "logs", "a").stdout.split()
    assert list(packages.values()) == [["dep"], ["cuda", "dep", "score"]]


def test_what_is_run_elsewhere() -> None:
    """test_help.py runs the blocks of `help clusters`, and test_installation.py all of its list."""
    assert f"\n    {ON_DASK}\n" in render_topic("clusters")
    assert WITH_CONDA in CONDA, "test_locked_environments.py runs this config"
    assert set(of_class("run elsewhere")) == ELSEWHERE - {"pip install ."}


def whole_config(piece: str, root: Path) -> dict[str, Any]:
    """Return a config that contains the piece where its key belongs."""
    text = piece.replace("/sets/", f"{root}/sets/")
    tasks: list[dict[str, Any]] = [
        {"id": "ids", "command": "true"},
        {"id": "train", "command": "echo {seed} > {outputDir}/a.txt", "epochs": 2},
    ]
    settings: dict[str, Any] = {}
    for key, value in yaml.safe_load(text).items():
        if key in ("dash", "equals"):
            settings["flags"] = {key: value}
        elif key == "gitorch":
            settings |= value
        elif key == "steps":
            tasks[1]["gitorch"] = {key: value}
        elif key == "needs":
            tasks[1][key] = value
        else:
            settings[key] = value
    config = {"seed": 1, "gitorch": settings, "tasks": tasks}
    if settings.get("timeout", "") is None:
        config["timeout"] = 5  # the piece says that this is a parameter
    return config


def test_what_a_command_is_given(project: Path) -> None:
    """The placeholders become what the README's table says, and flags what its text says."""
    parameters = {
        "lr": 0.1,
        "sizes": [64, 128],
        "amp": True,
        "none": None,
        "model": {"depth": 3},
    }
    tasks = []
    for number, placeholder in enumerate(TABLE):
        command = f"printf '%s ' {placeholder} > {{outputDir}}/{number}.txt"
        tasks.append({"id": f"t{number}", "command": command})
    for number, flags in enumerate(FLAGS):
        command = "printf '%s ' {flags} > {outputDir}/" + f"flags{number}.txt"
        task: dict[str, Any] = {"id": f"f{number}", "command": command}
        task |= {"ema": False, "learning_rate": 1}
        task["gitorch"] = {"flags": yaml.safe_load(flags)}
        tasks.append(task)
    write(project, "experiments/a.yaml", json.dumps({**parameters, "tasks": tasks}))
    gitorch(project, "run", "experiments")
    gitorch(project, "outputs", "a", "--to", "out")

    def printed(name: str) -> str:
        return (project / "out" / "a" / name).read_text().rstrip()

    for number, expected in enumerate(TABLE.values()):
        assert printed(f"{number}.txt") == " ".join(expected)
    for number, expected in enumerate(FLAGS.values()):
        for text in expected:
            assert text in printed(f"flags{number}.txt")


def test_the_shell_commands_end_as_described(project: Path) -> None:
    program = '#!/bin/sh\nprintf "%s\\n" "$@"\n'
    commit_files(project, {"main.py": program, "papermill": program})
    (project / "main.py").chmod(0o755)
    (project / "papermill").chmod(0o755)
    commit_files(project, {})
    for piece, code in SHELL_COMMANDS.items():
        assert piece in PIECES
        command = f"PATH=$PWD:$PATH; {piece}"
        if piece.endswith((" -c", " -ec")):
            command += " true"
        config = {"gitorch": {"name": "a"}, "lr": 0.1}
        tasks = [{"id": "t", "command": command.replace("curl ", "no-such-curl ")}]
        write(project, "experiments/a.yaml", json.dumps({**config, "tasks": tasks}))
        gitorch(project, "run", "experiments", code=1 if code else 0)
        (attempt,) = gitorch_json(project, "show", "@")["run"]["tasks"][0][
            "attempts"
        ]
        assert attempt["outcome"].get("exit_code", 0) == code, piece


def test_the_expressions_and_addresses_find_runs(runs: Path) -> None:
    for piece, expression in EXPRESSIONS.items():
        assert piece in PIECES
        found = gitorch_json(runs, "list", "--where", expression)["runs"]
        assert found, expression
    for piece in of_class("address"):
        (address,) = shlex.split(piece)
        gitorch(runs, "hold" if address == "@last" else "show", address)
    for piece, words in OPTIONS.items():
        assert piece in PIECES
        gitorch(runs, *words, *shlex.split(piece))


def test_the_mail_is_sent(runs: Path, tmp_path: Path) -> None:
    """The program `mail` of this test writes its arguments into a file."""
    assert NOTIFY in PIECES
    mail = f'#!/bin/sh\nprintf "%s|" "$@" > {tmp_path}/mail\n'
    write(tmp_path, "programs/mail", mail).chmod(0o755)
    path = f"PATH={tmp_path}/programs:$PATH"
    shell(runs, f"gitorch rerun --queue body-size; {path} gitorch run {NOTIFY}")
    sent = (tmp_path / "mail").read_text()
    assert sent == "-s|done: 1 run, 1 COMPLETE|me|"


def test_the_files_of_the_examples_have_tests() -> None:
    for piece, test in FILES.items():
        assert piece in PIECES
        assert (ROOT / test).exists()


def test_each_fenced_block_is_run() -> None:
    """test_readme.py runs commands, files with a name in their first line, and nothing else."""
    unnamed = []
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S):
        first = text.splitlines()[0]
        is_file = re.fullmatch(r"# \S+\.(py|yaml)", first) is not None
        if language not in ("sh", "console") and not is_file:
            unnamed.append((language, text))
    assert unnamed == [("yaml", ADDRESS)]


ADDRESS = """gitorch:
  inputs:
    - url: https://example.org/train.csv
      sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
      fetch: true
      to: data/train.csv
"""


def test_the_address_is_fetched(project: Path, tmp_path: Path) -> None:
    """The digest is that of an empty file."""
    source = write(tmp_path, "train.csv", "")
    config = ADDRESS.replace("https://example.org/train.csv", source.as_uri())
    task = "tasks: [{id: a, command: 'test -f data/train.csv'}]\n"
    write(project, "experiments/a.yaml", config + task)
    gitorch(project, "run", "experiments")

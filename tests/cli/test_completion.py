"""What the shells offer, in the shells themselves where they are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gitorch.cli.completion import SHELLS, script
from tests.conftest import git, gitorch, gitorch_json, write
from tests.terminal import on_terminal

PROGRAMS = Path(sys.executable).parent
GIT_COMPLETION = Path("/usr/share/bash-completion/completions/git")
SWEEP = """
    gitorch: {matrix: {lr: [0.1, 0.2]}}
    model: {depth: 3}
    "odd: key": 1
    tasks:
      - {id: train, command: "echo {lr} > $GITORCH_OUTPUT_DIR/x"}
      - {id: check, command: "true"}
"""
BAD = "tasks: [{id: one, command: 'false'}]\n"


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def several(project: Path) -> Path:
    """Return a project with runs in ERROR, FAILED, WAITING, HOLD and COMPLETE."""
    write(project, "experiments/sweep.yaml", SWEEP)
    write(project, "experiments/bad.yaml", BAD)
    write(project, "experiments/failed.yaml", BAD.replace("one", "two"))
    gitorch(project, "run", "experiments", code=1)
    gitorch(project, "fail", "failed")
    git(project, "tag", "v1")
    for name, hold in (("waits", []), ("held", ["--hold"])):
        write(project, f"experiments/{name}.yaml", f"seed: {len(name)}\n{BAD}")
        gitorch(project, "ready", f"experiments/{name}.yaml", *hold)
    return project


def offered(root: Path, *words: str) -> list[str]:
    """Return what is offered for the last word."""
    answer = gitorch(root, *words, env={"_GITORCH_COMPLETE": "fish"})
    assert answer.stderr == ""
    return [line.split("\t")[0] for line in answer.stdout.splitlines()]


def names(root: Path, *words: str) -> list[str]:
    """Return the offered words that are not ids."""
    ids = {run["id"] for run in gitorch_json(root, "list")["runs"]}
    return [word for word in offered(root, *words) if word not in ids]


def test_only_runs_that_the_verb_can_take_are_offered(several: Path) -> None:
    expected = {
        "kill": ["bad", "failed", "held", "waits"],
        "hold": ["waits"],
        "release": ["held"],
        "retry": ["bad"],
        "fail": ["bad"],
        "resubmit": ["failed"],
        "set": ["held", "waits", "bad"],
        "adopt": [],
        "show": ["held", "waits", "sweep", "failed", "bad"],
    }
    for verb, runs in expected.items():
        assert sorted(names(several, verb, "")) == sorted(runs), verb
    assert names(several, "run", "w") == ["waits"]
    assert "held" not in names(several, "kill", "held", ""), "not the same twice"


def test_labels_are_offered_once_the_name_is_typed(several: Path) -> None:
    assert offered(several, "show", "sw") == ["sweep"]
    labels = ["sweep lr=0.2", "sweep lr=0.1"]
    assert offered(several, "show", "sweep") == ["sweep", *labels]
    assert offered(several, "rerun", "sweep lr=0.1") == ["sweep lr=0.1"]


def test_the_values_of_options_are_offered(several: Path) -> None:
    assert offered(several, "kill", "--status", "w") == ["waiting"]
    assert offered(several, "kill", "--status=H") == ["--status=HOLD"]
    assert offered(several, "logs", "sweep", "--task", "") == ["train", "check"]
    assert offered(several, "retry", "bad", "--from", "") == ["one"]
    assert offered(several, "list", "--sort", "l") == ["label", "lr"]
    assert offered(several, "list", "--sort", "-l") == ["-label", "-lr"]
    assert offered(several, "list", "--group", "model.") == ["model.depth"]
    assert offered(several, "list", "--aggregate", "mean,m") == [
        "mean,mean",
        "mean,min",
        "mean,max",
    ]
    assert offered(several, "ready", "--at", "") == ["HEAD", "main", "v1"]
    assert offered(several, "ready", "experiments/sweep.yaml", "-S", "") == [
        "lr=",
        "model.depth=",
        "odd: key=",
    ]
    assert offered(several, "ready", "-S", "~s") == ["~seed"]
    assert offered(several, "check", "exp") == ["experiments/"]
    assert offered(several, "check", "experiments/s") == ["experiments/sweep.yaml"]


def test_nothing_is_offered_and_no_error_is_printed_where_there_is_nothing(
    tmp_path: Path, project: Path
) -> None:
    git(
        project, "config", "gitorch.job", "2"
    )  # no such setting: a warning elsewhere
    write(project, "experiments/broken.yaml", "a: [\n")
    (project / ".git/gitorch").mkdir(exist_ok=True)
    for root in (tmp_path, project):
        for words in (
            ("show", ""),
            ("kill", "x"),
            ("ready", "-S", ""),
            ("logs", "@", "--task", ""),
            ("no-such-command", ""),
            ("list", "--no-such-option", ""),
            ("-C", "no-such-directory", "show", ""),
        ):
            assert offered(root, *words) == [], words
    git(project, "config", "gitorch.jobs", "many\n")
    (project / ".git/config").write_text("[broken")
    assert offered(project, "show", "") == []


def test_the_directory_of_the_option_is_the_one_that_counts(several: Path) -> None:
    assert offered(several.parent, "-C", "project", "show", "he") == ["held"]


def test_completion_loads_neither_rich_nor_pygit2(several: Path) -> None:
    """Both take longer to import than everything else together."""
    for words in (["show", ""], ["kill", ""], ["re"], ["ready", "-S", ""]):
        program = (
            "import json, sys\nfrom gitorch.__main__ import main\n"
            "try:\n    main()\nexcept SystemExit:\n"
            "    print(json.dumps(sorted(sys.modules)))"
        )
        answer = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=several,
            env={**os.environ, "_GITORCH_COMPLETE": "zsh"},
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(json.loads(answer.stdout.splitlines()[-1]))
        assert not loaded & {"rich", "pygit2", "jsonschema"}, words


# In bash


def in_bash(
    root: Path, line: str, *, source: str = "", function: str = "_gitorch"
) -> list[str]:
    """Return what the script offers in bash for a command line that ends at the cursor."""
    program = (
        f"{source}\n{script('bash')}\n"
        "COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:'\n"
        f'{function}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    result = subprocess.run(
        ["bash", "--norc", "-c", program, "bash", line],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.splitlines()


def test_bash_replaces_what_it_regards_as_the_last_word(several: Path) -> None:
    assert in_bash(several, "gitorch show sw") == ["sweep"]
    assert in_bash(several, "gitorch show sweep") == [
        "sweep",
        r"sweep\ lr=0.2",
        r"sweep\ lr=0.1",
    ]
    assert in_bash(several, r"gitorch show sweep\ lr=0.1") == ["0.1"]
    assert in_bash(several, "gitorch show 'sweep lr=0.1") == ["sweep lr=0.1"]
    assert in_bash(several, "gitorch kill --status=W") == ["WAITING"]
    assert in_bash(several, "gitorch ready -S mo") == ["model.depth="]
    assert in_bash(several, "git orch show sw") == ["sweep"]
    assert in_bash(several, "git -C . orch re")[0] == "ready"


@pytest.mark.skipif(
    not GIT_COMPLETION.exists(), reason="git's completion is needed"
)
def test_bash_completes_git_orch(several: Path) -> None:
    calls = (
        f"source {GIT_COMPLETION}\nCOMP_WORDS=(git orch show sw); COMP_CWORD=3\n"
    )
    offers = in_bash(
        several, "git orch show sw", source=calls, function="__git_wrap__git_main"
    )
    assert offers == ["sweep"]


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_a_key_completes_the_line_in_the_shell_itself(
    several: Path, tmp_path: Path, name: str
) -> None:
    if shutil.which(name) is None or not GIT_COMPLETION.exists():
        pytest.skip(f"{name} and the completion of git are needed")
    path = tmp_path / f"completion.{name}"
    path.write_text(script(name))
    program, load = {
        "bash": (["bash", "--norc", "-i"], f". {GIT_COMPLETION}"),
        "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit && compinit -D -u"),
    }[name]
    seen = on_terminal(
        several,
        program=program,
        columns=200,
        env={"HOME": str(tmp_path)},
        answers=[
            ("", f"PS1='> '; {load}; . {path}; echo re''ady\n"),
            ("ready", "gitorch show he\t"),
            ("held", "\x15git orch release he\t"),
            ("release held", "\x15exit\n"),
        ],
    )
    assert "gitorch show held" in seen.text
    assert "git orch release held" in seen.text


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is needed")
def test_fish_completes_gitorch_and_git_orch(several: Path, tmp_path: Path) -> None:
    path = tmp_path / "completion.fish"
    path.write_text(script("fish"))
    for line in ("gitorch show he", "git orch show he"):
        offers = subprocess.run(
            ["fish", "--no-config", "-c", f"source {path}; complete -C {line!r}"],
            cwd=several,
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert offers.stdout == "held\tthe latest of this name\n"


# Installed


@pytest.mark.parametrize("name", SHELLS)
def test_installing_adds_one_line_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {
        "HOME": str(home),
        "SHELL": f"/bin/{name}",
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
    }
    startup = home / f".{name}rc"
    startup.write_text("alias ll='ls -l'")
    for _ in range(2):
        said = gitorch(tmp_path, "--install-completion", env=env).stderr
        assert said.endswith(f"It works in a new {name}\n")
    assert "zstyle" not in script(name)
    if name == "fish":
        assert startup.read_text() == "alias ll='ls -l'"
        assert (home / "config/fish/conf.d/gitorch.fish").read_text() == script(
            name
        )
    else:
        path = home / f"data/gitorch/completion.{name}"
        assert path.read_text() == script(name)
        line = f"[ -r {path} ] && . {path}"
        assert startup.read_text() == f"alias ll='ls -l'\n{line}\n"
    assert gitorch(tmp_path, "--show-completion", env=env).stdout == script(name)


def test_installing_makes_the_directory_of_the_startup_file(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    env = {"HOME": str(home), "SHELL": "/bin/bash", "XDG_DATA_HOME": ""}
    gitorch(tmp_path, "--install-completion", env=env)
    assert "completion.bash" in (home / ".bashrc").read_text()


def test_an_unknown_shell_is_an_error(tmp_path: Path) -> None:
    said = gitorch(
        tmp_path, "--install-completion", env={"SHELL": "/bin/ksh"}, code=2
    )
    assert said.stderr.startswith(
        "error: there is no completion for the shell 'ksh'"
    )

"""What gitorch inherits from its caller neither hangs nor ends a command, nor reaches a task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

# Starts gitorch in a process whose state was changed by the code before it.
LAUNCH = """
import ctypes, os, resource, signal, sys
{change}
os.execve(sys.executable, [sys.executable, "-m", "gitorch", *sys.argv[1:]], {env})
"""
TASK = (
    "umask; ulimit -n; grep -E 'Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd | wc -l; "
    "env -0 | tr '\\\\0' '\\\\n'"
)


@pytest.fixture
def project_with_task(project: Path) -> Path:
    config = f'tasks: [{{id: a, command: "{TASK}"}}]\n'
    commit_files(project, {"experiments/e.yaml": config})
    return project


def launched(
    project: Path, *arguments: str, change: str = "", env: str = "os.environ"
) -> subprocess.CompletedProcess[str]:
    script = LAUNCH.format(change=change, env=env)
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


CHANGES = {
    "signals are blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "SIGCHLD and others are ignored": (
        "for n in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGALRM, signal.SIGTSTP):"
        " signal.signal(n, signal.SIG_IGN)"
    ),
    "few files may be open": (
        "resource.setrlimit(resource.RLIMIT_NOFILE,"
        " (16, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))"
    ),
    "files may not grow": (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (512, resource.RLIM_INFINITY))"
    ),
    "new files belong to nobody": "os.umask(0o777)",
    "the streams are closed": "[os.close(n) for n in (0, 1, 2)]",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_state_of_the_process(project_with_task: Path, change: str) -> None:
    project = project_with_task
    done = launched(project, "run", "experiments", change=change)
    assert done.returncode == 0, done.stderr
    lines = gitorch(project, "logs", "@").stdout.splitlines()
    assert lines[0] != "0777"
    assert int(lines[1]) >= 1024
    assert lines[2].split()[1] == "0" * 16
    ignored = int(lines[3].split()[1], 16)
    assert ignored & 0x7FFFFFFF == 0
    assert gitorch_json(project, "status")["workers"] == []


@pytest.mark.parametrize("umask", ["0022", "0027", "0000"])
def test_a_task_has_the_umask_of_the_caller(
    project_with_task: Path, umask: str
) -> None:
    change = f"os.umask(0o{umask})"
    done = launched(project_with_task, "run", "experiments", change=change)
    assert done.returncode == 0, done.stderr
    assert gitorch(project_with_task, "logs", "@").stdout.startswith(f"{umask}\n")


def test_an_unusable_umask_is_repaired_for_the_owner(
    project_with_task: Path,
) -> None:
    launched(project_with_task, "run", "experiments", change="os.umask(0o777)")
    assert gitorch(project_with_task, "logs", "@").stdout.startswith("0077\n")


@pytest.mark.parametrize(("words", "code"), [(["list"], 0), (["show", "none"], 3)])
def test_a_program_that_python_would_inspect_ends(
    project: Path, words: list[str], code: int
) -> None:
    env = "{**os.environ, 'PYTHONINSPECT': '1'}"
    done = launched(project, *words, "--json", env=env)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    json.loads(done.stdout)


def test_variables_do_not_reach_a_task(
    project_with_task: Path, tmp_path: Path
) -> None:
    project = project_with_task
    startup = write(tmp_path, "startup", "exit 7\n")
    names = {
        "BASH_ENV": startup,
        "CDPATH": "/",
        "ENV": startup,
        "GIT_DIR": tmp_path,
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_ICASE_PATHSPECS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_PAGER": "false",
        "GIT_TRACE": "1",
        "GIT_TRACE2": "1",
        "PYTHONINSPECT": "1",
        "PYTHONOPTIMIZE": "2",
        "PYTHONSTARTUP": startup,
        "PYTHONWARNINGS": "error",
        "TMPDIR": "/nowhere",
    }
    odd = {name: str(value) for name, value in names.items()}
    env = f"{{**os.environ, **{odd!r}}}"
    for arguments in (["ready"], ["list"], ["status"], ["doctor"], ["run"]):
        done = launched(project, *arguments, env=env)
        assert done.returncode == 0, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    lines = gitorch(project, "logs", "@").stdout.splitlines()
    given = {line.partition("=")[0] for line in lines}
    assert given.isdisjoint(names)


# The entries of the environment are passed as they are: without "=", without a name, twice, not
# UTF-8, and very long.
ODD_ENTRIES = """
entries = [k + b"=" + v for k, v in os.environb.items()]
entries += [b"NO_VALUE", b"=no name", b"TWICE=1", b"TWICE=2"]
entries += [b"L\\xe9=\\xff", b"LONG=" + b"x" * 100000]
argv = [os.fsencode(a) for a in [sys.executable, "-m", "gitorch", *sys.argv[1:]]]
array = lambda items: (ctypes.c_char_p * (len(items) + 1))(*items, None)
ctypes.CDLL(None).execve(argv[0], array(argv), array(entries))
"""


def test_odd_entries_of_the_environment(project_with_task: Path) -> None:
    project = project_with_task
    done = launched(project, "run", "experiments", change=ODD_ENTRIES)
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "gitorch", "logs", "@"]
    # The log is not UTF-8.
    log = subprocess.run(
        command, cwd=project, capture_output=True, check=True
    ).stdout
    assert b"LONG=xxx" in log
    assert b"\n=no name" not in log


def test_a_working_directory_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = launched(gone, "list", change=f"os.rmdir({str(gone)!r})")
    assert done.returncode == 3
    assert "cd to your project" in done.stderr


@pytest.mark.parametrize("name", ["GIT_LITERAL_PATHSPECS", "GIT_NOGLOB_PATHSPECS"])
def test_pathspec_variables_change_no_result(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config = 'tasks: [{id: a, command: "echo 2 > code.txt"}]\n'
    commit_files(project, {"code.txt": "1\n", "experiments/e.yaml": config})
    monkeypatch.setenv(name, "1")
    gitorch(project, "run", "experiments")
    [task] = gitorch_json(project, "show", "@")["run"]["tasks"]
    assert task["attempts"][0]["modified"] == ["code.txt"]
    commit_files(project, {"added.txt": "1\n"})
    write(project, "note.txt", "untracked\n")
    gitorch(project, "revert", "@", "--detach")
    assert not (project / "added.txt").exists()


def test_without_home_and_path(project_with_task: Path) -> None:
    project = project_with_task
    kept = {
        name: os.environ[name] for name in os.environ if name.startswith("GIT_")
    }
    done = launched(project, "run", "experiments", env=repr(kept))
    assert done.returncode == 0, done.stderr


def test_gitorch_works_within_a_task(project: Path) -> None:
    config = """
        gitorch: {python: PYTHON}
        tasks:
          - {id: of_class, method: T}
          - id: of_command
            command: >-
              gitorch list --json > {outputDir}/list;
              python -m gitorch list --json > {outputDir}/module;
              python -c 'import gitorch; gitorch.metric("n", len(gitorch.runs()))';
              python -S -c 'import gitorch; gitorch.metric("of_standin", 1)'
    """
    config = config.replace("PYTHON", sys.executable)
    tasks = """
        import gitorch

        class T(gitorch.TaskBase):
            def run(self):
                gitorch.metric("m", 1)
                return [run["status"] for run in gitorch.runs()]
    """
    write(project, "Tasks.py", tasks)
    write(project, "experiments/e.yaml", config)
    commit_files(project, {})
    gitorch(project, "run", "experiments")
    record = gitorch_json(project, "show", "@")["run"]
    assert record["status"] == "COMPLETE"
    assert record["tasks"][0]["result"] == ["RUNNING"]
    assert record["metrics"] == {"m": 1, "n": 1, "of_standin": 1}
    path = f"runs/{record['id'][:2]}/{record['id']}/outputs"
    for name in ("list", "module"):
        listed = json.loads(git(project, "show", f"gitorch/results:{path}/{name}"))
        assert [run["id"] for run in listed["runs"]] == [record["id"]]

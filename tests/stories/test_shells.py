"""A command fails if one of its lines or a part of a pipe fails, and the record names its shell."""

from __future__ import annotations

import json
import shutil
import textwrap
from pathlib import Path

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

STRICT = ["bash", "-eo", "pipefail", "-c"]


def config(project: Path, name: str, command: str, **settings: object) -> None:
    task = {"id": "t", "command": command, "gitorch": settings}
    write(project, f"experiments/{name}.yaml", json.dumps({"tasks": [task]}))


def statuses(project: Path) -> dict[str, str]:
    runs = gitorch_json(project, "list")["runs"]
    return {run["name"]: run["status"] for run in runs}


def shell_of(project: Path, name: str) -> object:
    run = gitorch_json(project, "show", name)["run"]
    return run["spec"]["tasks"][0].get("shell")


def path_without_bash(directory: Path) -> str:
    """Return a PATH with everything that is needed except bash."""
    directory.mkdir()
    for name in ("sh", "git", "true", "false", "cat", "tee"):
        program = shutil.which(name)
        assert program is not None
        (directory / name).symlink_to(program)
    return str(directory)


def test_a_failure_in_any_line_or_part_of_a_pipe_fails_the_task(
    project: Path,
) -> None:
    config(project, "pipe", "false | cat")
    config(project, "line", "false\ntrue")
    config(project, "function", "f() { false; true; }\nf")
    config(
        project, "tested", "if false; then true; fi; false || true; ! true | false"
    )
    config(project, "assigned", "x=$(false); true")
    config(project, "cut", "yes | head -1")
    config(project, "sh", "false | cat; false; true", shell="sh")
    config(project, "lax", "set +e; false | cat; true")
    run = gitorch(project, "run", "experiments", code=1)
    assert (
        "exit code 141: a program wrote to a pipe whose reader had ended"
        in run.stderr
    )
    assert statuses(project) == {
        "pipe": "ERROR",
        "cut": "ERROR",
        "line": "ERROR",
        "function": "ERROR",
        "tested": "COMPLETE",
        "assigned": "ERROR",
        "sh": "COMPLETE",
        "lax": "COMPLETE",
    }
    assert shell_of(project, "pipe") == STRICT
    assert shell_of(project, "sh") == ["sh", "-c"]


def test_without_bash_a_failing_line_fails_the_task(
    project: Path, tmp_path: Path
) -> None:
    """What was readied with bash says that it is missing. An unchanged config is not run again."""
    path = path_without_bash(tmp_path / "bin")
    config(project, "first", "true")
    gitorch(project, "ready")
    gitorch(project, "run", env={"PATH": path}, code=1)
    outcome = gitorch_json(project, "show", "first")["run"]["tasks"][0]["attempts"][
        0
    ]
    assert outcome["outcome"] == {
        "kind": "could-not-start",
        "message": "bash: no such program on PATH",
    }
    config(project, "line", "false\ntrue")
    readied = json.loads(
        gitorch(project, "ready", "--json", env={"PATH": path}).stdout
    )
    assert [run["name"] for run in readied["queued"]] == ["line"]
    assert [run["name"] for run in readied["skipped"]] == ["first"]
    gitorch(project, "run", env={"PATH": path}, code=1)
    assert statuses(project)["line"] == "ERROR"
    assert shell_of(project, "line") == ["sh", "-ec"]


def test_a_record_without_a_shell_runs_again_as_it_ran(project: Path) -> None:
    """Records did not name the shell once. It was `sh -c`."""
    config(project, "a", "false\necho again $0 > {outputDir}/shell")
    gitorch(project, "run", "experiments", code=1)
    run_id = gitorch_json(project, "list")["runs"][0]["id"]
    path = f"runs/{run_id[:2]}/{run_id}/record.json"
    record = json.loads(git(project, "show", f"gitorch/results:{path}"))
    del record["spec"]["tasks"][0]["shell"]
    tree = project.parent / "results"
    git(project, "worktree", "add", "-q", str(tree), "gitorch/results")
    (tree / path).write_text(json.dumps(record))
    git(tree, "commit", "-qam", "as it was written earlier")
    git(project, "worktree", "remove", "--force", str(tree))
    (project / ".git/gitorch/queue.db").unlink()
    new = gitorch(project, "rerun", run_id).stdout.strip()
    assert gitorch_json(project, "show", new)["run"]["status"] == "COMPLETE"
    assert (
        "shell" not in gitorch_json(project, "show", new)["run"]["spec"]["tasks"][0]
    )


def test_the_reason_of_a_failure_is_what_states_it(project: Path) -> None:
    """Neither a note that follows it nor what a class task prints at its end."""
    tasks = """
        import atexit
        atexit.register(print, "Error: printed at the end")
        class Stops:
            def __init__(self, config): pass
            def run(self):
                raise KeyError("rate")
        class Leaves(Stops):
            def run(self):
                import ctypes
                ctypes.CDLL(None).exit(0)
        class Several(Stops):
            async def run(self):
                return {"loss": 0.5}
        """
    commit_files(project, {"Tasks.py": textwrap.dedent(tasks)})
    for name in ("Stops", "Leaves", "Several"):
        written = {"tasks": [{"id": "t", "method": name}]}
        write(project, f"experiments/{name}.yaml", json.dumps(written))
    config(
        project, "R", "echo 'Error in f(1) : no z'; echo 'Execution halted'; exit 1"
    )
    config(project, "typo", "trian.py | tee log")
    gitorch(project, "run", "experiments", code=1)
    reasons = {}
    for name in ("Stops", "Leaves", "R", "typo"):
        run = gitorch_json(project, "show", name)["run"]
        reasons[name] = run["tasks"][0]["attempts"][-1]["outcome"]["message"]
    assert reasons == {
        "Stops": "KeyError: 'rate'",
        "Leaves": "the program ended before run() returned",
        "R": "Error in f(1) : no z",
        "typo": "bash: line 1: trian.py: command not found",
    }
    assert gitorch_json(project, "show", "Several")["run"]["metrics"] == {
        "loss": 0.5
    }

"""`python: uv`: a run gets the environment that the lock in its commit describes."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from tests.conftest import commit_files, git, gitorch, gitorch_json, started, write
from tests.locked_project import (
    CONFIG,
    TASKS,
    environments,
    hash_of,
    lock,
    locked,
    served,
    uv,
)

__all__ = ["locked"]  # a fixture


def results(root: Path) -> list[dict[str, str]]:
    """Return the results of the runs, oldest first."""
    found = []
    for run in reversed(gitorch_json(root, "list")["runs"]):
        record = gitorch_json(root, "show", run["id"])["run"]
        found.append(record["tasks"][0]["result"])
    return found


def last(root: Path) -> dict[str, Any]:
    """Return the record of the latest run."""
    record: dict[str, Any] = gitorch_json(root, "show", "@")["run"]
    return record


def test_two_commits_run_side_by_side_each_with_its_own_version(
    locked: Path,
) -> None:
    gitorch(locked, "ready")
    lock(locked, "2.0")
    commit_files(locked, {"src/mine/__init__.py": "VERSION = 'second'\n"})
    gitorch(locked, "ready")
    (locked / "src/mine/__init__.py").write_text("VERSION = 'not committed'\n")
    gitorch(locked, "run", "-j", "2")

    assert results(locked) == [
        {"dep": "1.0", "mine": "committed"},
        {"dep": "2.0", "mine": "second"},
    ]
    assert len(environments(locked)) == 2
    record = last(locked)
    assert record["spec"]["python"] == "uv"
    assert record["environment"]["packages"] == {"dep": "2.0"}
    assert Path(record["interpreter"]).is_relative_to(
        environments(locked)[0].parent
    )


def test_all_runs_with_a_lock_share_an_environment_that_is_linked_from_the_cache(
    locked: Path,
) -> None:
    first = gitorch(locked, "ready", "-S", "seed=1,2,3")
    assert first.stderr.count("building the environment of uv.lock with uv") == 1
    (environment,) = environments(locked)
    (module,) = environment.glob("venv/lib/python3*/site-packages/dep.py")
    assert module.stat().st_nlink > 1
    commit_files(locked, {"README.md": "The lock is the same.\n"})
    second = gitorch(locked, "ready", "-S", "seed=1,2,3")
    assert "building" not in second.stderr
    assert environments(locked) == [environment]
    interpreters = set()
    for run in gitorch_json(locked, "list")["runs"]:
        record = gitorch_json(locked, "show", run["id"])["run"]
        interpreters.add(record["interpreter"])
    assert interpreters == {str(environment / "venv/bin/python")}


def test_a_lock_that_cannot_be_satisfied_fails_at_ready(locked: Path) -> None:
    git(locked, "rm", "-q", "wheels/dep-1.0-py3-none-any.whl")
    git(locked, "commit", "-qm", "the wheel is gone")
    write(locked, "experiments/other.yaml", "tasks: [{id: t, command: 'true'}]\n")
    answer = gitorch_json(locked, "ready", code=1)
    (problem,) = answer["problems"]
    assert (
        "uv cannot build the environment of uv.lock:\nerror: " in problem["message"]
    )
    assert "dep-1.0-py3-none-any.whl" in problem["message"]
    assert (problem["line"], problem["column"]) == (1, 19)
    assert [run["name"] for run in answer["queued"]] == ["other"]
    assert environments(locked) == [], "nothing half-built stays"


def test_a_lock_that_is_not_committed_is_not_used(locked: Path) -> None:
    git(locked, "rm", "-q", "--cached", "uv.lock")
    git(locked, "commit", "-qm", "no lock")
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    commit = git(locked, "rev-parse", "HEAD")[:12]
    assert problem["message"] == (
        f"commit {commit} has no lock for `python: uv` (looked for uv.lock, pylock.toml, "
        "and a requirements*.txt in which every line has a hash)"
    )
    assert problem["hint"] == "uv lock makes a uv.lock; commit it"
    write(locked, "experiments/say.yaml", CONFIG.replace("uv}", "uv sub/uv.lock}"))
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    assert problem["message"] == f"there is no file sub/uv.lock in commit {commit}"


def test_other_locks_and_the_order_in_which_they_are_looked_for(
    locked: Path,
) -> None:
    """The projects in the repository are named in both, as `uv export` writes them."""
    wheel = locked / "wheels/dep-2.0-py3-none-any.whl"
    requirements = (
        "--no-index\n--find-links wheels\n-e .\ndep==2.0 \\\n  --hash=sha256:{}\n"
    )
    pylock = uv(
        locked, "export", "-q", "--frozen", "--offline", "--format", "pylock.toml"
    )
    assert 'directory = { path = "."' in pylock
    git(locked, "rm", "-q", "uv.lock")
    commit_files(
        locked,
        {
            "requirements-dev.txt": "pytest\n",
            "requirements.txt": requirements.format(hash_of(wheel)),
        },
    )
    gitorch(locked, "run", "experiments")
    commit_files(locked, {"pylock.toml": pylock})
    gitorch(locked, "run", "experiments")
    assert results(locked) == [
        {"dep": "2.0", "mine": "committed"},
        {"dep": "1.0", "mine": "committed"},
    ]

    git(locked, "rm", "-q", "pylock.toml")
    without_project = requirements.format(hash_of(wheel)).replace("-e .\n", "")
    commit_files(locked, {"requirements.txt": without_project})
    gitorch(locked, "run", "experiments")
    assert results(locked)[2] == {"dep": "2.0", "mine": "committed"}
    commit_files(locked, {"Tasks.py": "import nowhere\n" + TASKS})
    missing = gitorch(locked, "run", "experiments", code=1).stderr
    assert "the environment of a lock, which has no nowhere: add it" in missing

    commit_files(locked, {"requirements.txt": "dep==2.0\n"})
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    assert "requirements.txt:1: 'dep==2.0' has no hash" in problem["message"]
    assert "requirements-dev.txt:1: 'pytest' has no hash" in problem["message"]
    commit_files(locked, {"requirements.txt": requirements.format("0" * 64)})
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    assert "Hash mismatch for `dep==2.0`" in problem["message"]


def test_members_of_the_workspace_come_from_the_worktree(locked: Path) -> None:
    """A package outside the repository is refused: no commit says which code it is."""
    text = (locked / "pyproject.toml").read_text()
    text = text.replace('"dep==1.0"', '"dep==1.0", "member"')
    text += "[tool.uv.sources]\nmember = {workspace = true}\n"
    text += '[tool.uv.workspace]\nmembers = ["packages/*"]\n'
    about = '[project]\nname = "member"\nversion = "1"\n'
    write(locked, "pyproject.toml", text)
    write(locked, "packages/member/pyproject.toml", about)
    write(locked, "packages/member/src/member.py", "VERSION = 'member'\n")
    uv(locked, "lock", "--offline")
    tasks = (locked / "Tasks.py").read_text()
    commit_files(
        locked, {"Tasks.py": tasks.replace("import mine", "import member as mine")}
    )
    gitorch(locked, "run", "experiments")
    assert results(locked) == [{"dep": "1.0", "mine": "member"}]

    write(
        locked.parent, "outside/pyproject.toml", about.replace("member", "outside")
    )
    text = text.replace('"member"]', '"member", "outside"]')
    text = text.replace("sources]\n", "sources]\noutside = {path = '../outside'}\n")
    write(locked, "pyproject.toml", text)
    uv(locked, "lock", "--offline")
    git(locked, "commit", "-qam", "outside")
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    assert problem["message"] == (
        "uv.lock takes outside from ../outside, which is not in the repository, "
        "so no commit says which code that is"
    )


def test_without_a_network_the_cache_is_enough(locked: Path) -> None:
    wheel = "dep-1.0-py3-none-any.whl"
    write(locked, f"wheels/dep/{wheel}", "")
    page = f'<a href="/{wheel}#sha256={hash_of(locked / "wheels" / wheel)}">{wheel}</a>'
    write(locked, "wheels/dep/index.html", page)
    with served(locked / "wheels") as address:
        lock(locked, "1.0", index=f'index-url = "{address}"')
        git(locked, "commit", "-qam", "an index on the network")
        gitorch(locked, "ready")
    shutil.rmtree(environments(locked)[0].parent)
    gitorch(locked, "run")
    assert results(locked) == [{"dep": "1.0", "mine": "committed"}]

    shutil.rmtree(environments(locked)[0].parent)
    shutil.rmtree(locked.parent / "cache")
    (problem,) = gitorch_json(locked, "ready", "--again", code=1)["problems"]
    assert f"{address}/{wheel}" in problem["message"]
    assert "Connection refused" in problem["message"]


def test_collect_keeps_an_environment_as_long_as_a_live_run_needs_it(
    locked: Path,
) -> None:
    gitorch(locked, "ready")
    (environment,) = environments(locked)
    assert gitorch_json(locked, "collect")["removed"] == []
    # What a run needs is built again if it is gone.
    shutil.rmtree(environment)
    gitorch(locked, "run")
    assert environments(locked) == [environment]
    planned = gitorch_json(locked, "collect", "--dry-run")
    assert planned["removed"] == [
        {
            "path": str(environment),
            "run": None,
            "why": "no live run needs this environment",
        }
    ]
    gitorch(locked, "doctor")
    gitorch(locked, "collect")
    assert environments(locked) == []
    # `rerun` takes the environment of the lock, too.
    gitorch(locked, "rerun", "@")
    assert results(locked) == [{"dep": "1.0", "mine": "committed"}] * 2
    assert environments(locked) == [environment]


def test_retry_at_a_commit_with_another_lock_builds_its_environment(
    locked: Path,
) -> None:
    tasks = (locked / "Tasks.py").read_text()
    failing = tasks.replace("return {", "assert dep.VERSION > '1'; return {")
    commit_files(locked, {"Tasks.py": failing.replace("> '1'", "> '1.0'")})
    gitorch(locked, "run", "experiments", code=1)
    lock(locked, "2.0")
    git(locked, "commit", "-qam", "another version")
    gitorch(locked, "retry", "@", "--at", "HEAD")
    old = environments(locked)
    assert len(old) == 2
    assert last(locked)["interpreter"].startswith(tuple(map(str, old)))
    removed = gitorch_json(locked, "collect")["removed"]
    assert [Path(leftover["path"]) in old for leftover in removed] == [True]
    gitorch(locked, "run")
    assert last(locked)["tasks"][0]["result"] == {"dep": "2.0", "mine": "committed"}
    assert last(locked)["interpreter"].startswith(str(environments(locked)[0]))


def test_the_setting_is_that_of_configs_that_name_no_python(locked: Path) -> None:
    write(
        locked,
        "experiments/say.yaml",
        CONFIG.replace("gitorch: {python: uv}\n", ""),
    )
    git(locked, "config", "gitorch.python", "uv")
    gitorch(locked, "run", "experiments")
    git(locked, "config", "--unset", "gitorch.python")
    assert last(locked)["spec"]["python"] == "uv"
    gitorch(locked, "rerun", "@")
    assert results(locked) == [{"dep": "1.0", "mine": "committed"}] * 2
    git(locked, "config", "gitorch.python", "uv --dev")
    (problem,) = gitorch_json(locked, "ready", "--again", code=1)["problems"]
    assert problem["message"].startswith(
        "python: 'uv --dev' has --dev, which is none of"
    )


def test_a_lock_is_part_of_the_code_that_a_config_names(locked: Path) -> None:
    write(
        locked,
        "experiments/say.yaml",
        "gitorch: {python: uv, code: [Tasks.py, src]}\ntasks: [{id: say, method: Say}]\n",
    )
    gitorch(locked, "ready")
    commit_files(locked, {"README.md": "changed\n"})
    assert gitorch_json(locked, "ready")["queued"] == []
    lock(locked, "2.0")
    git(locked, "commit", "-qam", "another version")
    assert len(gitorch_json(locked, "ready")["queued"]) == 1


def test_the_pin_says_which_python(locked: Path) -> None:
    commit_files(locked, {".python-version": "3.99\n"})
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    assert "No interpreter found for Python 3.99" in problem["message"]
    assert problem["hint"].startswith("install it")
    text = (locked / "uv.lock").read_text()
    git(locked, "rm", "-q", ".python-version")
    commit_files(locked, {"uv.lock": text.replace(">=3.9", ">=3.99")})
    (problem,) = gitorch_json(locked, "ready", code=1)["problems"]
    assert "No interpreter found for Python >=3.99" in problem["message"]


# ---- crashes, and two at once


def uninstalled(tmp_path: Path, script: str = "") -> dict[str, str]:
    """Return an environment without the package uv, and with `script` as `uv` on PATH."""
    write(tmp_path, "hidden/uv.py", "raise ImportError\n")
    path = "/usr/bin:/bin"
    if script:
        program = write(tmp_path, "programs/uv", f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        path = f"{program.parent}:{path}"
    return {"PYTHONPATH": str(tmp_path / "hidden"), "PATH": path}


def test_a_build_that_was_killed_is_never_used(
    locked: Path, tmp_path: Path
) -> None:
    """The script makes half of the environment with the real uv, and kills gitorch."""
    real = find_uv_bin()
    script = (
        f'if [ -e {tmp_path}/killed ]; then exec {real} "$@"; fi\n'
        f"touch {tmp_path}/killed\n"
        f'{real} venv -q "$UV_PROJECT_ENVIRONMENT"\nkill -9 $PPID'
    )
    env = uninstalled(tmp_path, script)
    gitorch(locked, "ready", env=env, code=-signal.SIGKILL)
    (environment,) = environments(locked)
    assert (environment / "venv/bin/python").exists()
    (planned,) = [
        leftover
        for leftover in gitorch_json(locked, "collect", "--dry-run")["removed"]
        if leftover["path"] == str(environment)
    ]
    assert planned["why"] == "an environment whose build was killed"
    gitorch(locked, "ready", env=env)
    assert environments(locked) == [environment]
    gitorch(locked, "run")
    assert results(locked) == [{"dep": "1.0", "mine": "committed"}]


def test_two_at_once_build_an_environment_once(locked: Path) -> None:
    processes = [started(locked, "ready", "--again") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert "".join(said).count("building the environment") == 1
    assert len(environments(locked)) == 1


# ---- programs that are missing, and conda


def test_without_uv_it_is_said_what_to_install(
    locked: Path, tmp_path: Path
) -> None:
    answer = gitorch(locked, "ready", env=uninstalled(tmp_path), code=69)
    assert (
        "`python: uv` needs the program uv, which is not installed" in answer.stderr
    )
    assert "pip install '.[uv]'" in answer.stderr


CONDA = "gitorch: {conda: environment.yml}\ntasks:\n  - {id: say, method: Say}\n"


def test_without_conda_its_environment_is_refused(project: Path) -> None:
    commit_files(project, {"environment.yml": "dependencies: [python]\n"})
    write(project, "experiments/say.yaml", CONDA)
    answer = gitorch(project, "ready", env={"PATH": "/usr/bin:/bin"}, code=69)
    assert (
        "`conda:` needs one of micromamba, mamba, conda, and none of them is on PATH"
        in answer.stderr
    )
    write(project, "experiments/say.yaml", CONDA.replace("{", "{python: uv, ", 1))
    (problem,) = gitorch_json(project, "ready", code=1)["problems"]
    assert problem["message"] == "'conda' and 'python' each choose an interpreter"


@pytest.mark.parametrize(
    ("name", "verb"), [("micromamba", "create"), ("conda", "env create")]
)
def test_an_environment_of_conda_is_built_by_the_program_on_path(
    project: Path, tmp_path: Path, name: str, verb: str
) -> None:
    """No channel of conda can be reached here.

    A stand-in for the program makes a real virtual environment at the prefix that it is given, so
    this shows the command, and that the environment is used; not that conda accepts the file.
    """
    program = write(
        tmp_path,
        f"programs/{name}",
        f"""\
        #!/bin/sh
        echo "$@" >> {tmp_path}/commands
        while [ "$1" != --prefix ]; do shift; done
        grep -q python "$4" && exec python3 -m venv --without-pip "$2"
        """,
    )
    program.chmod(0o755)
    path = f"{program.parent}:/usr/bin:/bin"
    commit_files(
        project,
        {
            "environment.yml": "dependencies: [python]\n",
            "Tasks.py": "import sys\nclass Say:\n    def __init__(self, config): pass\n"
            "    def run(self): return sys.prefix\n",
        },
    )
    write(project, "experiments/say.yaml", CONDA)
    gitorch(project, "run", "experiments", env={"PATH": path})
    (environment,) = environments(project)
    assert last(project)["tasks"][0]["result"] == str(environment / "venv")
    assert last(project)["spec"]["python"] == "conda environment.yml"
    command = (tmp_path / "commands").read_text()
    assert command.startswith(f"{verb} --prefix {environment}/venv --file ")
    assert command.endswith("/environment.yml\n"), "it was called once"

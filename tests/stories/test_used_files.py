"""The files that a task has used: recorded by its Python, and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TASKS = """
    import json, multiprocessing, os, subprocess, sys
    import helper
    from package import part

    def lines(name):
        with open(name) as file:
            return len(file.readlines())

    class Task:
        def __init__(self, config): self.config = config
        def run(self):
            open("own.txt", "w").write("mine")
            lines("own.txt")
            with open("written.txt", "w"): pass
            os.chdir("settings")
            lines("a.ini")
            os.chdir("..")
            with multiprocessing.get_context("fork").Pool(1) as pool:
                counted = pool.map(lines, ["by-worker.txt"])
            subprocess.run([sys.executable, "script.py"], check=True)
            return lines(self.config["data"]) + lines(self.config["input"])
"""


def test_the_files_that_a_task_reads(project: Path, tmp_path: Path) -> None:
    data = write(tmp_path, "data/x.csv", "1\n2\n")
    declared = write(tmp_path, "data/y.csv", "1\n2\n")
    config = f"""
        outputDir: out
        data: {data}
        input: {declared}
        gitorch: {{inputs: [{declared}]}}
        tasks:
          - {{id: one, method: Task}}
          - {{id: two, command: [python, script.py]}}
          - {{id: three, command: "cat README.md; python script.py"}}
          - {{id: four, command: "cat README.md"}}
    """
    files = {
        "Tasks.py": TASKS,
        "experiments/e.yaml": config,
        "helper.py": "import link",
        "package/__init__.py": "",
        "package/part.py": "",
        "package/other.py": "",
        "script.py": "open('by-script.txt')",
        "real.py": "",
        **dict.fromkeys(
            ("written.txt", "settings/a.ini", "by-worker.txt", "by-script.txt"), ""
        ),
    }
    for name, text in files.items():
        write(project, name, text)
    (project / "link.py").symlink_to("real.py")
    commit_files(project, {}, "the code")
    gitorch(project, "ready", "experiments/e.yaml")
    gitorch(project, "run")
    run = gitorch_json(project, "show", "@")["run"]
    assert _used(project, run["id"], "one") == {
        "schema": "gitorch/used/v1",
        "files": [
            *("Tasks.py", "by-script.txt", "by-worker.txt", "helper.py", "link.py"),
            *("package/__init__.py", "package/part.py", "real.py"),
            *("script.py", "settings/a.ini"),
        ],
        "complete": True,
    }
    of_script = ["by-script.txt", "script.py"]
    assert _used(project, run["id"], "two")["files"] == of_script
    assert _used(project, run["id"], "two")["complete"] is True
    assert _used(project, run["id"], "three")["files"] == of_script
    assert _used(project, run["id"], "three")["complete"] is False
    assert _used(project, run["id"], "four") is None
    read = [task["attempts"][0].get("undeclared") for task in run["tasks"]]
    assert read == [[str(data)], None, None, None]
    shown = gitorch(project, "show", "@").stdout
    assert f"read without being declared\n  {data}  by one\n" in shown


def test_runs_with_the_same_files_share_their_list(project: Path) -> None:
    config = "gitorch: {matrix: {seed: [1, 2]}}\ntasks: [{id: a, method: Task}]"
    write(project, "experiments/e.yaml", config)
    task = "class Task:\n  def __init__(self, c): pass\n  def run(self): pass"
    commit_files(project, {"Tasks.py": task})
    gitorch(project, "run", "experiments")
    listed = git(project, "ls-tree", "-r", "gitorch/results").splitlines()
    lists = [line.split() for line in listed if line.endswith("used.json")]
    assert len(lists) == 2
    assert lists[0][2] == lists[1][2]
    git(project, "config", "gitorch.used", "false")
    gitorch(project, "run", "experiments", "--again")
    listed = git(project, "ls-tree", "-r", "gitorch/results").splitlines()
    assert sum(line.endswith("used.json") for line in listed) == 2


def _used(project: Path, run_id: str, task: str) -> Any:
    path = f"runs/{run_id[:2]}/{run_id}/tasks/{task}/1/used.json"
    names = git(project, "ls-tree", "-r", "--name-only", "gitorch/results")
    if path not in names.split():
        return None
    return json.loads(git(project, "show", f"gitorch/results:{path}"))

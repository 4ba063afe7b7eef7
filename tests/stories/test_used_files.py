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
            lines("\\nodd")
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
        "script.py": "import gitorch; open('by-script.txt')",
        "real.py": "",
        **dict.fromkeys(
            (
                "\nodd",
                "written.txt",
                "settings/a.ini",
                "by-worker.txt",
                "by-script.txt",
            ),
            "",
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
            *("\nodd", "Tasks.py", "by-script.txt", "by-worker.txt"),
            *("helper.py", "link.py"),
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


def test_compare_shows_used_files_first(project: Path) -> None:
    task = """
        import part
        class Task:
            def __init__(self, c): pass
            def run(self): open("z.ini")
    """
    shell = "echo 1; python script.py"
    config = """
        gitorch: {matrix: {seed: [1]}}
        tasks: [{id: a, method: Task}]
    """
    write(project, "experiments/e.yaml", config)
    mixed = f"tasks: [{{id: a, command: '{shell}'}}, {{id: b, method: Task}}]"
    write(project, "experiments/f.yaml", mixed)
    files = ("a.md", "part.py", "script.py", "z.ini")
    for name in ("Tasks.py", *files):
        write(project, name, task if name == "Tasks.py" else "")
    commit_files(project, {}, "one")
    gitorch(project, "run", "experiments")
    for name in files:
        write(project, name, "# changed")
    commit_files(project, {}, "two")
    gitorch(project, "run", "experiments")

    text = gitorch(project, "compare", "e~1", "e").stdout
    assert "code: 4 files changed, 2 used by these runs\n" in text
    changed = gitorch_json(project, "compare", "e~1", "e")["code"]["files"]
    assert [(file["path"], file["used"]) for file in changed] == [
        ("part.py", True),
        ("z.ini", True),
        ("a.md", False),
        ("script.py", False),
    ]
    text = gitorch(project, "compare", "f~1", "f").stdout
    assert "4 files changed, 3 used by these runs, 1 perhaps\n" in text


def test_stale_runs(project: Path) -> None:
    task = """
        class Task:
            def __init__(self, config): self.name = config["reads"]
            def run(self): open(self.name)
    """
    config = """
        gitorch: {matrix: {reads: [a.txt, b.txt]}, cache: true}
        tasks: [{id: one, method: Task}]
    """
    write(project, "experiments/e.yaml", config)
    write(project, "experiments/f.yaml", "tasks: [{id: one, command: 'cat a.txt'}]")
    write(project, "Tasks.py", task)
    commit_files(project, {"a.txt": "", "b.txt": "", "c.txt": ""}, "one")
    gitorch(project, "run", "experiments")
    gitorch(project, "rerun", "e reads=a.txt", "--queue")
    gitorch(project, "run")
    of_a = [
        run["id"]
        for run in gitorch_json(project, "list", "--where", "reads == 'a.txt'")[
            "runs"
        ]
    ]
    [of_f] = [
        run["id"] for run in gitorch_json(project, "list", "--name", "f")["runs"]
    ]
    before = gitorch_json(project, "stale")
    assert (before["runs"], before["unknown"], before["examined"]) == ([], [], 4)

    commit_files(project, {"a.txt": "changed", "c.txt": "changed"}, "two")
    stale = gitorch_json(project, "stale")
    assert [(run["id"], run["files"]) for run in stale["runs"]] == [
        (run_id, ["a.txt"]) for run_id in of_a
    ]
    assert (stale["unknown"], stale["lost"]) == ([of_f], [])
    assert gitorch_json(project, "stale", "HEAD~1")["runs"] == []
    assert gitorch_json(project, "stale", "--name", "f")["examined"] == 1
    done = gitorch(project, "stale")
    assert "a.txt    used by 2 runs\n" in done.stdout
    assert "2 of 4 runs used files that differ in " in done.stderr
    assert "of 1 it is not known" in done.stderr

    write(project, "experiments/f.yaml", "tasks: [{id: two, command: 'cat a.txt'}]")
    write(project, "a.txt", "")
    commit_files(project, {"c.txt": ""}, "only a config is changed")
    assert gitorch_json(project, "stale")["unknown"] == []


def test_ready_says_that_no_task_read_what_has_changed(project: Path) -> None:
    tasks = (
        "class Read:\n"
        "    def __init__(self, config): pass\n"
        "    def run(self): return len(open('data.txt').read())\n"
    )
    files = {"Tasks.py": tasks, "data.txt": "1\n", "notes.md": ""}
    config = "gitorch: {matrix: {seed: [1, 2]}}\ntasks: [{id: t, method: Read}]\n"
    commit_files(project, {**files, "experiments/a.yaml": config})
    gitorch(project, "run", "experiments")
    commit = git(project, "rev-parse", "--short=12", "HEAD")
    commit_files(project, {"README.md": "unrelated\n"})
    said = gitorch(project, "ready", "--dry-run").stderr
    assert said.splitlines()[-1] == (
        f"2 of these ran at {commit}; README.md differs; "
        "no task read it: `code:` says what counts"
    )
    commit_files(project, {"notes.md": "more\n"})
    said = gitorch(project, "ready", "--dry-run").stderr
    assert "README.md, notes.md differ; no task read them: `code:`" in said
    commit_files(project, {"data.txt": "22\n"})
    said = gitorch(project, "ready", "--dry-run").stderr
    assert said.splitlines()[-1] == (
        f"2 of these ran at {commit}; data.txt differs, and 2 unused files"
    )
    [anew] = gitorch_json(project, "ready", "--dry-run")["made_anew"]
    assert anew["files"] == ["README.md", "data.txt", "notes.md"]
    assert anew["used"] == ["data.txt"]


def test_the_directory_of_many_files_that_were_not_declared(
    project: Path, tmp_path: Path
) -> None:
    data = tmp_path / "elsewhere"
    for number in range(12):
        write(data, f"{number}.csv", "1\n")
    script = f"import glob\nfor name in glob.glob('{data}/*'): open(name).read()\n"
    config = "tasks: [{id: t, command: python read.py}]\n"
    commit_files(project, {"read.py": script, "experiments/a.yaml": config})
    gitorch(project, "run", "experiments")
    shown = gitorch(project, "show", "@").stdout
    assert f"read without being declared\n  {data}/  by t\n" in shown
    [task] = gitorch_json(project, "show", "@")["run"]["tasks"]
    assert task["attempts"][0]["undeclared"] == [f"{data}/"]

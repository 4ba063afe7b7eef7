"""`compare` with `--paths`, `--outputs`, `--logs` and `--html`."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.conftest import commit_files, gitorch, gitorch_json, write
from tests.stories.test_environment_differs import virtual_environment

CONFIG = """
lr: {lr}
tasks:
  - {{id: t, command: "cat src/a.py; cp src/a.py {{outputDir}}/a.txt; cp README.md {{outputDir}}"}}
"""


def two_runs(root: Path) -> None:
    """Run a config, change code and config, and run it again."""
    commit_files(
        root,
        {
            "experiments/a.yaml": CONFIG.format(lr=0.1),
            "src/a.py": "one\n",
            "src/deep/b.py": "one\n",
        },
    )
    gitorch(root, "run", "experiments")
    commit_files(root, {"src/a.py": "<b>two</b>\n"})
    commit_files(root, {"src/deep/b.py": "two\n", "README.md": "changed\n"})
    write(root, "experiments/a.yaml", CONFIG.format(lr=0.2))
    gitorch(root, "run", "experiments")


def test_paths_limit_the_code_and_the_outputs(project: Path) -> None:
    two_runs(project)
    everything = gitorch_json(project, "compare", "@~1", "@")
    assert len(everything["code"]["files"]) == 3
    assert everything["outputs"]["changed"] == ["README.md", "a.txt"]
    for globs, files, commits in (
        (["src"], ["src/a.py", "src/deep/b.py"], 2),
        (["src/*.py"], ["src/a.py"], 1),
        (["s*"], ["src/a.py", "src/deep/b.py"], 2),
        (["**/b.py", "README.md"], ["README.md", "src/deep/b.py"], 1),
        (["."], ["README.md", "src/a.py", "src/deep/b.py"], 2),
        (["nothing"], [], 0),
    ):
        options = [word for glob in globs for word in ("--paths", glob)]
        found = gitorch_json(project, "compare", "@~1", "@", *options)["code"]
        assert [file["path"] for file in found["files"]] == files, globs
        assert len(found["commits"]) == commits, globs
    limited = gitorch_json(project, "compare", "@~1", "@", "--paths", "a.*")
    assert limited["outputs"]["changed"] == ["a.txt"]
    diff = gitorch(project, "compare", "@~1", "@", "--code", "--paths", "src/deep")
    assert "+two" in diff.stdout
    assert "a.py" not in diff.stdout
    refused = gitorch(project, "compare", "@~1", "@", "--paths", "[z-a]", code=2)
    assert "'[z-a]' is not a glob" in refused.stderr


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_page_has_all_differences_and_needs_nothing_else(project: Path) -> None:
    two_runs(project)
    file = project.parent / "page.html"
    gitorch(project, "compare", "@~1", "@", "--html", file)
    page = Page(file.read_text())
    for part in (
        "src/deep/b.py",
        "lr",
        "0.1",
        "0.2",
        "diff of the log of t",
        "+<b>two</b>",
        "a.txt",
    ):
        assert part in page.text, part
    assert not page.tags & {"b", "script", "link", "img", "iframe"}
    assert not re.search(r"(src|href)\s*=|url\(|@import", file.read_text())
    unwritable = project.parent / "absent" / "page.html"
    refused = gitorch(project, "compare", "@~1", "@", "--html", unwritable, code=4)
    assert f"{unwritable} cannot be written" in refused.stderr


PROGRAM = """
import json, pathlib, sys, time
out, run = pathlib.Path(sys.argv[1]), int(pathlib.Path("run.txt").read_text())
json.dump({"loss": [0.5, 0.25 * run], "name": "x"}, (out / "m.json").open("w"))
(out / "notes.txt").write_text("first\\nrun %d\\n" % run)
(out / "same.json").write_text('{"a":  1}' if run == 1 else '{"a": 1}')
print("took", time.time(), "s in", out)
print("loss", 0.25 * run)
"""


def test_outputs_are_compared_by_value_and_logs_without_times(
    project: Path,
) -> None:
    commit_files(
        project,
        {
            "train.py": PROGRAM,
            "run.txt": "1",
            "experiments/a.yaml": "tasks: [{id: t, command: 'python3 train.py {outputDir}'}]\n",
        },
    )
    gitorch(project, "run", "experiments")
    gitorch(project, "rerun", "@")
    commit_files(project, {"run.txt": "2"})
    gitorch(project, "run", "experiments")
    outputs = gitorch(project, "compare", "@~1", "@", "--outputs").stdout
    assert "m.json\n  loss[1]: 0.25 -> 0.5\n" in outputs
    assert "notes.txt\n" in outputs
    assert "-run 1\n+run 2\n" in outputs
    assert "same.json\n  the same values\n" in outputs
    logs = gitorch(project, "compare", "@~1", "@", "--logs").stdout
    assert "task t: the logs differ" in logs
    assert "-loss 0.25\n+loss 0.5\n" in logs
    assert "-took" not in logs
    repeated = gitorch(project, "compare", "@~2", "@~1", "--logs").stdout
    assert repeated == "task t: the same log, except for times, paths and ids\n"


def test_packages_and_the_machine_are_compared_apart(project: Path) -> None:
    commit_files(
        project, {"experiments/a.yaml": "tasks: [{id: t, command: python -V}]\n"}
    )
    place = project.parent / "place"
    site = virtual_environment(place, numpy="1.26.4", scipy="1.11.0")
    env = {"VIRTUAL_ENV": str(place)}
    gitorch(project, "run", "experiments", env=env)
    (site / "numpy-1.26.4.dist-info").rename(site / "numpy-2.0.1.dist-info")
    (site / "scipy-1.11.0.dist-info").rename(site / "torch-2.4.dist-info")
    script = '#!/bin/sh\ntest "$1" = -q && echo "CUDA Version : 12.2" || echo "H200, 550.54"\n'
    program = write(project.parent, "bin/nvidia-smi", script)
    program.chmod(0o755)
    env["PATH"] = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    env["OMP_NUM_THREADS"] = "2"
    gitorch(project, "rerun", "@", env=env)
    gitorch(project, "rerun", "@", env=env)

    shown = gitorch(project, "compare", "@~2", "@", "--environment").stdout
    _, _, sections = shown.partition("\nenvironment")
    assert [line.split() for line in sections.splitlines()] == [
        ["A", "B"],
        ["variables.OMP_NUM_THREADS", "-", "2"],
        ["packages.numpy", "1.26.4", "2.0.1"],
        ["packages.torch", "-", "2.4"],
        ["packages.scipy", "1.11.0", "-"],
        ["packages:", "1", "changed,", "1", "added,", "1", "removed"],
        [],
        ["machine", "A", "B"],
        ["gpus", "[]", "[H200,", "550.54]"],
        ["cuda", "-", "12.2"],
    ]
    three = gitorch(project, "compare", "@~2", "@~1", "@").stdout
    assert re.search(r"cuda +- +12\.2 +12\.2\n", three)
    compared = gitorch_json(project, "compare", "@~2", "@")
    assert compared["environment"]["packages"] == {
        "changed": ["numpy"],
        "added": ["torch"],
        "removed": ["scipy"],
    }
    assert compared["machine"] == {
        "same": False,
        "changed": {"gpus": [[], ["H200, 550.54"]], "cuda": [None, "12.2"]},
    }
    gitorch(project, "compare", "@~2", "@", "--html", "page.html")
    page = (project / "page.html").read_text()
    assert "<h2>machine</h2>" in page
    assert '<td class="value">12.2</td>' in page

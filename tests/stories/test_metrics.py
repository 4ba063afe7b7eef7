"""Metrics are read where programs put them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import commit_files, gitorch, gitorch_json, write
from tests.event_file import event_file, scalar

# Writes a table and event files into a dated directory, as Hydra and Lightning do.
HYDRA_LIKE = """
import os, shutil
out = os.environ["GITORCH_OUTPUT_DIR"] + "/2026-01-02/12-00-" + os.environ["GITORCH_ATTEMPT"]
os.makedirs(out)
with open(out + "/metrics.csv", "w") as file:
    file.write("epoch,val_loss,lr\\n0,,0.1\\n1,0.5,0.1\\n2,,0.05\\n")
shutil.copy("events", out + "/events.out.tfevents.1.host")
os.makedirs("mine", exist_ok=True)
open("mine/scores.json", "w").write('{"test": {"f1": 0.75}, "acc": 0.1}')
os.makedirs("dvclive/plots/metrics/eval")
open("dvclive/metrics.json", "w").write('{"eval": {"map": 0.25}, "step": 4}')
with open("dvclive/plots/metrics/eval/map.tsv", "w") as file:
    file.write("timestamp\\tstep\\teval/map\\n1\\t4\\t0.25\\n")
print("epoch 1 loss: 0.25.\\repoch 2 loss: 0.125.")
"""
ROOT = Path(__file__).parents[2]
SCORE = """
class Score:
    def __init__(self, config):
        pass
    def run(self):
        return 0.9
"""
HOSTILE = """
import json, os, sys
os.chdir(os.environ["GITORCH_OUTPUT_DIR"])
os.mkfifo("pipe.csv")
os.mkdir("directory.json")
os.symlink(sys.argv[1], "link.csv")
os.symlink("loop.csv", "loop.csv")
open("a.csv", "w").write("good\\n1e999\\n")
open("long.csv", "w").write("1" * 200_000 + ",b\\n1,2\\n")
open("many.json", "w").write(json.dumps({f"n{n}": n for n in range(2000)}))
open("events.out.tfevents.1", "wb").write(bytes(1000))
for name in ("big.csv", "big.json"):
    open(name, "w").write("big\\n2\\n")
    os.truncate(os.open(name, os.O_CREAT | os.O_WRONLY), 1 << 30)
"""


def notes(run: dict[str, Any]) -> list[list[str]]:
    """Return the notes of the last attempt of each task."""
    return [task["attempts"][-1]["notes"] for task in run["tasks"]]


def test_tables_event_files_logs_and_results(project: Path) -> None:
    events = event_file(scalar("train/loss", 0.5, 1), scalar("train/loss", 0.3, 2))
    files = {"train.py": HYDRA_LIKE, "events": events, "Tasks.py": SCORE}
    commit_files(project, files)
    write(
        project,
        "experiments/a.yaml",
        r"""
        tasks:
          - id: train
            command: python3 train.py
            gitorch:
              outputs: [mine/*, dvclive]
              metrics:
                - "*/*/*tfevents*"
                - mine/*.json
                - {csv: "**/metrics.csv", step: epoch}
                - {dvclive: dvclive}
                - {log: 'epoch (?P<step>\d+) loss: (?P<loss>[\d.]+)'}
          - {id: acc, method: Score}
        """,
    )
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "a")["run"]
    assert run["metrics"] == {
        "train/loss": 0.3,
        "test.f1": 0.75,
        "acc": 0.9,
        "val_loss": 0.5,
        "lr": 0.05,
        "eval.map": 0.25,
        "step": 4,
        "loss": 0.125,
    }
    assert notes(run) == [[], []]
    shown = gitorch(project, "show", "a").stdout
    assert "results\n  acc  0.9\n" in shown
    assert "val_loss" in gitorch(project, "list", "--csv").stdout


def test_a_retry_reads_what_it_has_written_itself(project: Path) -> None:
    commit_files(project, {"README.md": "b"})
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {metrics: {csv: "**/m.csv"}}
        tasks:
          - id: train
            command: >-
              mkdir {outputDir}/v$((9 - GITORCH_ATTEMPT));
              printf 'loss\\n'$GITORCH_ATTEMPT'\\n' > {outputDir}/v$((9 - GITORCH_ATTEMPT))/m.csv;
              test $GITORCH_ATTEMPT = 2
          - {id: report, command: "true"}
        """,
    )
    gitorch(project, "run", "experiments", code=1)
    gitorch(project, "retry", "a")
    gitorch(project, "run")
    run = gitorch_json(project, "show", "a")["run"]
    assert run["tasks"][0]["metrics"] == {"loss": 2}


def test_what_is_declared_and_missing_is_said(project: Path) -> None:
    """A default of all tasks is missing only if no later task can write it."""
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch: {metrics: [m.csv, {log: "x=(?P<x>.+)"}], code: [README.md]}
        tasks:
          - {id: prepare, command: "true"}
          - {id: train, command: "echo x=1; echo 'a' > {outputDir}/none"}
          - {id: report, command: "true", gitorch: {metrics: {log: "y=(?P<y>.+)"}}}
        """,
    )
    worked = gitorch(project, "run", "experiments")
    said = ["metrics: there is no file m.csv"]
    at_end = ["metrics: no line of the log matches y=(?P<y>.+)"]
    run = gitorch_json(project, "show", "a")["run"]
    assert notes(run) == [[], said, at_end]
    assert run["metrics"] == {"x": 1}
    for note in (*said, *at_end):
        assert f"  note: {note}\n" in worked.stderr
        assert note in gitorch(project, "show", "a").stdout


def test_a_declared_file_without_a_number_is_said(project: Path) -> None:
    """A decimal comma is text, as is a number in quotes in JSON."""
    files: dict[str, str | bytes] = {
        "comma.csv": "epoch;acc\none;0,5\n",
        "header.csv": "epoch,acc\n",
        "text.json": '{"acc": "0.5", "list": [1]}',
        "good.csv": "epoch;acc\n1;0.5\n",
    }
    commit_files(project, files)
    names = ", ".join(files)
    task = f'{{id: t, command: "cp *.csv *.json {{output}}", gitorch: {{metrics: [{names}]}}}}'
    write(project, "experiments/a.yaml", f"tasks: [{task}]\n")
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "a")["run"]
    assert run["metrics"] == {"epoch": 1, "acc": 0.5}
    [said] = notes(run)
    assert said == [
        f"metrics: {name} has no number"
        for name in ("comma.csv", "header.csv", "text.json")
    ]


def test_files_that_are_no_files_with_metrics(
    project: Path, tmp_path: Path
) -> None:
    """Links out of the run, pipes, damaged and huge files only cost their own metrics."""
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    commit_files(project, {"hostile.py": HOSTILE})
    write(
        project,
        "experiments/a.yaml",
        f"""
        gitorch: {{metrics: ["*.csv", "*tfevents*", "*.json"], discard: ["*"]}}
        tasks: [{{id: h, command: "python3 hostile.py {tmp_path}/secret.csv"}}]
        """,
    )
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "a")["run"]
    assert run["status"] == "COMPLETE"
    assert run["metrics"]["good"] is None
    assert "secret" not in run["metrics"]
    assert len(run["metrics"]) == 1000
    [said] = notes(run)
    text = "\n".join(said)
    for part in (
        "link.csv is not read: a link that leads out of",
        "pipe.csv is not read: not a file, but a named pipe",
        "loop.csv is not read:",
        "big.csv: only its last 8 MiB are read",
        "big.json is not read: it has 1024.0 MiB",
        "events.out.tfevents.1: it is damaged at byte 0",
        "values of metrics are left out",
    ):
        assert part in text


def test_a_config_that_declares_metrics_wrongly(project: Path) -> None:
    write(
        project,
        "experiments/a.yaml",
        """
        gitorch:
          metrics:
            - ../out.json
            - {cvs: a.csv}
            - {csv: a.csv, log: "(?P<a>.)"}
            - {json: a.json, step: epoch}
            - {log: "loss (.*)"}
            - {log: "("}
            - 3
        tasks: [{id: t, command: "true", gitorch: {metrics: {csv: 3}}}]
        """,
    )
    problems = gitorch_json(project, "check", code=1)["problems"]
    assert [(problem["line"], problem["message"]) for problem in problems] == [
        (3, "'../out.json' leads outside by '..'"),
        (4, "unknown key 'cvs' under 'metrics', did you mean 'csv'?"),
        (
            5,
            "an entry of 'metrics' has one of the keys json, csv, tensorboard, dvclive, log",
        ),
        (6, "'step' names a column of a CSV file, and this is 'json'"),
        (7, "'log' has no named group, and a group's name is the metric's name"),
        (
            8,
            "'log' is not a regular expression of Python: "
            "missing ), unterminated subpattern at position 0",
        ),
        (
            9,
            "'metrics[6]' must be text or a mapping of keys to values, not a number",
        ),
        (10, "'csv' must be text, not a number"),
    ]


def test_the_config_of_the_readme_reads_what_a_program_writes(
    project: Path,
) -> None:
    program = HYDRA_LIKE
    for made, wanted in (("mine", "scores"), ("dvclive", "dvclive")):
        program += f'os.rename("{made}", f"{{out}}/../../{wanted}")\n'
    events = event_file(scalar("train/loss", 0.3, 2))
    commit_files(project, {"train.py": program, "events": events})
    _, _, example = (ROOT / "README.md").read_text().partition("_measured.yaml\n")
    write(project, "experiments/a.yaml", example.partition("```")[0])
    gitorch(project, "run", "experiments")
    run = gitorch_json(project, "show", "a")["run"]
    expected = {
        "train/loss",
        "test.f1",
        "acc",
        "val_loss",
        "lr",
        "eval.map",
        "loss",
    }
    assert expected < set(run["metrics"])
    assert notes(run) == [[]]


def test_event_files_of_the_same_name_are_told_apart(project: Path) -> None:
    """Keras writes the same names for training and validation, each into a directory."""
    files: dict[str, str | bytes] = {}
    for directory, loss in (("train", 0.25), ("validation", 0.5)):
        files[f"logs/{directory}/events.out.tfevents.1.host"] = event_file(
            scalar("epoch_loss", loss, 1), scalar(f"only_{directory}", 1.0, 1)
        )
    files["logs/train/events.out.tfevents.2.host"] = event_file(
        scalar("epoch_loss", 0.125, 2)
    )
    commit_files(project, files)
    config = """
        gitorch: {metrics: ["**/*tfevents*"]}
        tasks: [{id: a, command: "cp -r logs {outputDir}/logs"}]
        """
    write(project, "experiments/a.yaml", config)
    gitorch(project, "run", "experiments")
    assert gitorch_json(project, "show", "@")["run"]["metrics"] == {
        "train/epoch_loss": 0.125,
        "only_train": 1.0,
        "validation/epoch_loss": 0.5,
        "only_validation": 1.0,
    }

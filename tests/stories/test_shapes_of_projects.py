"""Projects as people have them, each from `check` to `rerun --verify`, with small stand-ins."""

from __future__ import annotations

import json
import shutil
import venv
from pathlib import Path
from typing import Any

from tests.conftest import commit_files, git, gitorch, gitorch_json, write
from tests.event_file import event_file, scalar

ARGPARSE = r"""
import argparse, sys

parser = argparse.ArgumentParser()
parser.add_argument("--work-dir", required=True)
parser.add_argument("--learning-rate", type=float, default=0.01)
parser.add_argument("--max-steps", type=int)
parser.add_argument("--layers", type=int, nargs="+")
parser.add_argument("--amp", action="store_true")
parser.add_argument("--resume", action="store_true")
args = parser.parse_args()
loss = 1.0
for step in range(1, args.max_steps + 1):
    loss *= 1 - args.learning_rate
    sys.stderr.write(f"\r{step}/{args.max_steps} [{'#' * step:<4}] loss={loss:.4f}")
print(f"\nstep {step} | loss {loss:.4f} | amp {args.amp} | layers {args.layers}")
open(args.work_dir + "/model.txt", "w").write(f"{loss}\n")
"""
HYDRA = r"""
import os, shutil, sys, time

config = dict(word.split("=", 1) for word in sys.argv[1:])
run = config.pop("hydra.run.dir") + time.strftime("/%Y-%m-%d/%H-%M-%S")
os.makedirs(run + "/.hydra")
open(run + "/.hydra/overrides.yaml", "w").write("".join(map("- {}\n".format, sys.argv[1:])))
lr = float(config["optimizer.lr"])
with open(run + "/metrics.csv", "w") as file:
    print("epoch,val_loss", *(f"{n},{lr / n}" for n in range(1, int(config["epochs"]) + 1)),
          sep="\n", file=file)
shutil.copy("events", run + "/events.out.tfevents.1.host")
"""
CONFIGURATOR = """
import sys
from ast import literal_eval

for arg in sys.argv[1:]:
    if "=" not in arg:
        exec(open(arg).read())
        continue
    key, val = arg.removeprefix("--").split("=", 1)
    if key not in globals():
        raise ValueError(f"Unknown config key: {key}")
    try:
        attempt = literal_eval(val)
    except (SyntaxError, ValueError):
        attempt = val
    assert type(attempt) == type(globals()[key]), key
    globals()[key] = attempt
"""
EXECUTED = """
out_dir = "out"
max_iters = 600
learning_rate = 6e-4
decay_lr = True
betas = [0.9, 0.95]
exec(open("configurator.py").read())
for iteration in range(max_iters):
    loss = 4.0 - learning_rate * iteration - decay_lr
    print(f"iter {iteration}: loss {loss:.4f}, time 5.00ms")
open(out_dir + "/ckpt.txt", "w").write(f"{loss} {betas}\\n")
"""
FIT = """
#!/bin/sh
# Written as an R script's stand-in: fit.sh DATA DEGREE OUT
set -eu
awk -F, -v degree="$2" \\
    'NR > 1 { sum += $2 ^ degree } END { print sum / (NR - 1) }' "$1" > "$3/fit.txt"
printf '{"fit": {"error": %s}}\\n' "$(cat "$3/fit.txt")" > "$3/scores.json"
"""
SIMULATION = """
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words) {
    double x = atof(words[1]);
    printf("energy: %g\\n", SCALE * x * x);
    return 0;
}
"""
COMPILER = """
#!/bin/sh
# A stand-in for a compiler: compile.sh -D SCALE=n -o PROGRAM SOURCE
printf '#!/bin/sh\\necho "energy: $((%s * $1 * $1))"\\n' "${2#*=}" > "$4"
chmod +x "$4"
"""
PAPERMILL = """
import json, sys

_, given, made, *words = sys.argv
params = {}
while words:
    match words:
        case ["-f", file, *words]:
            params |= json.load(open(file))
        case ["-p", key, value, *words]:
            params[key] = json.loads(value)
notebook = json.load(open(given))
source = "".join(f"{key} = {value!r}\\n" for key, value in params.items())
injected = {"tags": ["injected-parameters"]}
notebook["cells"].insert(1, {"cell_type": "code", "metadata": injected, "source": source})
names = {}
for cell in notebook["cells"]:
    exec(cell["source"], names)
json.dump(notebook, open(made, "w"))
"""


def runs_of(project: Path) -> list[dict[str, Any]]:
    """Return the rows of `list`, the first that was readied first."""
    runs: list[dict[str, Any]] = gitorch_json(project, "list")["runs"]
    return runs[::-1]


def metrics_of(project: Path) -> list[Any]:
    return [run["metrics"] for run in runs_of(project)]


def check_ready_and_run(project: Path, count: int) -> None:
    """Do what a user does with a new config, without a warning on the way."""
    git(project, "add", "-A")
    git(project, "commit", "-qm", "an experiment")
    checked = gitorch(project, "check")
    assert checked.stderr.endswith("Checked 1 config: no problems\n")
    readied = gitorch(project, "ready")
    assert f"Queued {count} runs" in readied.stderr
    ran = gitorch(project, "run", "-j", "2")
    assert ran.stderr.endswith(f"{count} runs: {count} COMPLETE\n")
    for text in (checked.stderr, readied.stderr, ran.stderr):
        assert "warning" not in text
        assert "hint" not in text
    assert gitorch_json(project, "ready")["queued"] == []


def same_again(project: Path, name: str = "@") -> None:
    verdict = gitorch(project, "rerun", name, "--verify").stderr
    assert (
        "identical: all metrics, outputs, results and logs are the same" in verdict
    )


def test_a_script_with_argparse_and_a_progress_bar(project: Path) -> None:
    commit_files(project, {"train.py": ARGPARSE})
    write(
        project,
        "experiments/train.yaml",
        r"""
        learning_rate: 0.1
        max_steps: 4
        layers: [8, 4]
        amp: false
        resume: false
        gitorch:
          flags: {bool: switch, dash: true}
          metrics: {log: 'step (?P<step>\d+) \| loss (?P<loss>[\d.]+)'}
          zip: {learning_rate: [0.1, 0.5], amp: [true, false]}
        tasks:
          - {id: train, command: "python3 train.py --work-dir {output} {flags}"}
        """,
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"loss": 0.6561}, {"loss": 0.0625}]
    listed = gitorch(project, "list").stdout.splitlines()
    assert listed[0].split()[3:6] == ["learning_rate", "amp", "loss"]
    log = gitorch(project, "logs", "train learning_rate=0.1 amp=true").stdout
    assert log == (
        "4/4 [####] loss=0.6561\nstep 4 | loss 0.6561 | amp True | layers [8, 4]\n"
    )
    compared = gitorch(project, "compare", "@~1", "@").stdout
    _, _, differences = compared.partition("\n\n")
    assert (
        differences
        == """\
config           A     B
  learning_rate  0.1   0.5
  amp            true  false

metrics  A       B       change
  loss   0.6561  0.0625  -0.5936, -90.5%

outputs
  changed  model.txt

the same: code, environment
not recorded: data
"""
    )
    same_again(project)


def test_a_program_like_hydra_with_a_dated_directory(project: Path) -> None:
    events = event_file(scalar("train/acc", 0.5, 1), scalar("train/acc", 0.75, 2))
    commit_files(project, {"main.py": HYDRA, "events": events})
    write(
        project,
        "experiments/hydra.yaml",
        """
        optimizer: {lr: 0.1, name: adam}
        epochs: 2
        gitorch:
          metrics:
            - "**/events.out.tfevents.*"
            - {csv: "**/metrics.csv", step: epoch}
          volatile: ["2*/**"]
          matrix: {optimizer.lr: [0.5, 0.25]}
        tasks:
          - {id: main, command: "python3 main.py {overrides} hydra.run.dir={output}"}
        """,
    )
    check_ready_and_run(project, 2)
    expected = [{"train/acc": 0.75, "val_loss": loss} for loss in (0.25, 0.125)]
    assert metrics_of(project) == expected
    listed = gitorch(project, "list", "--sort", "val_loss").stdout.splitlines()
    assert listed[0].split()[3:6] == ["optimizer.lr", "val_loss", "created"]
    assert listed[1].split()[3:5] == ["0.25", "0.125"]
    same_again(project)
    (table,) = gitorch_json(project, "outputs", "@", "**/*.csv")["outputs"]
    assert table["path"].endswith("/metrics.csv")
    compared = gitorch(project, "compare", "@~1", "@").stdout.splitlines()
    assert compared[-3] == "the same: code, config, environment, metrics"
    assert compared[-1].startswith("not compared, since volatile: 2")


def test_a_script_whose_config_is_executed(project: Path) -> None:
    small = "max_iters = 3\nlearning_rate = 1e-3\n"
    commit_files(
        project,
        {
            "train.py": EXECUTED,
            "configurator.py": CONFIGURATOR,
            "config/small.py": small,
        },
    )
    write(
        project,
        "experiments/gpt.yaml",
        r"""
        learning_rate: 0.1
        decay_lr: true
        betas: [0.9, 0.99]
        gitorch:
          flags: {equals: true, bool: python}
          metrics: {log: 'iter (?P<step>\d+): loss (?P<loss>[\d.]+)'}
          zip: {learning_rate: [1e-2, 0.1], decay_lr: [true, false]}
        tasks:
          - {id: train, command: "python3 train.py config/small.py --out_dir={output} {flags}"}
        """,
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"loss": 2.98}, {"loss": 3.8}]
    assert gitorch(project, "cat", "@", "ckpt.txt").stdout == "3.8 [0.9, 0.99]\n"
    same_again(project)


def test_a_pipeline_of_shell_scripts(project: Path) -> None:
    commit_files(
        project, {"data/points.csv": "x,y\n1,2\n2,4\n", "fit.sh": FIT.lstrip()}
    )
    write(
        project,
        "experiments/pipeline.yaml",
        """
        degree: 1
        gitorch:
          inputs: [data/points.csv]
          environment: ["awk -W version 2>&1 | head -n 1 || true"]
          metrics: scores.json
          matrix: {degree: "range(1, 3)"}
        tasks:
          - {id: clean, command: "sort -u data/points.csv | grep -v '^$' > {output}/clean.csv"}
          - {id: fit, command: "sh fit.sh {output}/clean.csv {degree} {output}"}
          - {id: report, command: "sed 's/^/error: /' {output}/fit.txt | tee {output}/report.txt"}
        """,
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"fit.error": 2}, {"fit.error": 8}]
    compared = gitorch(project, "compare", "@~1", "@").stdout
    assert compared.endswith("\n\nthe same: code, environment, data\n")
    assert gitorch(project, "cat", "@", "report.txt").stdout == "error: 8\n"
    same_again(project)


def test_a_program_that_is_compiled_once(project: Path) -> None:
    """Each run has the build as a task; the cache has one build for all of them."""
    compiler = "cc" if shutil.which("cc") else "sh compile.sh"
    commit_files(
        project, {"src/sim.c": SIMULATION, "compile.sh": COMPILER.lstrip()}
    )
    write(
        project,
        "experiments/sim.yaml",
        f"""
        x: 1
        gitorch:
          matrix: {{x: [1, 2]}}
        tasks:
          - id: build
            command: {compiler} -D SCALE=2 -o {{output}}/sim src/sim.c
            gitorch: {{cache: {{params: [], code: [src, compile.sh]}}}}
          - id: simulate
            command: "{{output}}/sim {{x}}"
            gitorch: {{metrics: {{log: 'energy: (?P<energy>.+)'}}}}
        """,
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"energy": 2}, {"energy": 8}]
    reused = []
    for run in runs_of(project):
        tasks = gitorch_json(project, "show", run["id"])["run"]["tasks"]
        reused.append(bool(tasks[0]["cache"]["from"]))
    assert sorted(reused) == [False, True]
    compared = gitorch_json(project, "compare", "@~1", "@")
    assert compared["outputs"]["same"]
    same_again(project)


def test_a_notebook_with_parameters(project: Path) -> None:
    cells = [
        {
            "cell_type": "code",
            "metadata": {"tags": ["parameters"]},
            "source": "alpha = 1\n",
        },
        {
            "cell_type": "code",
            "metadata": {},
            "source": "import json\n"
            "json.dump({'score': alpha * 2, 'n': len(sizes)}, open(out + '/scores.json', 'w'))\n",
        },
    ]
    notebook = json.dumps(
        {"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}
    )
    commit_files(project, {"analysis.ipynb": notebook, "papermill.py": PAPERMILL})
    write(
        project,
        "experiments/notebook.yaml",
        """
        alpha: 1
        sizes: [1, 2]
        gitorch:
          metrics: scores.json
          matrix: {alpha: [1, 5]}
        tasks:
          - id: execute
            command: >-
              python3 papermill.py analysis.ipynb {output}/analysis.ipynb -f $GITORCH_PARAMS
              -p out '"../output"'
        """,
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"score": 2, "n": 2}, {"score": 10, "n": 2}]
    same_again(project)


def install_editable(project: Path) -> None:
    """Make `.venv` and write the files that `pip install -e .` writes there, and `_version.py`."""
    environment = project / ".venv"
    venv.create(environment, with_pip=False, symlinks=True)
    (site,) = environment.glob("lib/python*/site-packages")
    info = "science-1.0.dist-info"
    write(site, "__editable__.science-1.0.pth", f"{project / 'src'}\n")
    write(
        site,
        f"{info}/METADATA",
        "Metadata-Version: 2.1\nName: science\nVersion: 1.0\n",
    )
    write(site, f"{info}/RECORD", "")
    origin = {"dir_info": {"editable": True}, "url": project.as_uri()}
    write(site, f"{info}/direct_url.json", json.dumps(origin))
    write(project, "src/science/_version.py", "version = '1.0'\n")


def test_an_installed_package_with_a_generated_module(project: Path) -> None:
    """The first failure names the generated module. The pinned code runs, not the edited code."""
    code = "from science._version import version\n\ndef fit(width):\n    return width * 2\n"
    main = "import sys\nfrom science import fit\nprint('score =', fit(int(sys.argv[-1])))\n"
    files = {"src/science/__init__.py": code, "src/science/__main__.py": main}
    commit_files(project, {**files, ".gitignore": ".venv\n_version.py\n"})
    install_editable(project)
    config = """
        width: 1
        gitorch:
          {}metrics: {{log: 'score = (?P<score>.+)'}}
          matrix: {{width: [1, 2]}}
        tasks:
          - {{id: fit, command: "python -m science {{flags}}"}}
        """
    write(project, "experiments/fit.yaml", config.format(""))
    commit_files(project, {})
    failed = gitorch(project, "run", "experiments/fit.yaml", code=1).stderr
    assert "gitorch: {link: [src/science/_version.py]} makes it" in failed
    gitorch(project, "kill", "--status", "ERROR", "--yes")

    write(
        project,
        "experiments/fit.yaml",
        config.format("link: [src/science/_version.py]\n          "),
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"score": 2}, {"score": 4}]
    write(project, "src/science/__init__.py", code.replace("2", "3"))
    same_again(project)


def test_ignored_data_beside_a_tracked_gitkeep(project: Path) -> None:
    ignored = "/data/*\n!/data/.gitkeep\n"
    commit_files(project, {".gitignore": ignored, "data/.gitkeep": ""})
    write(project, "data/train.txt", "1\n2\n")
    write(project, "data/raw/test.txt", "3\n")
    write(
        project,
        "experiments/data.yaml",
        """
        take: 1
        train: data/train.txt
        gitorch:
          inputs: [data]
          metrics: {log: 'total (?P<total>.+)'}
          matrix: {take: [1, 2]}
        tasks:
          - id: sum
            command: |
              head -n {take} {train} | cat - data/raw/*.txt | paste -sd+ > {output}/sum.txt
              echo total $(($(cat {output}/sum.txt)))
        """,
    )
    check_ready_and_run(project, 2)
    assert metrics_of(project) == [{"total": 4}, {"total": 6}]
    same_again(project)

    write(project, "data/train.txt", "5\n2\n")
    gitorch(project, "run", "experiments/data.yaml", "-S", "take=1")
    runs = runs_of(project)
    assert runs[-1]["metrics"] == {"total": 8}
    compared = gitorch_json(project, "compare", runs[0]["id"], runs[-1]["id"])
    assert compared["data"]["changed"].keys() == {"data/train.txt"}
    assert compared["code"]["same"]
    assert compared["config"]["same"]

"""The commands of Slurm and their answers, as text."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gitorch.engines.contract import Order
from gitorch.engines.slurm.tables import (
    Answer,
    Job,
    JobState,
    parse_limits,
    parse_sbatch,
    parse_squeue,
    request_of,
    sbatch_command,
    scancel_commands,
    script,
)
from gitorch.model.run.spec import Resources


def an_order(**fields: object) -> Order:
    plain = Order("t", Path("/d"), ("true",), Path("/"), {}, engine="slurm")
    return plain._replace(**fields)  # type: ignore[arg-type]


def test_resources_and_the_time_limit_become_the_request() -> None:
    resources = Resources(cpus=1.5, gpus=2, memory_bytes=3 << 30)
    order = an_order(resources=resources, timeout_s=3600.0)
    command = sbatch_command(request_of(order), "gitorch-1", 20, "20 tasks")
    assert command == [
        "sbatch",
        "--parsable",
        "--kill-on-invalid-dep=yes",
        "--job-name=gitorch-1",
        "--comment=20 tasks",
        "--no-requeue",
        "--open-mode=append",
        "--export=ALL",
        "--output=/dev/null",
        "--signal=B:USR1@60",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=2",
        "--gres=gpu:2",
        "--mem=3072M",
        "--time=63",
        "--array=0-19",
    ]


def test_options_of_the_site_are_passed_on_and_replace_the_defaults() -> None:
    options = {
        "partition": ["gpu", "long"],
        "nodes": 2,
        "exclusive": True,
        "gres": "gpu:a100:1",
        "requeue": True,
        "signal": "B:USR1@300",
        "setup": ["module load cuda"],
    }
    request = request_of(an_order(options=options, resources=Resources(gpus=1)))
    words = set(request.options)
    assert {
        "--partition=gpu,long",
        "--nodes=2",
        "--exclusive",
        "--requeue",
    } <= words
    assert "--gres=gpu:a100:1" in words
    assert not words & {"--gres=gpu:1", "--no-requeue", "--nodes=1"}
    assert request.setup == ("module load cuda",)
    assert request.checkpoint_s == 290


def test_the_script_runs_the_setup_in_the_directory_of_its_index(
    tmp_path: Path,
) -> None:
    directories = [tmp_path / "a", tmp_path / "it's b"]
    for directory in directories:
        directory.mkdir()
    request = request_of(an_order(options={"setup": ["word=set", "echo $word"]}))
    program = ["bash", "-c", 'echo "$word:$1:$2"', "x"]
    text = script(request, [str(one) for one in directories], program)
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_ID": "9"}
    subprocess.run(["bash"], input=text, env=env, text=True, check=True)
    assert (
        directories[1] / "slurm.txt"
    ).read_text() == f"set\n:{directories[1]}:9\n"
    assert not (directories[0] / "slurm.txt").exists()


@pytest.mark.parametrize(
    ("exit_code", "output", "errors", "meaning"),
    [
        (0, "12\n", "", (Answer.SUBMITTED, "12")),
        (0, "12;cluster\n", "", (Answer.SUBMITTED, "12")),
        (1, "12\n", "", (Answer.UNKNOWN, "no answer")),
        (0, "", "", (Answer.UNKNOWN, "no answer")),
        (
            1,
            "",
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller\n",
            (Answer.UNKNOWN, "Unable to contact slurm controller"),
        ),
        (
            1,
            "",
            "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: "
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            (
                Answer.LATER,
                "AssocMaxSubmitJobLimit; Job violates accounting/QOS policy "
                "(job submit limit, user's size and/or time limits)",
            ),
        ),
        (
            1,
            "",
            "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Batch job submission "
            "failed: Job violates accounting/QOS policy (job submit limit, user's size and/or "
            "time limits)",
            (
                Answer.REFUSED,
                "QOSMaxWallDurationPerJobLimit; Job violates accounting/QOS policy "
                "(job submit limit, user's size and/or time limits)",
            ),
        ),
        (
            1,
            "",
            "sbatch: error: invalid partition specified: nope\n",
            (Answer.REFUSED, "invalid partition specified: nope"),
        ),
        (
            255,
            "",
            "sbatch: unrecognized option '--foo'\n",
            (Answer.REFUSED, "unrecognized option '--foo'"),
        ),
    ],
)
def test_the_answer_of_sbatch(
    exit_code: int, output: str, errors: str, meaning: tuple[Answer, str]
) -> None:
    assert parse_sbatch(exit_code, output, errors) == meaning


def a_line(number: str, name: str, state: str, reason: str, nodes: str) -> str:
    return f"{number:40}{name:80}{state:24}{reason:60}{0:<12}{nodes:60}{'0':12}\n"


def test_the_answer_of_squeue() -> None:
    jobs = parse_squeue(
        a_line("12_3", "gitorch-a", "RUNNING", "None", "n1")
        + a_line("13", "gitorch-b", "PENDING", "ReqNodeNotAvail, Reserved", "")
        + a_line("14", "gitorch-c", "SOMETHING_NEW", "None", "")
    )
    assert jobs[0] == Job("12_3", "gitorch-a", "RUNNING", "None", "n1")
    assert [job.array_index for job in jobs] == [3, 0, 0]
    assert [job.meaning for job in jobs] == [
        JobState.RUNNING,
        JobState.WAITING,
        JobState.RUNNING,
    ]
    assert jobs[1].reason == "ReqNodeNotAvail, Reserved"


def test_jobs_are_cancelled_by_number_and_name() -> None:
    running = Job("12_1", "gitorch-a", "RUNNING", "None", "n1")
    waiting = Job("12_2", "gitorch-a", "PENDING", "Resources", "")
    over = Job("12_3", "gitorch-a", "COMPLETED", "None", "n1")
    assert scancel_commands([running, waiting, over], at_once=False) == [
        ["scancel", "--quiet", "--name=gitorch-a", "--state=PENDING", "12_2"],
        [
            "scancel",
            "--quiet",
            "--name=gitorch-a",
            "--batch",
            "--signal=TERM",
            "12_1",
        ],
    ]
    assert scancel_commands([running, over], at_once=True) == [
        ["scancel", "--quiet", "--name=gitorch-a", "12_1"]
    ]


def test_the_limits_of_the_site() -> None:
    configuration = (
        "MaxArraySize            = 101\nMaxJobCount             = 10000\n"
    )
    assert parse_limits(configuration, "\n200\n") == (100, 200)
    assert parse_limits(configuration, "") == (100, 10_000)
    assert parse_limits("", "") == (1000, 10_000)

"""A partial clone (`git clone --filter=blob:none`) fetches files of runs when they are needed."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import commit_files, git, gitorch, write

CONFIG = "tasks: [{id: a, command: 'cat data > {outputDir}/x; echo said'}]\n"
HINT = (
    "hint: this is a partial clone, which fetches files when they are needed: "
    "try again when its remote can be reached (git remote -v)\n"
)


def partial_clone(origin: Path, name: str) -> Path:
    """Clone the repository with its results, but without the contents of files."""
    clone = origin.with_name(name)
    words = [
        "git",
        "clone",
        "-q",
        "--filter=blob:none",
        origin.as_uri(),
        str(clone),
    ]
    subprocess.run(words, check=True)
    references = (
        "gitorch/results:gitorch/results refs/gitorch/pins/*:refs/gitorch/pins/*"
    )
    git(clone, "fetch", "-q", "origin", *references.split())
    return clone


def test_checkout_run_fetches_what_it_needs_or_says_how_to_go_on(
    project: Path,
) -> None:
    git(project, "config", "uploadpack.allowFilter", "true")
    git(project, "config", "uploadpack.allowAnySHA1InWant", "true")
    write(project, "experiments/a.yaml", CONFIG)
    commit_files(project, {"data": "first\n"})
    gitorch(project, "run", "experiments")
    commit_files(project, {"data": "second\n"})

    clone = partial_clone(project, "partial")
    path = Path(gitorch(clone, "checkout-run", "a").stdout.strip())
    assert (path / "data").read_text() == "first\n"
    (kept,) = path.glob("run-*")
    assert (kept / "outputs/x").read_text() == "first\n"
    assert (kept / "logs/a/1.txt").read_text() == "said\n"

    offline = partial_clone(project, "offline")
    away = project.rename(project.with_name("away"))
    # Not even the records were fetched: git itself says on stderr that it cannot.
    assert gitorch(offline, "list", code=1).stderr.endswith(HINT)
    away.rename(project)
    gitorch(offline, "list")
    project.rename(away)
    said = gitorch(offline, "checkout-run", "a", code=1).stderr
    assert "could not fetch" in said
    assert said.endswith(HINT)
    away.rename(project)
    path = Path(gitorch(offline, "checkout-run", "a").stdout.strip())
    (kept,) = path.glob("run-*")
    assert (kept / "outputs/x").read_text() == "first\n"
    assert gitorch(offline, "logs", "a").stdout == "said\n"

"""Submodules and large files that cannot be fetched hold back nothing else."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

CONTENT = "measured\n" * 300
ATTRIBUTES = {".gitattributes": "*.dat filter=lfs diff=lfs merge=lfs -text\n"}
POINTER = "version https://git-lfs.github.com/spec/v1\n"


@pytest.fixture
def project_of_parts(project: Path, tmp_path: Path) -> Path:
    """Return a project with a run, large files, a submodule, and a submodule with a large file."""
    parts = {
        "lib": {"lib.txt": "lib\n"},
        "deep": {"deep.txt": "deep\n", "part.dat": CONTENT, **ATTRIBUTES},
    }
    for name, contents in parts.items():
        part = tmp_path / name
        git(tmp_path, "init", "-q", name)
        if name == "deep":
            git(part, "lfs", "install", "--local")
        commit_files(part, {**contents})
        git(project, "submodule", "add", "-q", str(part), f"vendor/{name}")
    git(project, "lfs", "install", "--local")
    git(project, "config", "gitorch.largeFile", "100")
    command = "cat vendor/lib/lib.txt; seq 99 > {outputDir}/large; echo 1 > {outputDir}/small"
    config = f'tasks:\n  - {{id: t, command: "{command}"}}\n'
    files = {"here.dat": CONTENT, "gone/a b.dat": CONTENT * 2, "code.txt": "1\n"}
    commit_files(project, {"experiments/a.yaml": config, **files, **ATTRIBUTES})
    assert "1 COMPLETE" in gitorch(project, "run", "experiments").stderr
    return project


def hide(project: Path, tmp_path: Path) -> None:
    """Make everything unreachable except the large file here.dat."""
    for part in ("lib", "deep"):
        (tmp_path / part).rename(tmp_path / f"hidden-{part}")
    away = tmp_path / "away"
    away.mkdir()
    for name in ("modules", "lfs", "gitorch/objects"):
        (project / ".git" / name).rename(away / name.replace("/", "-"))
    shutil.rmtree(project / "vendor")
    (project / "vendor/lib").mkdir(parents=True)
    (project / "vendor/deep").mkdir()
    oid = hashlib.sha256(CONTENT.encode()).hexdigest()
    name = Path("objects", oid[:2], oid[2:4], oid)
    (project / ".git/lfs" / name).parent.mkdir(parents=True)
    shutil.copy(away / "lfs" / name, project / ".git/lfs" / name)


def bring_back(project: Path, tmp_path: Path) -> None:
    for part in ("lib", "deep"):
        (tmp_path / f"hidden-{part}").rename(tmp_path / part)
    shutil.rmtree(project / ".git/lfs")
    for name in ("modules", "lfs", "gitorch/objects"):
        shutil.rmtree(project / ".git" / name, ignore_errors=True)
        shutil.copytree(
            tmp_path / "away" / name.replace("/", "-"), project / ".git" / name
        )


def test_checkout_run_delivers_the_rest(
    project_of_parts: Path, tmp_path: Path
) -> None:
    project = project_of_parts
    hide(project, tmp_path)
    result = gitorch(project, "checkout-run", "a")
    tree = Path(result.stdout.strip())
    for missing in ("gone/a b.dat", "vendor/lib", "vendor/deep", "outputs/large"):
        assert f"warning: {missing} is missing: " in result.stderr
    for hint in ("/.git/lfs", "git submodule update --init", "repeated, adds"):
        assert hint in result.stderr
    assert "here.dat" not in result.stderr

    assert (tree / "here.dat").read_text() == CONTENT
    assert (tree / "code.txt").read_text() == "1\n"
    assert (tree / "gone/a b.dat").read_text().startswith(POINTER)
    assert list((tree / "vendor/lib").iterdir()) == []
    assert git(tree, "status", "--porcelain") == ""
    [kept] = tree.glob("run-*")
    assert (kept / "outputs/small").read_text() == "1\n"
    assert (kept / "outputs/large").read_text().startswith(POINTER)
    assert gitorch(project, "checkout-run", "a", "--strict", code=4).stdout == (
        result.stdout
    ), "--strict delivers the same"

    (tree / "code.txt").write_text("mine\n")
    bring_back(project, tmp_path)
    completed = gitorch(project, "checkout-run", "a", "--strict")
    assert "missing" not in completed.stderr
    assert (tree / "gone/a b.dat").read_text() == CONTENT * 2
    assert (tree / "vendor/lib/lib.txt").read_text() == "lib\n"
    assert (tree / "vendor/deep/part.dat").read_text() == CONTENT
    assert (kept / "outputs/large").read_text().startswith("1\n2\n")
    assert (tree / "code.txt").read_text() == "mine\n", "edits stay"


def test_a_large_file_of_a_submodule_alone(
    project_of_parts: Path, tmp_path: Path
) -> None:
    project = project_of_parts
    (tmp_path / "deep/.git/lfs").rename(tmp_path / "away")
    shutil.rmtree(project / ".git/modules/vendor/deep/lfs")
    result = gitorch(project, "checkout-run", "a")
    assert "warning: vendor/deep/part.dat is missing: " in result.stderr
    assert "git submodule foreach --recursive git lfs fetch --all" in result.stderr
    tree = Path(result.stdout.strip())
    assert (tree / "vendor/deep/deep.txt").read_text() == "deep\n"
    assert (tree / "vendor/deep/part.dat").read_text().startswith(POINTER)
    lfs = project / ".git/modules/vendor/deep/lfs"
    shutil.copytree(tmp_path / "away", lfs, dirs_exist_ok=True)
    gitorch(project, "checkout-run", "a", "--strict")
    assert (tree / "vendor/deep/part.dat").read_text() == CONTENT


@pytest.mark.parametrize(
    ("options", "recurse"),
    [((), "true"), (("--files",), "false")],
)
def test_revert_delivers_the_rest(
    project_of_parts: Path, tmp_path: Path, options: tuple[str, ...], recurse: str
) -> None:
    project = project_of_parts
    (project / "gone/a b.dat").unlink()
    git(project, "rm", "-q", "--cached", "vendor/lib", "gone/a b.dat")
    commit_files(project, {"code.txt": "2\n"}, "without a part")
    hide(project, tmp_path)
    git(project, "config", "submodule.recurse", recurse)
    result = gitorch(project, "revert", "a", *options)
    assert (project / "code.txt").read_text() == "1\n"
    assert (project / "gone/a b.dat").read_text().startswith(POINTER)
    assert (project / "here.dat").read_text() == CONTENT
    for missing in ("gone/a b.dat", "vendor/lib"):
        assert f"warning: {missing} is missing: " in result.stderr
    assert "git lfs checkout" in result.stderr


def test_runs_that_have_everything_go_on(
    project_of_parts: Path, tmp_path: Path
) -> None:
    """A run whose code lacks something ends in ERROR, and holds back no other run or command."""
    project = project_of_parts
    git(project, "rm", "-q", "-r", "--cached", "vendor", "gone", "here.dat")
    git(project, "rm", "-q", "-f", ".gitmodules")
    config = 'tasks:\n  - {id: t, command: "echo 2 > {outputDir}/o"}\n'
    without = {"experiments/b.yaml": config, ".gitignore": "*.dat\nvendor\n"}
    commit_files(project, without, "without parts")
    gitorch(project, "run", "experiments/b.yaml")
    hide(project, tmp_path)

    lacking = gitorch(project, "rerun", "--queue", "a").stdout.strip()
    whole = gitorch(project, "rerun", "--queue", "b").stdout.strip()
    config = 'tasks:\n  - {id: t, command: "echo 3"}\n'
    write(project, "experiments/c.yaml", config)
    assert "Queued 1 run" in gitorch(project, "ready", "experiments/c.yaml").stderr
    worked = gitorch(project, "run", code=1)
    assert (
        "cannot fetch" in worked.stderr or "is not in this clone" in worked.stderr
    )
    assert gitorch_json(project, "show", lacking)["run"]["status"] == "ERROR"
    assert gitorch_json(project, "show", whole)["run"]["status"] == "COMPLETE"
    assert gitorch_json(project, "show", "c")["run"]["status"] == "COMPLETE"

    # `fail` and `resubmit` put the run in the queue again, where it holds back no other.
    gitorch(project, "fail", lacking)
    gitorch(project, "resubmit", lacking)
    both = gitorch(project, "rerun", "--verify", "a", "b", code=1)
    assert "it did not complete" in both.stderr
    assert "identical: all metrics" in both.stderr

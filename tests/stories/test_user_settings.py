"""Git LFS files: a run has their content, or is refused. The user's settings do not matter."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

CONTENT = "measured\n" * 300


@pytest.fixture
def measured(project: Path) -> Path:
    """Return a project with a file that Git LFS keeps."""
    git(project, "lfs", "install", "--local")
    git(project, "lfs", "track", "*.dat")
    config = 'tasks:\n  - {id: t, command: "cat sub/m.dat"}\n'
    commit_files(project, {"sub/m.dat": CONTENT, "experiments/a.yaml": config})
    return project


@pytest.fixture
def without_git_lfs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a PATH with all programs of the machine except git-lfs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for program in Path(directory).glob("*"):
            link = programs / program.name
            if program.name != "git-lfs" and not link.is_symlink():
                link.symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))


def log_of_new_run(project: Path) -> str:
    gitorch(project, "ready", "--again", "--at", "HEAD")
    gitorch(project, "run")
    return gitorch(project, "logs", "@").stdout


@pytest.mark.parametrize(
    "settings",
    [
        {"filter.lfs.process": "git-lfs filter-process --skip"},
        {
            "filter.lfs.process": "",
            "filter.lfs.smudge": "",
            "filter.lfs.required": "no",
        },
        {"lfs.fetchexclude": "*"},
        {"lfs.fetchinclude": "elsewhere"},
        {"lfs.skipdownloaderrors": "true", "lfs.fetchexclude": "sub"},
    ],
)
def test_settings_that_switch_smudging_off(
    measured: Path, settings: dict[str, str]
) -> None:
    for name, value in settings.items():
        git(measured, "config", name, value)
    assert log_of_new_run(measured) == CONTENT


def test_variables_and_a_committed_file_that_switch_smudging_off(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_files(measured, {".lfsconfig": "[lfs]\n\tfetchexclude = *\n"})
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    monkeypatch.setenv("GIT_LFS_SKIP_DOWNLOAD_ERRORS", "1")
    assert log_of_new_run(measured) == CONTENT


def test_without_git_lfs_the_content_comes_from_the_store(
    measured: Path, without_git_lfs: None
) -> None:
    assert log_of_new_run(measured) == CONTENT
    (measured / "sub/m.dat").write_text("edited\n")
    gitorch(measured, "ready", "--snapshot")
    gitorch(measured, "run")
    assert gitorch(measured, "logs", "@").stdout == "edited\n"


def test_without_git_lfs_missing_content_is_refused(
    measured: Path, without_git_lfs: None
) -> None:
    shutil.rmtree(measured / ".git/lfs")
    refused = gitorch(measured, "ready", "--at", "HEAD", code=4)
    assert "sub/m.dat is not in this clone" in refused.stderr
    assert "install git-lfs" in refused.stderr
    assert "git lfs pull" in refused.stderr


@pytest.mark.parametrize("where", [".git/info/attributes", "of_user"])
def test_attributes_of_the_user_that_deliver_pointers_are_refused(
    measured: Path, where: str
) -> None:
    git(measured, "config", "core.attributesFile", str(measured / "of_user"))
    write(measured, where, "*.dat -filter\n")
    ready = gitorch(measured, "ready", "--at", "HEAD", code=None)
    if ready.returncode == 0:  # .gitattributes wins
        gitorch(measured, "run")
        assert gitorch(measured, "logs", "@").stdout == CONTENT
    else:
        assert ready.returncode == 4
        assert "sub/m.dat" in ready.stderr
        assert gitorch_json(measured, "list")["runs"] == []


def test_a_text_that_looks_like_a_pointer_is_a_text(project: Path) -> None:
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{'0' * 64}\nsize 12345\n"
    )
    config = 'tasks:\n  - {id: t, command: "wc -l < pointer.txt"}\n'
    attributes = "*.dat filter=lfs\n"
    commit_files(
        project,
        {
            "pointer.txt": pointer,
            "experiments/a.yaml": config,
            ".gitattributes": attributes,
        },
    )
    assert log_of_new_run(project).strip() == "3"


def test_a_large_file_in_a_submodule(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "lfs", "install", "--local")
    git(outer, "submodule", "--quiet", "add", str(measured), "lib")
    config = 'tasks:\n  - {id: t, command: "cat lib/sub/m.dat"}\n'
    commit_files(outer, {"experiments/a.yaml": config})
    git(outer / "lib", "lfs", "pull")
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    assert log_of_new_run(outer) == CONTENT
    git(outer, "lfs", "uninstall", "--local")
    shutil.rmtree(outer / ".git/modules/lib/lfs")
    shutil.rmtree(measured / ".git/lfs")
    refused = gitorch(outer, "ready", "--again", "--at", "HEAD", code=4)
    assert "sub/m.dat" in refused.stderr


# -- other settings


def test_edits_that_git_hides_are_refused_or_in_the_snapshot(project: Path) -> None:
    config = 'tasks:\n  - {id: t, command: "cat code.txt"}\n'
    commit_files(project, {"code.txt": "old\n", "experiments/a.yaml": config})
    git(project, "update-index", "--skip-worktree", "code.txt")
    write(project, "code.txt", "new\n")
    refused = gitorch(project, "ready", code=4)
    assert "would not be in the run: code.txt" in refused.stderr
    assert (
        "git update-index --no-assume-unchanged --no-skip-worktree code.txt"
        in refused.stderr
    )
    gitorch(project, "ready", "--snapshot")
    gitorch(project, "run")
    assert gitorch(project, "logs", "@").stdout == "new\n"


def test_a_run_that_changes_a_file_is_noticed_with_core_ignorestat(
    project: Path,
) -> None:
    git(project, "config", "core.ignoreStat", "true")
    config = 'tasks:\n  - {id: t, command: "echo 2 > code.txt"}\n'
    commit_files(project, {"code.txt": "1\n", "experiments/a.yaml": config})
    gitorch(project, "run", "experiments")
    [task] = gitorch_json(project, "show", "@")["run"]["tasks"]
    assert task["attempts"][0]["modified"] == ["code.txt"]


@pytest.mark.parametrize("value", ["false", "no"])
def test_symbolic_links_are_links(project: Path, value: str) -> None:
    config = 'tasks:\n  - {id: t, command: "cat link"}\n'
    commit_files(project, {"file": "content\n", "experiments/a.yaml": config})
    (project / "link").symlink_to("file")
    commit_files(project, {}, "link")
    git(project, "config", "core.symlinks", value)
    assert log_of_new_run(project) == "content\n"


def test_compare_shows_a_submodule_that_the_user_ignores(
    project: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q")
    commit_files(library, {"lib.py": "1\n"})
    git(project, "submodule", "--quiet", "add", str(library), "lib")
    git(project, "config", "submodule.lib.ignore", "all")
    config = 'tasks:\n  - {id: t, command: "cat lib/lib.py"}\n'
    commit_files(project, {"experiments/a.yaml": config})
    gitorch(project, "run", "experiments")
    commit_files(project / "lib", {"lib.py": "2\n"})
    git(project, "add", "-f", "lib")
    git(project, "commit", "-qm", "the submodule's next commit")
    gitorch(project, "run", "experiments")
    code = gitorch_json(project, "compare", "@~1", "@")["code"]
    assert [file["path"] for file in code["files"]] == ["lib"]


# -- inputs


def data_of_new_run(project: Path) -> dict[str, str]:
    gitorch(project, "ready", "--again", "--at", "HEAD")
    gitorch(project, "run")
    record = gitorch_json(project, "show", "@")["run"]
    assert record["status"] == "COMPLETE"
    return {entry["path"]: entry["sha256"] for entry in record["data"]}


def test_the_record_has_the_hash_of_what_the_task_reads(
    measured: Path,
) -> None:
    config = (
        'tasks:\n  - {id: t, command: "sha256sum sub/* > {outputDir}/sums",'
        " gitorch: {inputs: [sub, link]}}\n"
    )
    attributes = (
        "*.dat filter=lfs\n*.csv eol=crlf\n*.u16 working-tree-encoding=UTF-16LE\n"
    )
    (measured / "link").symlink_to("sub/t.csv")
    commit_files(
        measured,
        {
            ".gitattributes": attributes,
            "sub/t.csv": "1,2\n3,4\n",
            "sub/t.u16": "Grüße\n".encode("utf-16-le"),
            "experiments/a.yaml": config,
        },
    )
    data = data_of_new_run(measured)
    sums = {}
    kept = git(measured, "show", f"gitorch/results:{sums_path(measured)}")
    for line in kept.splitlines():
        digest, _, path = line.partition("  ")
        sums[path] = digest
    crlf = hashlib.sha256(b"1,2\r\n3,4\r\n").hexdigest()
    assert sums["sub/t.csv"] == crlf
    assert data == {**sums, "link": crlf}


def sums_path(project: Path) -> str:
    run = gitorch_json(project, "show", "@")["run"]["id"]
    return f"runs/{run[:2]}/{run}/outputs/sums"


def test_line_ends_by_setting_are_in_the_hash_and_a_change_is_refused(
    project: Path,
) -> None:
    config = (
        'tasks:\n  - {id: t, command: "cat t.csv", gitorch: {inputs: [t.csv]}}\n'
    )
    commit_files(project, {"t.csv": "1\n2\n", "experiments/a.yaml": config})
    lf, crlf = (
        hashlib.sha256(content).hexdigest()
        for content in (b"1\n2\n", b"1\r\n2\r\n")
    )
    assert data_of_new_run(project) == {"t.csv": lf}
    git(project, "config", "core.autocrlf", "true")
    assert data_of_new_run(project) == {"t.csv": crlf}
    gitorch(project, "ready", "--again")
    tree = next(Path(f"{project}.gitorch").glob("*/tree"))
    (tree / "t.csv").write_bytes(b"1\n3\n")
    gitorch(project, "run", code=None)
    attempt = gitorch_json(project, "show", "@")["run"]["tasks"][0]["attempts"][0]
    assert "input t.csv changed" in str(attempt["outcome"])

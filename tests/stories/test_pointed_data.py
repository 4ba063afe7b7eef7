"""Inputs that are pointers of DVC or Git LFS, and linked paths that are not inputs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.conftest import commit_files, git, gitorch, gitorch_json, write

TABLE = "x,y\n1,2\n"
TABLE_MD5 = "344fd2323dd33d5c058b7cf27de029e8"
# DVC 3 gave these digests to TABLE, and to a directory with the files a and sub/b.
FILE_POINTER = f"""\
outs:
- md5: {TABLE_MD5}
  size: 8
  hash: md5
  path: t.csv
"""
DIRECTORY_MD5 = "2d3d71627348222c0c4e71546ea24923.dir"
DIRECTORY_POINTER = f"""\
outs:
- md5: {DIRECTORY_MD5}
  size: 12
  nfiles: 2
  hash: md5
  path: raw
"""
IGNORE = "/raw\n/t.csv\n"


def data_of(root: Path, run_id: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = gitorch_json(root, "show", run_id)["run"]["data"]
    return data


def readied(root: Path) -> str:
    run_id: str = gitorch_json(root, "ready", "--again")["queued"][0]["id"]
    return run_id


def fetch_all(root: Path, table: str = TABLE) -> None:
    write(root, "t.csv", table)
    write(root, "raw/a", "hello\n")
    write(root, "raw/sub/b", "other\n")


def test_data_is_identified_by_its_pointer_until_it_is_there(project: Path) -> None:
    config = """
    gitorch: {inputs: [t.csv.dvc, raw.dvc]}
    tasks: [{id: t, command: 'true'}]
    """
    commit_files(
        project,
        {
            ".gitignore": IGNORE,
            "t.csv.dvc": FILE_POINTER,
            "raw.dvc": DIRECTORY_POINTER,
            "experiments/a.yaml": config,
        },
    )
    pointed = readied(project)
    assert data_of(project, pointed) == [
        {
            "path": "t.csv.dvc",
            "size": 8,
            "sha256": "",
            "digest": f"md5:{TABLE_MD5}",
        },
        {
            "path": "raw.dvc",
            "size": 12,
            "sha256": "",
            "digest": f"md5:{DIRECTORY_MD5}",
        },
    ]
    assert f"md5:{TABLE_MD5}, not read" in gitorch(project, "show", pointed).stdout
    wrong = readied(project)
    fetch_all(project)
    gitorch(project, "run", pointed)
    there = readied(project)
    table, *rest = data_of(project, there)
    assert table["sha256"] == hashlib.sha256(TABLE.encode()).hexdigest()
    assert [entry["path"] for entry in rest] == ["raw.dvc/a", "raw.dvc/sub/b"]
    fetch_all(project, "x,y\n1,3\n")
    failed = gitorch(project, "run", wrong, code=1)
    assert "input t.csv.dvc changed since the run was readied" in failed.stderr
    compared = gitorch_json(project, "compare", pointed, there)
    assert compared["data"]["changed"]["t.csv.dvc"][0] == f"md5:{TABLE_MD5}"


def test_missing_data_beside_its_pointer_may_be_fetched_by_the_task(
    project: Path,
) -> None:
    config = """
    gitorch: {inputs: [t.csv, raw]}
    tasks: [{id: t, command: 'printf "x,y\\n1,2\\n" > t.csv'}, {id: u, command: cat t.csv}]
    """
    commit_files(
        project,
        {
            ".gitignore": IGNORE,
            "t.csv.dvc": FILE_POINTER,
            "raw.dvc": DIRECTORY_POINTER,
            "experiments/a.yaml": config,
        },
    )
    said = gitorch(project, "ready").stderr
    assert "t.csv is not on this machine; t.csv.dvc says which data it is" in said
    gitorch(project, "run")
    assert gitorch(project, "logs", "@", "--task", "u").stdout == TABLE
    assert [entry["path"] for entry in data_of(project, "@")] == ["t.csv", "raw"]


def test_what_is_not_a_pointer_is_an_ordinary_file(project: Path) -> None:
    config = """
    gitorch: {inputs: ["*.dvc"]}
    tasks: [{id: t, command: 'true'}]
    """
    outside = FILE_POINTER.replace("t.csv", "../../etc/passwd")
    several = FILE_POINTER + "- md5: x\n  path: y\n"
    files = {"a.dvc": "not: [yaml", "b.dvc": outside, "c.dvc": several, "d.dvc": ""}
    commit_files(project, {**files, "experiments/a.yaml": config})
    run_id = readied(project)
    for entry in data_of(project, run_id):
        content = (project / entry["path"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert "digest" not in entry


def test_a_pointer_of_git_lfs_has_the_digest_of_its_file(project: Path) -> None:
    content = b"large\n" * 1000
    oid = hashlib.sha256(content).hexdigest()
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 6000\n"
    )
    config = """
    gitorch: {inputs: [big.bin]}
    tasks: [{id: t, command: 'true'}]
    """
    commit_files(project, {".gitignore": "*.bin\n", "experiments/a.yaml": config})
    write(project, "big.bin", pointer)
    by_pointer = readied(project)
    (project / "big.bin").write_bytes(content)
    by_content = readied(project)
    assert data_of(project, by_pointer) == data_of(project, by_content)
    assert data_of(project, by_content)[0]["sha256"] == oid
    gitorch(project, "run")


def test_linked_paths_that_are_not_inputs_are_shown_as_not_recorded(
    project: Path,
) -> None:
    config = """
    gitorch: {link: [cache, data], inputs: [data/t.csv]}
    tasks: [{id: t, command: 'true'}]
    """
    commit_files(
        project, {".gitignore": "cache\ndata\n", "experiments/a.yaml": config}
    )
    write(project, "data/t.csv", TABLE)
    write(project, "cache/x", "x")
    run_id = readied(project)
    shown = gitorch(project, "show", run_id).stdout
    assert "linked\n  cache " in shown
    assert "data except data/t.csv  not recorded" in shown
    document = gitorch_json(project, "show", run_id)
    assert document["not_recorded"] == ["cache", "data except data/t.csv"]
    assert git(project, "status", "--porcelain") == ""

"""Configs are found on disk, and distinguished from other YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.config.discovery import configs_among, find_configs, is_config
from gitorch.errors import NotFound
from tests.config.complaints import TASKS


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (TASKS.encode(), True),
        (b"tasks:\n", True),
        (b'{"tasks": 1}', True),
        (b"tasks: []\ntasks: []\n1: 2\n", True),
        (b"task: []\n", False),
        (b"- tasks\n", False),
        (b"a: {tasks: []}\n", False),
        (b"tasks", False),
        (b"tasks: [\n", False),
        (b"tasks: \xff", False),
        (b"tasks: " + b"[" * 500_000, False),
        (b"", False),
    ],
)
def test_a_config_is_a_mapping_with_tasks(data: bytes, expected: bool) -> None:
    assert is_config(data) is expected


def test_configs_are_found_in_a_directory(tmp_path: Path) -> None:
    for name in (
        "b.yaml",
        "a/z.yml",
        "a/_base.yaml",
        "_a/x.yaml",
        ".a/x.yaml",
        ".x.yaml",
        "a/x.txt",
        "c.yaml/d.yaml",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(TASKS)
    (tmp_path / "broken.yaml").symlink_to("nowhere")
    assert find_configs(tmp_path) == [
        tmp_path / "a/z.yml",
        tmp_path / "b.yaml",
        tmp_path / "c.yaml/d.yaml",
    ]


@pytest.mark.parametrize("name", ["_base.yaml", "x.txt"])
def test_a_file_that_is_named_is_found_whatever_its_name(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text(TASKS)
    assert find_configs(path) == [path]


@pytest.mark.parametrize("path", ["nowhere", "nowhere.yaml", "empty"])
def test_a_path_without_a_config_is_not_found(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/_base.yaml").write_text(TASKS)
    with pytest.raises(NotFound, match=path):
        find_configs(tmp_path / path)


def test_the_bases_of_configs_count_as_configs() -> None:
    files = {
        "a/config.yaml": b"tasks: []\ngitorch: {extends: ../base.yaml}\n",
        "base.yaml": b"gitorch: {extends: [more.yml, gone.yaml, base.yaml]}\n",
        "more.yml": b"lr: 1\n",
        "data.yaml": b"lr: 1\n",
        "other.yaml": b"gitorch: {extends: data.yaml}\n",
    }
    assert configs_among(files) == {"a/config.yaml", "base.yaml", "more.yml"}

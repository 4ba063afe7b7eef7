"""Configs are found on disk, and told apart from other YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitorch.config.discovery import configs_among, find_configs, is_config
from gitorch.errors import NotFound
from tests.config.complaints import TASKS


@pytest.mark.parametrize(
    ("data", "is_one"),
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
def test_a_config_is_a_mapping_with_tasks(data: bytes, is_one: bool) -> None:
    assert is_config(data) is is_one


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
    found = find_configs(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in found] == [
        "a/z.yml",
        "b.yaml",
        "c.yaml/d.yaml",
    ]
    assert find_configs(tmp_path / "a/_base.yaml") == [tmp_path / "a/_base.yaml"]
    assert find_configs(tmp_path / "a/x.txt") == [tmp_path / "a/x.txt"]


@pytest.mark.parametrize("path", ["nowhere", "nowhere.yaml", "empty"])
def test_a_path_without_a_config_is_not_found(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/_base.yaml").write_text(TASKS)
    with pytest.raises(NotFound, match=path):
        find_configs(tmp_path / path)


def test_the_bases_of_configs_are_among_the_configs() -> None:
    files = {
        "a/config.yaml": b"tasks: []\ngitorch: {extends: ../base.yaml}\n",
        "base.yaml": b"gitorch: {extends: [more.yml, gone.yaml, base.yaml]}\n",
        "more.yml": b"lr: 1\n",
        "data.yaml": b"lr: 1\n",
        "other.yaml": b"gitorch: {extends: data.yaml}\n",
    }
    assert configs_among(files) == {"a/config.yaml", "base.yaml", "more.yml"}

"""Everything can be deleted: very deep directories, pipes, directories without permissions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitorch.tools.files import delete


@pytest.mark.usefixtures("removed_by_rm")
@pytest.mark.parametrize("levels", [10, 1200])
def test_a_very_deep_directory_is_deleted(tmp_path: Path, levels: int) -> None:
    (tmp_path / "kept").mkdir()
    top = tmp_path / "top"
    top.mkdir()
    directory = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("a directory", dir_fd=directory)
        os.symlink(tmp_path / "kept", "link", dir_fd=directory)
        os.mkfifo("pipe", dir_fd=directory)
        inner = os.open("a directory", os.O_RDONLY, dir_fd=directory)
        os.fchmod(directory, 0o500)
        os.close(directory)
        directory = inner
    os.close(directory)
    delete(top)
    assert not top.exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "kept"]


def test_a_pipe_and_a_broken_link_are_deleted(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("pipe", "link", "gone", "gone/below"):
        delete(tmp_path / name)
    assert list(tmp_path.iterdir()) == []

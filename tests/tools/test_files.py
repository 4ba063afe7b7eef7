"""Where a path leads."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gitorch.tools.files import real_path


def _file(path: Path) -> None:
    path.write_text("content")


def _broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def _relative_link(path: Path) -> None:
    (path.parent / "aside").mkdir()
    path.symlink_to("aside/../aside")


def _chain_of_links(path: Path) -> None:
    (path.parent / "target").mkdir()
    (path.parent / "first").symlink_to("target")
    path.symlink_to(path.parent / "first")


def _closed_directory(path: Path) -> None:
    path.mkdir(mode=0)


def _socket(path: Path) -> None:
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        # The path itself may be too long for a socket.
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


@pytest.mark.parametrize(
    "make",
    [
        lambda _: None,
        _file,
        Path.mkdir,
        os.mkfifo,
        _socket,
        _broken_link,
        _link_to_itself,
        _relative_link,
        _chain_of_links,
        _closed_directory,
    ],
)
@pytest.mark.parametrize("name", ["plain", "a (deleted)", "é\udcff\n"])
def test_a_path_leads_where_python_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], object],
    name: str,
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    make(tmp_path / "link" / name)
    monkeypatch.chdir(tmp_path / "link")
    for path in (
        tmp_path / "link" / name,
        tmp_path / "link" / name / "below" / "..",
        Path("..", "link", name),
        Path(name),
    ):
        assert real_path(path) == os.path.realpath(path)


def test_the_directory_that_was_deleted_keeps_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    monkeypatch.chdir(directory)
    directory.rmdir()
    assert real_path(directory) == os.path.realpath(directory)


def test_a_path_is_found_without_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> str:
        raise FileNotFoundError

    with monkeypatch.context() as patch:
        patch.setattr(os, "readlink", fail)
        found = real_path(tmp_path)
    assert found == os.path.realpath(tmp_path)

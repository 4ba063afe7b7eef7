"""Directories of a single user, and removals that follow no link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gitorch.errors import Refused
from gitorch.tools.files import delete
from gitorch.tools.private import change_mode, private_directory, require_fixed

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")


def mode_of(path: Path) -> int:
    return path.lstat().st_mode & 0o777


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_its_owner_can_access_it(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "outer" / "inner"
    before = os.umask(umask)
    try:
        private_directory(path)
    finally:
        os.umask(before)
    assert mode_of(path) == 0o700


def test_an_existing_directory_of_this_user_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.mkdir(mode=0o755)
    private_directory(path)
    assert mode_of(path) == 0o700


def test_a_link_is_refused_and_its_target_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o755)
    target.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(Refused, match="is a link to"):
        private_directory(link)
    with pytest.raises(NotADirectoryError):
        change_mode(link, 0o700)
    assert mode_of(target) == 0o755


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="is not a directory"):
        private_directory(tmp_path / "file")


@needs_root
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    path.mkdir()
    os.chown(path, 12345, 12345)
    with pytest.raises(Refused, match="belongs to another user"):
        private_directory(path)


def test_a_place_where_anybody_can_replace_it_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(Refused, match="any user"):
        require_fixed(tmp_path)
    tmp_path.chmod(0o1777)
    require_fixed(tmp_path)
    tmp_path.chmod(0o700)


def test_removing_follows_no_link_and_changes_no_mode_through_one(
    tmp_path: Path,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    outside.chmod(0o500)
    top = tmp_path / "top"
    (top / "locked").mkdir(parents=True)
    (top / "locked" / "link").symlink_to(outside)
    (top / "locked").chmod(0o500)
    os.mkfifo(top / "fifo")
    delete(top)
    assert not top.exists()
    delete(tmp_path / "nothing")
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert mode_of(outside) == 0o500


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_is_not_a_directory_is_removed_itself(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "path"
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "nowhere")
    delete(path)
    assert not os.path.lexists(path)

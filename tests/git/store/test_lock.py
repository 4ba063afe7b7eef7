"""The lock of a clone's writers."""

from __future__ import annotations

import pytest

from gitorch.errors import Busy
from gitorch.git.repository import Repository
from gitorch.git.store import lock
from gitorch.git.store.lock import is_held, locked
from gitorch.git.store.pack import ObjectType, PackWriter


def test_one_writer_at_a_time(
    repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_PATIENCE_S", 0.05)
    assert not is_held(repo)
    with locked(repo):
        assert is_held(repo)
        with (
            pytest.raises(Busy, match="another gitorch has been writing"),
            locked(repo),
        ):
            pass
        assert is_held(repo)
    assert not is_held(repo)
    with locked(repo):
        pass


def test_what_a_killed_writer_left_is_removed(repo: Repository) -> None:
    abandoned = PackWriter(repo.common_dir)
    abandoned.add(ObjectType.BLOB, b"half")
    with locked(repo):
        assert not list((repo.store_dir / "packing").iterdir())
    abandoned.close()

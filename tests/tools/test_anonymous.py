"""Files without a name, in memory or in the temporary directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gitorch.tools.anonymous import anonymous_file


@pytest.fixture(params=["in memory", "no function", errno.ENOSYS, errno.EPERM])
def _system(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, flags: int) -> int:
        raise OSError(request.param, os.strerror(request.param))

    if request.param == "no function":
        monkeypatch.delattr(os, "memfd_create")
    elif request.param != "in memory":
        monkeypatch.setattr(os, "memfd_create", fail)


@pytest.mark.usefixtures("_system")
def test_it_keeps_what_is_written_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    descriptor = anonymous_file("test")
    try:
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, b"content")
        assert os.pread(descriptor, 100, 0) == b"content"
        assert os.fstat(descriptor).st_nlink == 0
    finally:
        os.close(descriptor)
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_system_is_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str, flags: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "memfd_create", fail)
    with pytest.raises(OSError, match="Too many open files"):
        anonymous_file("test")

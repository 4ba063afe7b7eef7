"""Only a regular file is opened, in the place where it belongs, and read up to its size."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from gitorch.tools.untrusted import (
    Line,
    PlainFiles,
    Unacceptable,
    blocks,
    lines,
    open_file,
    open_plain,
    read_plain,
    read_up_to,
)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top/in").mkdir(parents=True)
    (tmp_path / "top/in/file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    return tmp_path / "top"


def test_a_file_is_read_with_and_without_a_directory_above(top: Path) -> None:
    assert read_plain(top / "in/file", 6) == b"inside"
    assert read_plain(top / "in/file", 6, below=top) == b"inside"


@pytest.mark.parametrize("below", [True, False])
def test_what_is_not_a_file_is_not_opened(
    top: Path, below: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(top)  # the path of a socket is short
    os.mkfifo("a named pipe")
    Path("a directory").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("a socket")
    for name in ("a named pipe", "a directory", "a socket"):
        with pytest.raises(Unacceptable, match=f"not a file, but {name}"):
            open_plain(top / name, below=top if below else None)
    with pytest.raises(Unacceptable, match="not a file, but a device"):
        open_plain(Path("/dev/zero"))


def test_a_pipe_with_a_writer_is_not_opened_either(top: Path) -> None:
    os.mkfifo(top / "pipe")
    reader = os.open(top / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(top / "pipe", os.O_WRONLY)
    with pytest.raises(Unacceptable):
        open_plain(top / "pipe", below=top)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize(
    ("place", "target", "path"),
    [
        ("link", "in/file", "link"),
        ("link", "in", "link/file"),
        ("in/link", "../in/file", "in/link"),
    ],
)
def test_a_link_that_stays_inside_is_followed(
    top: Path, place: str, target: str, path: str
) -> None:
    (top / place).symlink_to(target)
    assert read_plain(top / path, 100, below=top) == b"inside"
    with closing(PlainFiles(top)) as files:
        for name in (path, "in/file", path):
            descriptor = files.open(top / name)
            assert os.read(descriptor, 100) == b"inside"
            os.close(descriptor)


@pytest.mark.parametrize(
    ("place", "target", "path"),
    [
        ("link", "../secret", "link"),
        ("link", "..", "link/secret"),
        ("in/link", "/dev/zero", "in/link"),
        ("link", "link", "link"),
    ],
)
def test_a_link_that_leads_out_is_not_followed(
    top: Path, place: str, target: str, path: str
) -> None:
    (top / place).symlink_to(target)
    with pytest.raises(OSError, match=r"leads out of|Too many levels"):
        open_plain(top / path, below=top)
    with closing(PlainFiles(top)) as files:
        os.close(files.open(top / "in/file"))
        with pytest.raises(OSError, match=r"leads out of|Too many levels"):
            files.open(top / path)


def test_files_of_which_some_are_no_files_are_opened_one_after_the_other(
    top: Path,
) -> None:
    os.mkfifo(top / "in/pipe")
    with closing(PlainFiles(top)) as files:
        for _ in range(2):
            with pytest.raises(Unacceptable, match="not a file, but a named pipe"):
                files.open(top / "in/pipe")
            with pytest.raises(FileNotFoundError):
                files.open(top / "gone/file")
            os.close(files.open(top / "in/file"))


def test_a_file_above_the_limit_is_not_read(top: Path) -> None:
    with (top / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Unacceptable, match="1048576"):
        read_plain(top / "sparse", 1 << 20)


def test_a_file_that_grows_is_read_up_to_its_first_size(top: Path) -> None:
    path = top / "in/file"
    with open_file(path) as file, path.open("ab") as growing:
        found = []
        for block in blocks(file, 3):
            found.append(block)
            growing.write(b"more and more")
            growing.flush()
        assert found == [b"ins", b"ide"]
    with open_file(path) as file, path.open("ab") as growing:
        for number, _ in enumerate(lines(file, 1 << 10)):
            growing.write(b"line\n" * 100)
            growing.flush()
            assert number < 2


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b"1\n2", [Line(b"1\n"), Line(b"2")]),
        (b"x" * 9 + b"\n2\n", [Line(b"", is_too_long=True), Line(b"2\n")]),
        (b"1\n" + b"x" * 900, [Line(b"1\n"), Line(b"", is_too_long=True)]),
        (b"123\n12\n", [Line(b"123\n"), Line(b"12\n")]),
        (b"x" * 8 + b"\n" + b"y" * 8, [Line(b"", is_too_long=True)] * 2),
    ],
)
def test_a_line_that_is_too_long_is_skipped(
    top: Path, content: bytes, found: list[Line]
) -> None:
    (top / "lines").write_bytes(content)
    with open_file(top / "lines") as file:
        assert list(lines(file, 4)) == found


@pytest.mark.parametrize(("limit", "length"), [(3, 3), (10, 10), (30, 20)])
@pytest.mark.parametrize("size", [0, 5, 20, 100])
def test_a_file_that_has_not_its_size_any_more_is_read_up_to_the_limit(
    top: Path, limit: int, length: int, size: int
) -> None:
    content = bytes(range(20))
    (top / "file").write_bytes(content)
    with (top / "file").open("rb") as file:
        assert read_up_to(file.fileno(), limit, size) == content[:length]

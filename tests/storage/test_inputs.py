"""Data is read once as long as it stays as it is, and never taken for what it is not."""

from __future__ import annotations

import os
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import pytest

from gitorch.model.run.payload import Payload
from gitorch.model.run.pin import Pin
from gitorch.model.run.record import Data
from gitorch.model.run.spec import RunSpec, TaskSpec
from gitorch.storage import contents, inputs
from gitorch.storage.contents import Unusable
from gitorch.storage.input_changes import InputChanged, require_unchanged
from gitorch.storage.inputs import Inputs
from gitorch.storage.site import Site
from tests.conftest import commit_files, git

ONE = sha256(b"one").hexdigest()


@pytest.fixture
def site(project: Path) -> Site:
    (project / "data").mkdir()
    commit_files(project, {".gitignore": "data\n"})
    return Site.at(project)


def looked(site: Site, *link: str) -> Inputs:
    return Inputs(site, git(site.repository.root, "rev-parse", "HEAD^{tree}"), link)


def data(site: Site, pattern: str, *link: str) -> dict[str, str]:
    return {entry.path: entry.sha256 for entry in looked(site, *link).data(pattern)}


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    really = contents._read
    monkeypatch.setattr(
        contents, "_read", lambda path: (read.append(path), really(path))[1]
    )
    return read


def test_what_stays_as_it_is_is_read_once(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "data/x"
    path.write_bytes(b"one")
    read = count_reads(monkeypatch)
    monkeypatch.setattr(contents, "_RACY_NS", 0)
    for _ in range(3):
        assert data(site, "data/x", "data") == {"data/x": ONE}
    assert read == [path]
    path.write_bytes(b"two")
    assert data(site, "data/x", "data") == {"data/x": sha256(b"two").hexdigest()}
    assert read == [path, path]


def test_what_takes_long_is_told(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data/x").write_bytes(b"one")
    monkeypatch.setattr(contents, "_LONG", 2)
    monkeypatch.setattr(contents, "_RACY_NS", 0)
    told: list[str] = []
    for _ in range(2):
        Inputs(
            site, git(project, "rev-parse", "HEAD^{tree}"), (), told.append
        ).data("data")
    assert told == [
        "reading 0.0 GiB of inputs; unchanged files will not be read again"
    ]


def test_what_was_written_just_now_is_not_remembered(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "data/x"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))  # whatever time it is given
    read = count_reads(monkeypatch)
    for _ in range(2):
        data(site, "data/x", "data")
    assert read == [path, path]


def test_a_file_that_changes_while_it_is_read_is_noticed(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "data/x"
    path.write_bytes(b"one")
    really = os.fstat

    def meanwhile(descriptor: int) -> os.stat_result:
        status = really(descriptor)
        if status.st_ino == path.stat().st_ino:
            path.write_bytes(b"two, which is longer")
        return status

    monkeypatch.setattr(os, "fstat", meanwhile)
    with pytest.raises(Unusable, match="was changed while it was read"):
        data(site, "data/x", "data")


def test_committed_content_is_that_of_the_commit(
    site: Site, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/big").write_bytes(b"big")
    (project / "sub").mkdir()
    for name, target in {
        "to_file": "tables/one",
        "to_directory": "tables",
        "sub/to_link": "../to_file",
        "to_disk": str(tmp_path / "outside"),
        "to_linked": "data/local",
        "to_nothing": "nowhere",
        "to_beside": "../outside",
    }.items():
        (project / name).symlink_to(target)
    commit_files(
        project,
        {
            "tables/one": b"one",
            "tables/empty": b"",
            "tables/large": b"x" * (3 << 20),
        },
    )
    (project / "data/local").write_bytes(b"local")
    (project / "tables/one").write_bytes(b"edited")

    empty, large, big = (
        sha256(content).hexdigest() for content in (b"", b"x" * (3 << 20), b"big")
    )
    below = {"one": ONE, "empty": empty, "large": large}
    assert data(site, "tables") == {
        f"tables/{name}": content for name, content in below.items()
    }
    assert data(site, "to_file") == {"to_file": ONE}
    assert data(site, "to_directory/*") == {
        f"to_directory/{name}": content for name, content in below.items()
    }
    assert data(site, "sub/*") == {"sub/to_link": ONE}
    assert data(site, "to_disk/*") == {"to_disk/big": big}
    assert data(site, "to_linked", "data") == {
        "to_linked": sha256(b"local").hexdigest()
    }
    assert data(site, "**/one") == {"tables/one": ONE, "to_directory/one": ONE}
    assert looked(site).find("to_beside").is_out_of_sight, (
        "a run's worktree lies elsewhere"
    )
    with pytest.raises(Unusable, match="there is no 'to_nothing'"):
        data(site, "to_nothing")


def test_a_large_file_in_git_lfs_is_told_by_what_it_holds(
    site: Site, project: Path
) -> None:
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{ONE}\nsize 3\n"
    )
    commit_files(project, {"model.bin": pointer})
    assert looked(site).data("model.bin") == (
        Data(path="model.bin", size=3, sha256=ONE),
    )


def test_directories_that_are_too_deep_are_refused(
    site: Site, project: Path
) -> None:
    place = os.open(project / "data", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    try:
        with pytest.raises(Unusable):
            looked(site, "data").find("data")
    finally:
        subprocess.run(
            ["rm", "-rf", project / "data/d"], check=True
        )  # Python's own way gives up on it


def test_what_is_linked_is_found_wherever_the_glob_begins(
    site: Site, project: Path
) -> None:
    for name in (
        "data/raw/a.csv",
        "data/raw/b.txt",
        "other/c.csv",
        "top.csv",
        "data/.git/d.csv",
    ):
        (project / name).parent.mkdir(exist_ok=True, parents=True)
        (project / name).write_bytes(b"one")
    for pattern in ("**/*.csv", "data", "data/raw/*.csv", "data/**", ".", "*"):
        assert "data/raw/a.csv" in data(site, pattern, "data/raw", "models"), (
            pattern
        )
        assert data(site, pattern, "data/raw").keys() <= {
            *("data/raw/a.csv", "data/raw/b.txt", "README.md", ".gitignore"),
        }
    assert looked(site).find("**/*.csv").files.keys() == {
        "data/raw/a.csv",
        "other/c.csv",
        "top.csv",
    }
    assert looked(site).find("**/*.csv").is_out_of_sight


def test_nothing_but_files_is_data(site: Site, project: Path) -> None:
    os.mkfifo(project / "data/pipe")
    (project / "data/around").symlink_to("around")
    started = time.monotonic()
    for pattern, said in {
        "data/pipe": "data/pipe is neither",
        "data/p*": "data/pipe is neither",
        "data/around": "there is no",
        "/dev/null": "/dev/null is neither",
    }.items():
        with pytest.raises(Unusable, match=said):
            looked(site, "data").find(pattern)
    assert time.monotonic() - started < 5, "nobody waits for a writer"


def test_before_an_attempt_only_what_is_not_committed_is_looked_at(
    site: Site, project: Path
) -> None:
    commit_files(project, {"tables/one": b"one"})
    (project / "data/x").write_bytes(b"one")
    pin = Pin(
        commit=git(project, "rev-parse", "HEAD"),
        tree=git(project, "rev-parse", "HEAD^{tree}"),
    )
    task = TaskSpec(id="a", command="true", inputs=("tables", "data"))
    spec = RunSpec(name="e", document={}, tasks=(task,), link=("data",))
    read = looked(site, "data").data_of(spec)
    payload = Payload.from_json(
        Payload(spec=spec, pin=pin, interpreter="python", data=read).to_json()
    )
    assert payload.data == read
    (project / "tables/one").write_bytes(b"of the working tree")
    (project / "tables/two").write_bytes(b"of the working tree")
    require_unchanged(site, payload, task)
    (project / "data/x").write_bytes(b"two")
    with pytest.raises(
        InputChanged,
        match=f"input data/x changed since the run was readied .was {ONE[:12]}, is ",
    ):
        require_unchanged(site, payload, task)
    require_unchanged(
        site, Payload(spec=spec, pin=pin, interpreter="python"), task
    )  # readied before it was hashed


def test_a_group_that_is_committed_is_not_read_again(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_files(
        project,
        {f"tables/{number}": str(number) for number in range(inputs.LISTED + 1)},
    )
    [group] = looked(site).data("tables")
    lines = [
        f"{sha256(name.encode()).hexdigest()}  tables/{name}\n"
        for name in sorted(map(str, range(51)))
    ]
    assert group == Data(
        path="tables",
        size=92,
        sha256=sha256("".join(lines).encode()).hexdigest(),
        files=51,
    )
    pin = Pin(
        commit=git(project, "rev-parse", "HEAD"),
        tree=git(project, "rev-parse", "HEAD^{tree}"),
    )
    task = TaskSpec(id="a", command="true", inputs=("tables",))
    spec = RunSpec(name="e", document={}, tasks=(task,))
    monkeypatch.setattr(contents, "digests_of_blobs", None)
    require_unchanged(
        site, Payload(spec=spec, pin=pin, interpreter="python", data=(group,)), task
    )

"""Inputs are found and hashed. A file is read again only if it may have changed."""

from __future__ import annotations

import os
import threading
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
from gitorch.storage.inputs import Inputs, is_converted
from gitorch.storage.site import Site
from tests.conftest import commit_files, git


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


ONE = digest(b"one")


@pytest.fixture
def site(project: Path) -> Site:
    (project / "data").mkdir()
    commit_files(project, {".gitignore": "data\n"})
    return Site.at(project)


def tree_of_head(site: Site) -> str:
    return git(site.repository.root, "rev-parse", "HEAD^{tree}")


def pin_of_head(site: Site) -> Pin:
    commit = git(site.repository.root, "rev-parse", "HEAD")
    return Pin(commit=commit, tree=tree_of_head(site))


def inputs_of(site: Site, *link: str) -> Inputs:
    return Inputs(site, tree_of_head(site), link)


def digests(site: Site, pattern: str, *link: str) -> dict[str, str]:
    """Return the SHA-256 of each file that the pattern names, by path."""
    entries = inputs_of(site, *link).data(pattern)
    return {entry.path: entry.sha256 for entry in entries}


def log_reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list to which the path of each file is added when the file is read."""
    read_paths: list[Path] = []
    original = contents._read

    def read(
        path: Path, is_interrupted: threading.Event
    ) -> contents._ReadFile | Unusable:
        read_paths.append(path)
        return original(path, is_interrupted)

    monkeypatch.setattr(contents, "_read", read)
    return read_paths


def test_an_unchanged_file_is_read_once(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "data/x"
    path.write_bytes(b"one")
    read_paths = log_reads(monkeypatch)
    monkeypatch.setattr(contents, "_RACY_NS", 0)
    for _ in range(3):
        assert digests(site, "data/x", "data") == {"data/x": ONE}
    assert read_paths == [path]
    path.write_bytes(b"two")
    assert digests(site, "data/x", "data") == {"data/x": digest(b"two")}
    assert read_paths == [path, path]


def test_reading_much_data_is_announced(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "data/x").write_bytes(b"one")
    monkeypatch.setattr(contents, "_LONG", 2)
    monkeypatch.setattr(contents, "_RACY_NS", 0)
    notices: list[str] = []
    for _ in range(2):
        Inputs(site, tree_of_head(site), (), notices.append).data("data")
    assert notices == [
        "reading 0.0 GiB of inputs; unchanged files will not be read again"
    ]


def test_the_digest_of_a_file_that_was_just_written_is_not_remembered(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "data/x"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))  # sets mtime to 1970, but ctime to now
    read_paths = log_reads(monkeypatch)
    for _ in range(2):
        digests(site, "data/x", "data")
    assert read_paths == [path, path]


def test_a_file_that_changes_while_it_is_read_is_refused(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project / "data/x"
    path.write_bytes(b"one")
    original = os.fstat

    def fstat_then_write(descriptor: int) -> os.stat_result:
        status = original(descriptor)
        if status.st_ino == path.stat().st_ino:
            path.write_bytes(b"two, which is longer")
        return status

    monkeypatch.setattr(os, "fstat", fstat_then_write)
    with pytest.raises(Unusable, match="was changed while it was read"):
        digests(site, "data/x", "data")


def test_committed_files_have_the_content_of_the_commit(
    site: Site, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/big").write_bytes(b"big")
    (project / "sub").mkdir()
    targets = {
        "to_file": "tables/one",
        "to_directory": "tables",
        "sub/to_link": "../to_file",
        "to_disk": str(tmp_path / "outside"),
        "to_linked": "data/local",
        "to_nothing": "nowhere",
        "to_beside": "../outside",
    }
    for name, target in targets.items():
        (project / name).symlink_to(target)
    large = b"x" * (3 << 20)
    commit_files(
        project,
        {"tables/one": b"one", "tables/empty": b"", "tables/large": large},
    )
    (project / "data/local").write_bytes(b"local")
    (project / "tables/one").write_bytes(b"edited")

    assert digests(site, "tables") == {
        "tables/one": ONE,
        "tables/empty": digest(b""),
        "tables/large": digest(large),
    }
    assert digests(site, "to_file") == {"to_file": ONE}
    assert digests(site, "to_directory/*") == {
        "to_directory/one": ONE,
        "to_directory/empty": digest(b""),
        "to_directory/large": digest(large),
    }
    assert digests(site, "sub/*") == {"sub/to_link": ONE}
    assert digests(site, "to_disk/*") == {"to_disk/big": digest(b"big")}
    assert digests(site, "to_linked", "data") == {"to_linked": digest(b"local")}
    assert digests(site, "**/one") == {"tables/one": ONE, "to_directory/one": ONE}
    assert inputs_of(site).find("to_beside").is_out_of_sight, (
        "a relative link out of the tree leads elsewhere from a run's worktree"
    )
    with pytest.raises(Unusable, match="there is no 'to_nothing'"):
        digests(site, "to_nothing")


def test_what_a_checkout_converts_is_read_in_the_worktree(
    site: Site, project: Path
) -> None:
    commit_files(project, {"model.bin": "pointer", "same": "one"})
    assert not is_converted(site, tree_of_head(site))
    commit_files(project, {"sub/.gitattributes": "*.bin filter=lfs"})
    assert is_converted(site, tree_of_head(site))
    (project / "model.bin").write_text("one")
    found = inputs_of(site)
    found.hash(["model.bin"], project)
    assert found.data("model.bin") == (Data(path="model.bin", size=3, sha256=ONE),)
    assert found.data("same") == (Data(path="same", size=3, sha256=ONE),)


@pytest.mark.usefixtures("removed_by_rm")
def test_directories_that_are_too_deep_are_refused(
    site: Site, project: Path
) -> None:
    directory = os.open(project / "data", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=directory)
        subdirectory = os.open("d", os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = subdirectory
    os.close(directory)
    with pytest.raises(Unusable):
        inputs_of(site, "data").find("data")


def test_linked_files_are_found_wherever_the_glob_begins(
    site: Site, project: Path
) -> None:
    for name in (
        "data/raw/a.csv",
        "data/raw/b.txt",
        "other/c.csv",
        "top.csv",
        "data/.git/d.csv",
    ):
        path = project / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(b"one")
    linked = {"data/raw/a.csv", "data/raw/b.txt"}
    committed = {"README.md", ".gitignore"}
    for pattern in ("**/*.csv", "data", "data/raw/*.csv", "data/**", ".", "*"):
        found = digests(site, pattern, "data/raw", "models")
        assert "data/raw/a.csv" in found, pattern
        found = digests(site, pattern, "data/raw")
        assert found.keys() <= linked | committed
    unlinked = inputs_of(site).find("**/*.csv")
    assert unlinked.files.keys() == {"data/raw/a.csv", "other/c.csv", "top.csv"}
    assert unlinked.is_out_of_sight


def test_an_input_that_is_not_a_file_is_refused(site: Site, project: Path) -> None:
    os.mkfifo(project / "data/pipe")
    (project / "data/around").symlink_to("around")
    messages = {
        "data/pipe": "data/pipe is neither",
        "data/p*": "data/pipe is neither",
        "data/around": "there is no",
        "/dev/null": "/dev/null is neither",
    }
    started = time.monotonic()
    for pattern, message in messages.items():
        with pytest.raises(Unusable, match=message):
            inputs_of(site, "data").find(pattern)
    duration = time.monotonic() - started
    assert duration < 5, "the pipe is not opened, so nothing waits for a writer"


def test_uncommitted_inputs_are_compared_before_an_attempt(
    site: Site, project: Path
) -> None:
    commit_files(project, {"tables/one": b"one"})
    (project / "data/x").write_bytes(b"one")
    pin = pin_of_head(site)
    task = TaskSpec(id="a", command="true", inputs=("tables", "data"))
    spec = RunSpec(name="e", document={}, tasks=(task,), link=("data",))
    entries = inputs_of(site, "data").data_of(spec)
    payload = Payload(spec=spec, pin=pin, interpreter="python", data=entries)
    payload = Payload.from_json(payload.to_json())
    assert payload.data == entries
    (project / "tables/one").write_bytes(b"of the working tree")
    (project / "tables/two").write_bytes(b"of the working tree")
    require_unchanged(site, payload, task, project)
    (project / "data/x").write_bytes(b"two")
    with pytest.raises(
        InputChanged,
        match=f"input data/x changed since the run was readied .was {ONE[:12]}, is ",
    ):
        require_unchanged(site, payload, task, project)
    readied_without_data = Payload(spec=spec, pin=pin, interpreter="python")
    require_unchanged(site, readied_without_data, task, project)


def test_a_committed_group_is_not_read_again(
    site: Site, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert inputs.LISTED == 50
    names = sorted(str(number) for number in range(51))
    commit_files(project, {f"tables/{name}": name for name in names})
    [group] = inputs_of(site).data("tables")
    listing = ""
    for name in names:
        listing += f"{digest(name.encode())}  tables/{name}\n"
    assert group == Data(
        path="tables", size=92, sha256=digest(listing.encode()), files=51
    )
    pin = pin_of_head(site)
    task = TaskSpec(id="a", command="true", inputs=("tables",))
    spec = RunSpec(name="e", document={}, tasks=(task,))
    payload = Payload(spec=spec, pin=pin, interpreter="python", data=(group,))
    monkeypatch.setattr(contents, "digests_of_blobs", None)
    require_unchanged(site, payload, task, project)

"""Files kept small or large: what is stored, what is restored, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitorch.errors import NotFound, Refused
from gitorch.git.repository import Repository
from gitorch.git.store import artifacts
from gitorch.git.store.artifacts import (
    Stored,
    Unkeepable,
    open_kept,
    restore,
    store,
)
from gitorch.git.store.pointers import gitattributes_for, parse_pointer
from gitorch.git.store.results import ResultsBranch
from gitorch.model.branch_layout import escaped
from gitorch.model.run.record import Output
from tests.conftest import git
from tests.git.store.test_pointers import AWKWARD

REPOSITORY_ROOT = Path(__file__).parents[3]
LARGE = 1 << 20  # where a file becomes large in tests that are not about that
needs_lfs = pytest.mark.skipif(
    not shutil.which("git-lfs"), reason="git-lfs is not installed"
)


@pytest.fixture
def repo(project: Path) -> Repository:
    return Repository.discover(project)


def output_of(stored: Stored, path: str) -> Output:
    return Output(
        path=path,
        size=stored.size,
        sha256=stored.sha256,
        stored=stored.kind,
        task="train",
        octal_mode=f"{stored.mode:o}",
    )


def objects(repo: Repository) -> list[Path]:
    stores = (repo.common_dir / "lfs" / "objects", repo.store_dir / "objects")
    return [path for store in stores for path in store.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_small_file_is_its_bytes(
    repo: Repository, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    stored = store(repo, path, large=100)
    assert stored == Stored(
        size=size,
        sha256=hashlib.sha256(b"x" * size).hexdigest(),
        kind="git",
        mode=0o100644,
        data=b"x" * size,
    )
    assert objects(repo) == []


@pytest.mark.parametrize("size", [101, 5 << 20, (17 << 20) + 3])
def test_a_large_file_is_an_lfs_object_and_a_pointer(
    repo: Repository, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    path = tmp_path / "model"
    path.write_bytes(content)
    stored = store(repo, path, large=100)
    digest = hashlib.sha256(content).hexdigest()
    assert (stored.kind, stored.size, stored.sha256) == ("lfs", size, digest)
    assert parse_pointer(stored.data) == (digest, size)
    lfs, own = objects(repo)
    assert (
        lfs
        == repo.common_dir / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
    )
    assert lfs.samefile(own)
    assert lfs.read_bytes() == content
    assert lfs.stat().st_mode & 0o777 == 0o444
    assert not path.samefile(lfs)
    assert store(repo, path, large=100) == stored  # safe to repeat
    assert objects(repo) == [lfs, own]
    assert not list((repo.common_dir / "lfs" / "gitorch-incoming").iterdir())


@needs_lfs
def test_git_lfs_accepts_the_pointer_and_the_object(
    repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(b"weights" * 1000)
    stored = store(repo, tmp_path / "model", large=10)
    subprocess.run(
        ["git", "lfs", "pointer", "--check", "--strict", "--stdin"],
        input=stored.data,
        cwd=repo.root,
        check=True,
    )
    (repo.root / "model").write_bytes(stored.data)
    (repo.root / ".gitattributes").write_bytes(gitattributes_for(["model"]))
    git(
        repo.root,
        "-c",
        "filter.lfs.clean=cat",
        "-c",
        "filter.lfs.smudge=cat",
        "add",
        "-A",
    )
    git(repo.root, "-c", "filter.lfs.clean=cat", "commit", "-qm", "a pointer")
    assert git(repo.root, "lfs", "fsck") == "Git LFS fsck OK"
    assert git(repo.root, "lfs", "ls-files", "--long").split()[0] == stored.sha256


@needs_lfs
@pytest.mark.parametrize("where", [None, "elsewhere", "/absolute"])
def test_the_objects_are_where_git_lfs_looks_for_them(
    project: Path, tmp_path: Path, where: str | None
) -> None:
    if where:
        git(
            project,
            "config",
            "lfs.storage",
            where if where[0] != "/" else f"{tmp_path}{where}",
        )
    repo = Repository.discover(project)
    (tmp_path / "model").write_bytes(b"weights")
    stored = store(repo, tmp_path / "model", large=1)
    lines = git(project, "lfs", "env").splitlines()
    media = Path(
        next(
            line.partition("=")[2]
            for line in lines
            if line.startswith("LocalMediaDir=")
        )
    )
    assert (
        media / stored.sha256[:2] / stored.sha256[2:4] / stored.sha256
    ).read_bytes() == b"weights"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on another file system than that of the other files."""
    own = tmp_path.stat().st_dev
    for place in (Path("/dev/shm"), Path("/var/tmp"), Path.home()):
        if place.is_dir() and place.stat().st_dev != own:
            with tempfile.TemporaryDirectory(dir=place) as directory:
                yield Path(directory) / "store"
            return
    pytest.skip("no second file system")


def test_a_store_on_another_file_system_is_a_copy(
    project: Path, tmp_path: Path, elsewhere: Path
) -> None:
    git(project, "config", "lfs.storage", str(elsewhere))
    repo = Repository.discover(project)
    (tmp_path / "model").write_bytes(b"weights" * 99)
    try:
        stored = store(repo, tmp_path / "model", large=1)
        assert (
            restore(
                repo, output_of(stored, "m"), None, tmp_path / "out"
            ).read_bytes()
            == b"weights" * 99
        )
    finally:
        shutil.rmtree(elsewhere)
    assert (
        restore(
            repo, output_of(stored, "again"), None, tmp_path / "out"
        ).read_bytes()
        == b"weights" * 99
    )


def test_memory_stays_flat(repo: Repository, tmp_path: Path) -> None:
    with (tmp_path / "model").open("wb") as file:
        file.truncate(400 << 20)
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from gitorch.git.repository import Repository\n"
        "from gitorch.git.store.artifacts import store\n"
        "repo = Repository.discover(Path(sys.argv[1]))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "stored = store(repo, Path(sys.argv[2]), large=1 << 20)\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "assert stored.size == 400 << 20 and grown < 40_000, grown\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, repo.root, tmp_path / "model"],
        cwd=REPOSITORY_ROOT,
        check=True,
    )


def test_modes_and_links_come_back(repo: Repository, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (tmp_path / "link").symlink_to("some\nwhere")
    (tmp_path / "big").write_bytes(b"x" * 100)
    (tmp_path / "big").chmod(0o700)
    for name in ("script", "link", "big"):
        stored = store(repo, tmp_path / name, large=50)
        back = restore(
            repo,
            output_of(stored, f"deep/er/{name}"),
            stored.data,
            tmp_path / "out",
        )
        assert back == tmp_path / "out" / "deep" / "er" / name
        assert back.is_symlink() == (name == "link")
        assert os.access(back, os.X_OK) or name == "link"
    assert (tmp_path / "out/deep/er/link").readlink() == Path("some\nwhere")
    assert (tmp_path / "out/deep/er/script").read_text() == "#!/bin/sh\n"
    assert os.access(tmp_path / "out/deep/er/big", os.W_OK)


def test_only_files_and_links_can_be_kept(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dir").mkdir()
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    kinds = {"fifo": "named pipe", "dir": "directory", "socket": "socket"}
    for name, kind in kinds.items():
        with pytest.raises(Unkeepable, match=f"{name}: not a file, but a {kind}"):
            store(repo, tmp_path / name, LARGE)
    with pytest.raises(Unkeepable, match="gone cannot be read: No such file"):
        store(repo, tmp_path / "gone", LARGE)


def test_the_file_of_a_killed_writer_is_deleted(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = repo.common_dir / "lfs" / "gitorch-incoming"
    incoming.mkdir(parents=True)
    (incoming / "unfinished").write_bytes(b"half")
    (tmp_path / "model").write_bytes(b"weights")
    store(repo, tmp_path / "model", large=1)
    assert (incoming / "unfinished").exists()  # its writer may just have begun
    monkeypatch.setattr(artifacts, "_STALE_S", -1.0)
    store(repo, tmp_path / "model", large=1)
    assert not list(incoming.iterdir())


def test_a_full_disk_is_reported_as_such(repo: Repository, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"weights" * 100_000)
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from gitorch.git.repository import Repository\n"
        "from gitorch.git.store.artifacts import store, TooLarge\n"
        "repo = Repository.discover(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1))\n"
        "try: store(repo, Path(sys.argv[2]), large=1)\n"
        "except TooLarge as error: print(error.message)\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", program, repo.root, tmp_path / "model"],
        cwd=REPOSITORY_ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "cannot be written: File too large" in output
    assert objects(repo) == []


def test_the_second_link_outlives_git_lfs_prune(
    repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    stored = store(repo, tmp_path / "model", large=1)
    shutil.rmtree(repo.common_dir / "lfs")
    assert (
        restore(
            repo, output_of(stored, "model"), None, tmp_path / "out"
        ).read_bytes()
        == b"weights"
    )
    store(repo, tmp_path / "model", large=1)
    assert len(objects(repo)) == 2


def test_a_missing_or_damaged_file_is_never_restored_silently(
    repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(b"weights")
    large, small = (store(repo, tmp_path / "model", limit) for limit in (1, LARGE))
    with pytest.raises(Refused, match="is damaged"):
        restore(repo, output_of(small, "model"), b"Weights", tmp_path / "out")
    with pytest.raises(NotFound, match="not on the results branch"):
        restore(repo, output_of(small, "model"), None, tmp_path / "out")
    for path in objects(repo):
        path.chmod(0o644)
        path.write_bytes(b"Weights")
    with pytest.raises(Refused, match="is damaged"):
        restore(repo, output_of(large, "model"), None, tmp_path / "out")
    for path in objects(repo):
        path.unlink()
    with pytest.raises(NotFound, match="is not in this clone"):
        restore(repo, output_of(large, "model"), None, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "link/x"])
def test_a_record_cannot_write_outside_the_directory(
    repo: Repository, tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to("/etc")
    stored = store(repo, tmp_path / "file", LARGE)
    with pytest.raises(Refused, match="leads"):
        restore(repo, output_of(stored, path), stored.data, tmp_path / "out")


def test_a_link_in_the_way_is_replaced_and_not_followed(
    repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"new")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "file").symlink_to("../precious")
    stored = store(repo, tmp_path / "file", LARGE)
    assert not restore(
        repo, output_of(stored, "file"), stored.data, tmp_path / "out"
    ).is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_kept_logs_are_read_whether_small_or_large(
    repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "log").write_bytes(b"line\n" * 100)
    for large in (1, 1000):
        with open_kept(repo, store(repo, tmp_path / "log", large).data) as log:
            assert log.read() == b"line\n" * 100
    assert isinstance(open_kept(repo, b"version https://git-lfs"), io.BytesIO)


@needs_lfs
def test_a_clone_that_checks_the_branch_out_has_the_real_files_under_any_name(
    repo: Repository, tmp_path: Path
) -> None:
    out = tmp_path / "output"
    names = [name for name in AWKWARD if name not in (".git/config",)]
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"large " + os.fsencode(name) * 20)
        (out / name).with_name(f"{Path(name).name[:200]} small").write_bytes(
            b"small"
        )
    branch = ResultsBranch(repo)
    kept: dict[str, Output] = {}
    with branch.changing() as edit:
        for path in out.rglob("*"):
            if path.is_file():
                name = str(path.relative_to(out))
                stored = store(repo, path, large=20)
                kept[name] = output_of(stored, name)
                edit.put(f"runs/3f/3f2a5c8e91d0/outputs/{escaped(name)}", stored)
        large = [
            f"outputs/{escaped(name)}"
            for name, output in kept.items()
            if output.stored == "lfs"
        ]
        attributes = gitattributes_for(large)
        edit.put("runs/3f/3f2a5c8e91d0/.gitattributes", attributes)
        edit.commit("outputs")
    assert (
        len([1 for output in kept.values() if output.stored == "git"])
        >= len(names) - 2
    )
    assert git(repo.root, "fsck", "--full", "--strict", "--no-dangling") == ""

    clone = tmp_path / "clone"
    smudge = (
        "filter.lfs.smudge=git-lfs smudge -- %f",
        "filter.lfs.process=git-lfs filter-process",
    )
    add = ("worktree", "add", "-q", str(clone), "gitorch/results")
    git(repo.root, "-c", smudge[0], "-c", smudge[1], *add)
    back = tmp_path / "back"
    for name, output in kept.items():
        path = f"runs/3f/3f2a5c8e91d0/outputs/{escaped(name)}"
        assert (clone / path).read_bytes() == (out / name).read_bytes(), name
        restore(repo, output, branch.read(path), back)
        assert (back / name).read_bytes() == (out / name).read_bytes()
    filters = (
        "filter.lfs.clean=git-lfs clean -- %f",
        "filter.lfs.process=git-lfs filter-process",
    )
    assert (
        git(clone, "-c", filters[0], "-c", filters[1], "status", "--porcelain")
        == ""
    )

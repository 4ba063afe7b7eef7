"""The recorder of used files, in processes that end in every way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gitorch.interpreter.environment import STAND_IN


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "log/task/1").mkdir(parents=True)
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


def recorded(
    tree: Path, source: str, *, path: str = STAND_IN, code: int = 0
) -> tuple[set[str], set[str]]:
    """Return the names of `data-…` files that a program is recorded to have read, and its marks."""
    for number in range(9):
        (tree / f"data-{number}").touch()
    used = tree.parent / "log/task/1/used"
    used.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=tree,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": path,
            "GITORCH_USED": str(used),
        },
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    entries = used.read_text().split("\0") if used.exists() else []
    names = {name.rpartition("/")[2] for name in entries if "data-" in name}
    marks = {entry[1] for entry in entries if entry[:1] == "\n"} - {"@", "^"}
    return names, marks


def test_files_that_are_only_written_do_not_count(tree: Path) -> None:
    source = """
        import os
        open("data-1"); open(b"data-2"); open("data-3", "r+")
        os.open("data-4", os.O_RDONLY)
        open("data-5", "w"); open("data-6", "a"); os.open("data-7", os.O_WRONLY)
    """
    read = {"data-1", "data-2", "data-3", "data-4"}
    assert recorded(tree, source) == (read, {"="})


@pytest.mark.parametrize(
    "end",
    ["pass", "raise SystemExit(0)", "os._exit(0)", "sys.stdout.close()"],
)
def test_every_orderly_end_completes_the_list(tree: Path, end: str) -> None:
    source = f"import os, sys; open('data-1'); {end}"
    assert recorded(tree, source) == ({"data-1"}, {"="})


def test_a_killed_program_leaves_no_complete_list(tree: Path) -> None:
    source = "import os; open('data-1'); os.kill(os.getpid(), 9)"
    assert recorded(tree, source, code=-9) == (set(), set())


def test_a_program_that_is_replaced_leaves_no_complete_list(tree: Path) -> None:
    source = "import os; open('data-1'); os.execlp('true', 'true')"
    assert recorded(tree, source) == ({"data-1"}, set())


def test_forked_processes_are_recorded_however_they_end(tree: Path) -> None:
    source = """
        import os
        ends = [lambda: os._exit(0), lambda: os.kill(os.getpid(), 9), lambda: None]
        for number, end in enumerate(ends):
            pid = os.fork()
            if not pid:
                open(f"data-{number}")
                if not os.fork():
                    open(f"data-{number + 4}")
                    os._exit(0)
                os.wait()
                end()
                raise SystemExit
            os.waitpid(pid, 0)
    """
    names, marks = recorded(tree, source)
    assert names == {f"data-{number}" for number in (0, 1, 2, 4, 5, 6)}
    assert marks == {"+", "-", "="}


def test_a_path_is_kept_when_many_files_are_opened_after_it(tree: Path) -> None:
    source = """
        open("data-1"); open(b"data-2")
        for _ in range(40_000):
            open("data-3").close()
    """
    assert recorded(tree, source) == ({"data-1", "data-2", "data-3"}, {"="})


@pytest.mark.parametrize("count", [512, 513, 514, 5000, 40_000])
def test_no_file_is_left_out_however_many_there_are(tree: Path, count: int) -> None:
    source = f"""
        for number in range({count}):
            try:
                open(f"data-{{number}}")
            except FileNotFoundError:
                pass  # to try is enough
    """
    names, marks = recorded(tree, source)
    assert names == {f"data-{number}" for number in range(count)}
    assert marks == {"="}


def test_files_that_threads_open_at_once_are_recorded(tree: Path) -> None:
    source = """
        import sys, threading

        def read(thread):
            for number in range(2000):
                try:
                    open(f"data-{thread}-{number}")
                except FileNotFoundError:
                    pass

        sys.setswitchinterval(1e-6)
        threads = [threading.Thread(target=read, args=[name]) for name in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """
    names, _ = recorded(tree, source)
    read = {
        f"data-{thread}-{number}" for thread in range(8) for number in range(2000)
    }
    assert names == read


def test_a_forked_process_may_change_its_directory(tree: Path) -> None:
    source = """
        import os
        os.mkdir("below")
        if not os.fork():
            open("data-1")
            os.chdir("below")
            open("data-2", "w"); open("../data-3")
            os.kill(os.getpid(), 9)
        os.wait()
    """
    recorded(tree, source)
    entries = (tree.parent / "log/task/1/used").read_text().split("\0")
    start = entries.index("data-1")
    above = tree.resolve()
    assert entries[start - 1 : start + 3] == [
        f"\n@{above}/",
        "data-1",
        f"\n@{above}/below/",
        "../data-3",
    ]


def test_a_forked_process_appends_what_its_shared_memory_has_no_room_for(
    tree: Path,
) -> None:
    source = """
        import os
        if not os.fork():
            for number in range(3000):
                try:
                    open(f"data-{number:0150}")
                except FileNotFoundError:
                    pass
            os._exit(0)
        os.wait()
    """
    names, marks = recorded(tree, source)
    assert names == {f"data-{number:0150}" for number in range(3000)}
    assert marks == {"+", "-", "="}


def test_a_python_that_is_started_is_recorded_as_a_part(tree: Path) -> None:
    source = """
        import subprocess, sys
        for code in ("open('data-1')", "open('data-2'); import os; os.kill(os.getpid(), 9)"):
            subprocess.run([sys.executable, "-c", code], start_new_session=True)
    """
    assert recorded(tree, source) == ({"data-1"}, {"+", "-", "="})


def test_a_sitecustomize_of_the_user_is_loaded(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    own = tmp_path / "site/sitecustomize.py"
    own.write_text("import sys; sys.path.append('/added')")
    check = f"""
        import sitecustomize, sys
        assert sitecustomize.__file__ == {str(own)!r}, sitecustomize.__file__
        assert "/added" in sys.path and {STAND_IN!r} in sys.path
        open("data-1")
    """
    after = os.pathsep.join([STAND_IN, str(own.parent)])
    assert recorded(tree, check, path=after) == ({"data-1"}, {"="})
    before = os.pathsep.join([str(own.parent), STAND_IN])
    assert recorded(tree, check, path=before) == (set(), set())


def test_directories_of_packages_are_marked(tree: Path, tmp_path: Path) -> None:
    packages = tmp_path / "elsewhere/site-packages"
    path = os.pathsep.join([STAND_IN, str(packages)])
    recorded(tree, "", path=path)
    entries = (tree.parent / "log/task/1/used").read_text().split("\0")
    assert f"\n^{packages}/" in entries


def test_too_many_files_are_named_by_their_directories(
    tree: Path, tmp_path: Path
) -> None:
    source = f"""
        import os
        os.makedirs({str(tmp_path / "many")!r})
        import gitorch_kept_paths
        gitorch_kept_paths._MOST_OUTSIDE = 50
        for number in range(300):
            open({str(tmp_path)!r} + f"/many/data-{{number:03}}", "w").close()
            open({str(tmp_path)!r} + f"/many/data-{{number:03}}").close()
        os.chdir(".")
        open("data-1")
    """
    recorded(tree, source)
    entries = (tree.parent / "log/task/1/used").read_text().split("\0")
    named = [entry for entry in entries if "/many/data-" in entry]
    # The file of the module that this test changes is one of the 50, too.
    assert 45 <= len(named) < 300
    assert f"{tmp_path}/many/" in entries


MANY = """
    for number in range(20_000):
        open(f"data-{number % 9}")
"""
FORKING = """
    import os
    if os.fork() == 0:
        open("data-1")
        os._exit(0)
    os.wait()
"""


@pytest.mark.parametrize("source", [MANY, FORKING])
def test_the_recorder_needs_nothing_of_the_search_path(
    tree: Path, source: str
) -> None:
    emptied = "import sys; sys.path[:] = []; sys.meta_path[:] = []"
    expected = {f"data-{number}" for number in range(9)}
    names, marks = recorded(tree, f"{emptied}\n{textwrap.dedent(source)}")
    assert names == (expected if source is MANY else {"data-1"})
    assert "=" in marks


@pytest.mark.parametrize("source", [MANY, FORKING])
def test_the_program_goes_on_if_the_recorder_is_removed_meanwhile(
    tree: Path, tmp_path: Path, source: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(STAND_IN, copy)
    removed = f"import shutil; shutil.rmtree({str(copy)!r})"
    names, _ = recorded(
        tree, f"{removed}\n{textwrap.dedent(source)}", path=str(copy)
    )
    assert "data-1" in names


def test_a_started_python_records_each_of_many_files_once(tree: Path) -> None:
    source = f"""
        import subprocess, sys
        subprocess.run([sys.executable, "-c", {textwrap.dedent(MANY)!r}], check=True)
    """
    names, marks = recorded(tree, source)
    assert names == {f"data-{number}" for number in range(9)}
    assert marks == {"+", "-", "="}
    entries = (tree.parent / "log/task/1/used").read_text().split("\0")
    assert len(entries) < 200

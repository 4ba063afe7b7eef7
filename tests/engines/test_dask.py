"""Attempts on hosts that share no file system, with a real scheduler and workers of Dask.

The faults of list A are in `test_dask_faults`.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitorch.engines.contract import Ended, Order
from gitorch.engines.dask import run_files as dask_run_files
from gitorch.engines.dask import transfer as dask_transfer
from gitorch.engines.dask.engine import DaskEngine
from gitorch.model.run.outcome import (
    CouldNotStart,
    ExitCode,
    Succeeded,
)
from gitorch.model.run.spec import Resources
from tests.conftest import commit_files, git, wait_for
from tests.engines.bench import carry_out, log_of, next_ends
from tests.engines.dask_site import (
    DaskSite,
    Runs,
    begun,
    dask_site,
    living,
    wait_until_begun,
)

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[DaskSite]:
    with dask_site(tmp_path / "dask") as site:
        yield site


def engine(tmp_path: Path, slots: int = 2) -> DaskEngine:
    return DaskEngine(slots, tmp_path / "lock")


def test_everything_of_an_attempt_comes_back(
    dask_workers: DaskSite, tmp_path: Path
) -> None:
    runs = Runs(tmp_path, dask_workers.address)
    script = """
        cat data.txt; echo to stderr >&2
        grep -q "$GITORCH_OUTPUT_DIR" "$GITORCH_CONFIG"
        mkdir $GITORCH_OUTPUT_DIR/deep
        head -c 9000000 /dev/urandom > $GITORCH_OUTPUT_DIR/deep/model
        chmod +x $GITORCH_OUTPUT_DIR/deep/model
        ln -s model $GITORCH_OUTPUT_DIR/deep/latest
        echo changed > data.txt; echo new > built.txt; rm code.py
        sha256sum $GITORCH_OUTPUT_DIR/deep/model
        exit 3
    """
    with engine(tmp_path) as dask:
        order = runs.shell("a" * 12, script)
        [ended] = carry_out(dask, [order]).values()
    assert ended.outcome == ExitCode(exit_code=3)
    log = log_of(order).splitlines()
    assert log[:2] == ["committed", "to stderr"]
    run = runs.workspace / ("a" * 12)
    model = run / "output/deep/model"
    assert hashlib.sha256(model.read_bytes()).hexdigest() == log[2].split()[0]
    assert os.access(model, os.X_OK)
    assert (run / "output/deep/latest").readlink() == Path("model")
    assert (run / "tree/data.txt").read_text() == "changed\n"
    assert (run / "tree/built.txt").read_text() == "new\n"
    assert not (run / "tree/code.py").exists()
    left = [
        *dask_workers.cache("one").glob("*/runs/*"),
        *dask_workers.cache("two").glob("*/runs/*"),
    ]
    assert left == [], "the files of runs do not stay on hosts"


def test_a_later_task_has_what_an_earlier_one_made(
    dask_workers: DaskSite, tmp_path: Path
) -> None:
    runs = Runs(tmp_path, dask_workers.address)
    with engine(tmp_path) as dask:
        first = runs.shell(
            "b" * 12, "echo 1 > $GITORCH_OUTPUT_DIR/one; echo 2 > two"
        )
        carry_out(dask, [first])
        (runs.workspace / ("b" * 12) / "output/from-here").write_text("3\n")
        second = runs.shell("b" * 12, "cat $GITORCH_OUTPUT_DIR/* two", number=2)
        [ended] = carry_out(dask, [second]).values()
    assert ended.outcome == Succeeded()
    assert log_of(second) == "3\n1\n2\n"


def test_what_an_attempt_commits_comes_back_and_reaches_no_other_run(
    own_site: DaskSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_run_files, "_KEPT", 1)
    own_site.worker("one")
    runs = Runs(tmp_path, own_site.address)
    script = """
        echo changed > data.txt; rm code.py; mkdir code.py; echo new > code.py/inner
        git add --all; git checkout -q -b mine
        git -c user.name=A -c user.email=a@example.org commit -q -m mine
    """
    with engine(tmp_path) as dask:
        carry_out(dask, [runs.shell("a" * 12, script)])
        again = runs.shell("a" * 12, "cat data.txt code.py/inner", number=2)
        carry_out(dask, [again])
        [kept] = own_site.cache("one").glob("*/runs/*/tree")
        other = runs.shell("b" * 12, "cat data.txt code.py; git status --short")
        carry_out(dask, [other])
    assert log_of(again) == "changed\nnew\n"
    assert log_of(other) == "committed\nprint(1)\n"
    assert not kept.exists(), "the other run has its worktree"


def test_only_what_a_host_lacks_is_transferred(
    own_site: DaskSite, tmp_path: Path
) -> None:
    own_site.worker("one")
    runs = Runs(tmp_path, own_site.address)
    big = os.urandom(3_000_000)
    (runs.root / "big").write_bytes(big)
    commit_files(runs.root, {"small": "1"})

    def stored() -> int:
        packs = own_site.cache("one").glob("*/code.git/objects/pack/*.pack")
        return sum(pack.stat().st_size for pack in packs)

    with engine(tmp_path) as dask:
        carry_out(dask, [runs.shell("a" * 12, "test -s big")])
        before = stored()
        commit_files(runs.root, {"small": "2"})
        order = runs.shell("b" * 12, "cat small; wc -c < big")
        carry_out(dask, [order])
    assert log_of(order) == "23000000\n"
    assert before > len(big)
    assert stored() - before < 2000
    assert len([*own_site.cache("one").glob("*/programs/*")]) == 1


def test_a_host_has_submodules_and_filtered_files_and_no_more_than_a_sparse_tree(
    own_site: DaskSite, tmp_path: Path
) -> None:
    """Git has no content of a submodule, and a pointer in place of a file of Git LFS."""
    own_site.worker("one")
    runs = Runs(tmp_path, own_site.address)
    root = runs.root
    git(root, "config", "filter.large.clean", "sed s/content/pointer/")
    git(root, "config", "filter.large.smudge", "sed s/pointer/content/")
    commit_files(root, {".gitattributes": "*.bin filter=large\n"})
    commit_files(root, {"model.bin": "content\n", "left/out.txt": "outside\n"})
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},lib")
    git(root, "commit", "-q", "-m", "a submodule")
    assert git(root, "show", "HEAD:model.bin") == "pointer"

    def filled(run: str, number: int, script: str) -> Order:
        tree = runs.workspace / (run * 12) / "tree"
        order = runs.shell(run * 12, script, number=number)
        if number == 1:
            git(tree, "sparse-checkout", "set", "--skip-checks", "lib")
            (tree / "lib/deep").mkdir(parents=True)
            (tree / "lib/.git").write_text("gitdir: elsewhere\n")
            (tree / "lib/deep/code.py").write_text("print(2)\n")
        return order

    script = "cat model.bin lib/deep/code.py; ls -A . lib"
    changing = "echo print 3 > lib/deep/code.py; echo content 2 > model.bin"
    with engine(tmp_path) as dask:
        first = filled("a", 1, f"{script}; {changing}")
        carry_out(dask, [first])
        second = filled("a", 2, script)
        third = filled("b", 1, script)
        for order in (second, third):
            carry_out(dask, [order])
    listed = ".:\n.git\n.gitattributes\ncode.py\ndata.txt\nlib\nmodel.bin\n\nlib:\ndeep\n"
    assert log_of(first) == f"content\nprint(2)\n{listed}"
    assert log_of(second) == f"content 2\nprint 3\n{listed}"
    assert log_of(third) == log_of(first)
    tree = runs.workspace / ("a" * 12) / "tree"
    assert (tree / "lib/deep/code.py").read_text() == "print 3\n"
    assert (tree / "lib/.git").exists()
    assert (tree / "model.bin").read_text() == "content 2\n"


def test_linked_data_is_shipped_or_required(
    dask_workers: DaskSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(tmp_path, dask_workers.address)
    data = tmp_path / "data"
    data.mkdir()
    (data / "table.csv").write_text("a,b\n")
    script = "cat linked/table.csv"
    with engine(tmp_path) as dask:
        here = runs.shell("a" * 12, script)
        shipped = runs.shell("b" * 12, script, ship=["linked*"])
        lacking = runs.shell("c" * 12, script)
        for run in ("a", "b", "c"):
            (runs.workspace / (run * 12) / "tree/linked").symlink_to(data)
        ends = carry_out(dask, [here, shipped])
        assert [ends[order.token].outcome for order in (here, shipped)] == [
            Succeeded()
        ] * 2
        # On this machine every host sees the data, so it is taken for another one's.
        other = {"table.csv": ("file", 0o644, 2, "0" * 64)}
        monkeypatch.setattr(dask_transfer, "data_at", lambda _: other)
        refused = carry_out(dask, [lacking])[lacking.token]
    assert log_of(here) == log_of(shipped) == "a,b\n"
    assert isinstance(refused.outcome, CouldNotStart)
    assert f"does not have {data}/table.csv as it is here" in str(refused.outcome)
    assert "ship: [GLOB]" in str(refused.outcome)


def test_workers_are_asked_for_resources(
    own_site: DaskSite, tmp_path: Path
) -> None:
    own_site.worker("plain")
    own_site.worker("gpu", "--resources", "gpus=1")
    runs = Runs(tmp_path, own_site.address)
    with engine(tmp_path) as dask:
        orders = []
        for run in ("a", "b"):
            orders.append(
                runs.shell(
                    run * 12, "echo $HOME; sleep 0.2", resources=Resources(gpus=1)
                )
            )
        carry_out(dask, orders)
    for order in orders:
        assert log_of(order).endswith("/gpu\n")


def test_a_worker_that_pauses_goes_on(own_site: DaskSite, tmp_path: Path) -> None:
    """A worker that does not answer for less than a lease is cut off, and heals."""
    worker = own_site.worker("one")
    runs = Runs(tmp_path, own_site.address)
    with engine(tmp_path) as dask:
        order = begun(dask, runs.shell("a" * 12, "echo began; sleep 2; echo ended"))
        worker.send_signal(signal.SIGSTOP)
        time.sleep(1)
        worker.send_signal(signal.SIGCONT)
        [ended] = next_ends(dask, 1)
    assert ended.outcome == Succeeded()
    assert log_of(order) == "began\nended\n"


def test_an_attempt_ends_when_its_worker_here_is_gone(
    own_site: DaskSite, tmp_path: Path
) -> None:
    own_site.worker("one")
    runs = Runs(tmp_path, own_site.address)
    order = runs.endless("a" * 12)
    pid = os.fork()
    if pid == 0:
        try:
            dask = engine(tmp_path)
            dask.submit(order)
            while True:
                dask.poll()
                time.sleep(0.1)
        finally:
            os._exit(1)
    wait_until_begun(order)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    wait_for(lambda: living(order) == [], 15)
    # The next worker repeats the task, on the same host.
    with engine(tmp_path) as dask:
        again = runs.shell("a" * 12, "cat data.txt", number=2)
        ended: Ended = carry_out(dask, [again])[again.token]
    assert ended.outcome == Succeeded()
    assert log_of(again) == "committed\n"

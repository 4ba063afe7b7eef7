"""Records, and what lies beside them, that anybody has changed with git.

Whatever is wrong with one of them, every command works for all other runs, counts and names the
records that it has left out, and `gitorch doctor` explains them.
"""

from __future__ import annotations

import copy
import json
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import gitorch as package
from gitorch.git.modes import DIRECTORY, EXECUTABLE, FILE, LINK
from gitorch.git.repository import Repository
from gitorch.git.store.branch_edit import BranchEdit
from gitorch.git.store.results import ResultsBranch
from gitorch.git.store.trees import TreeEntry
from tests.conftest import git, gitorch, gitorch_json, started, wait_for, write

SUBMODULE = 0o160000
NOT_RECORDS = (
    b"",
    b'{"schema": "gitorch/record/v1", "id":',
    b'{"schema": "\xff\xfe"}',
    b"\xff\xfe{\x00}\x00",
    b"[]",
    b"1",
    b"null",
    b"{}",
    b"[" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"\0" * 1000,
    b'{"schema": 1' + b"0" * 5000 + b"}",
)
# At most one of these types is right for a field.
WRONG: tuple[Any, ...] = (
    None,
    True,
    3,
    -(10**30),
    10**400,
    1.5e308,
    "x",
    "a\n\x1b[31m\x00\u202e\udce9",
    "y" * 5000,
    "",
    [],
    [1, [None]],
    {},
    {"a": {"b": [1]}},
)
EACH = 3  # each field gets every third of these values
CONSTANTS = (b"NaN", b"-Infinity", b"1e999", b"-0.0", b"1" + b"0" * 400)
MARK = "a number that JSON does not have"
REMOVED = object()


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in a JSON value, the first element of each list included."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths_in(inner, (*path, key))
    elif isinstance(value, list) and value:
        yield from paths_in(value[0], (*path, 0))


def changed(record: Any, path: tuple[Any, ...], value: Any = REMOVED) -> Any:
    """Return a copy of `record` with another value at `path`."""
    whole = copy.deepcopy(record)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if value is REMOVED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return whole


def rendered(record: Any) -> bytes:
    return json.dumps(record).encode()


def mutants(record: dict[str, Any]) -> Iterator[bytes]:
    """Yield records that differ from `record` in one field, and texts that are no record."""
    yield from NOT_RECORDS
    yield rendered({**record, "id": "0" * 12})
    for schema in ("gitorch/record/v0", "else", 1, ""):
        yield rendered({**record, "schema": schema})
    for number, path in enumerate(paths_in(record)):
        if path == ("id",):
            continue
        yield rendered(changed(record, path))
        for value in WRONG[number % EACH :: EACH]:
            yield rendered(changed(record, path, value))
        constant = CONSTANTS[number % len(CONSTANTS)]
        marked = rendered(changed(record, path, MARK))
        yield marked.replace(f'"{MARK}"'.encode(), constant)
    once = rendered(record).removesuffix(b"}")
    yield once + b', "status": "WAITING", "tasks": []}'
    yield once + b', "more": "' + b"x" * 500_000 + b'"}'


def runs_path(run_id: str) -> str:
    return f"runs/{run_id[:2]}/{run_id}"


def branch(root: Path) -> ResultsBranch:
    return ResultsBranch(Repository.discover(root))


def records_of(root: Path) -> dict[str, dict[str, Any]]:
    """Return the records by the names of their runs."""
    return {record["name"]: record for record in branch(root).records()}


def plant(root: Path, *records: dict[str, Any]) -> list[str]:
    """Commit every mutant of these records, each as a run of its own. Return their ids."""
    planted = []
    with branch(root).changing() as edit:
        for record in records:
            for data in mutants(record):
                run_id = f"{len(planted):06x}efefef"
                own = data.replace(record["id"].encode(), run_id.encode())
                edit.put(f"{runs_path(run_id)}/record.json", own)
                planted.append(run_id)
        edit.commit("mutants")
    return planted


@pytest.fixture
def root(project: Path) -> Path:
    """Return a project with a run in each status that lasts."""
    write(
        project,
        "experiments/whole.yaml",
        """
        lr: 0.5
        tasks:
          - {id: t, command: "echo out; echo 1 > {outputDir}/kept", gitorch: {timeout: 5m}}
        """,
    )
    write(
        project, "experiments/broken.yaml", "tasks: [{id: t, command: 'false'}]\n"
    )
    gitorch(project, "run", "experiments", code=1)
    write(
        project, "experiments/waiting.yaml", "tasks: [{id: t, command: 'true'}]\n"
    )
    gitorch(project, "ready")
    write(
        project,
        "experiments/held.yaml",
        "h: 1\ntasks: [{id: t, command: 'true'}]\n",
    )
    gitorch(project, "ready", "--hold")
    return project


def assert_all_commands_work(root: Path, good: dict[str, str], note: str) -> None:
    """Check the exit code of every command for these runs, given by the name of their config.

    Each command that reads runs says on stderr how many records cannot be read: `note`.
    """
    names = ("whole", "broken", "waiting", "held")
    whole, broken, waiting, held = (good[name] for name in names)
    commands: tuple[tuple[str, ...], ...] = (
        ("list",),
        ("list", "--json"),
        ("list", "--csv"),
        ("list", "--all-columns"),
        ("list", "--where", "duration_s >= 0 and params.lr > 0"),
        ("list", "--sort", "created,-params.lr"),
        ("list", "--group", "params.lr", "--aggregate", "mean,std,max"),
        ("status",),
        ("status", "--json"),
        ("show", whole),
        ("show", broken, "--json"),
        ("logs", whole),
        ("compare", whole, broken),
        ("compare", whole, broken, "--json"),
        ("hold", waiting),
        ("release", waiting),
        ("retry", broken),
        ("hold", broken),
        ("set", "--priority", "3", waiting),
        ("run", waiting),
        ("kill", "--yes", held),
        ("checkout-run", whole),
        ("rerun", whole),
        ("ready",),
        ("collect",),
    )
    for words in commands:
        result = gitorch(root, *words, code=None)
        assert result.returncode == 0, f"{words}: {result.stdout}{result.stderr}"
        assert note in result.stderr, words
        assert "queue.db" not in result.stderr, words
    listed = {
        run["id"]: run["status"] for run in gitorch_json(root, "list")["runs"]
    }
    ends = ("COMPLETE", "HOLD", "COMPLETE", None)
    for run_id, status in zip((whole, broken, waiting, held), ends, strict=True):
        assert listed.get(run_id) == status


def findings(root: Path, *options: str) -> dict[str, dict[str, Any]]:
    """Return what `doctor` finds, by message."""
    document = gitorch_json(root, "doctor", *options, code=None)
    return {finding["message"]: finding for finding in document["findings"]}


def test_every_command_works_beside_records_with_any_field_changed(
    root: Path,
) -> None:
    records = records_of(root)
    planted = plant(root, records["whole"])
    good = {name: record["id"] for name, record in records.items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        listed = {run["id"] for run in package.runs(path=root)}
    assert "cannot be read" in str(caught[0].message)
    assert listed >= set(good.values())
    broken = [run_id for run_id in planted if run_id not in listed]
    assert len(broken) > 400
    explained = "\n".join(findings(root))
    for run_id in broken:
        assert f"the record of {run_id} cannot be read: " in explained
    assert_all_commands_work(root, good, f"{len(broken)} records cannot be read: ")


def expand(root: Path, count: int) -> list[str]:
    """Ready a sweep of waiting runs that note when they are executed. Return their ids."""
    command = (
        f"touch {root.parent}/ran-{{n}}; echo out; echo 1 > {{outputDir}}/kept"
    )
    tasks = [{"id": "t", "command": command}]
    config = {"gitorch": {"matrix": {"n": list(range(count))}}, "tasks": tasks}
    write(root, "experiments/sweep.yaml", json.dumps(config))
    readied = gitorch_json(root, "ready", "experiments/sweep.yaml")
    return [run["id"] for run in readied["queued"]]


def put_record(edit: BranchEdit, run_id: str, data: bytes) -> None:
    edit.put(f"{runs_path(run_id)}/record.json", data)


def test_runs_whose_records_were_damaged_in_the_queue_are_not_executed(
    root: Path,
) -> None:
    texts = [text for text in NOT_RECORDS if len(text) < 10_000]
    fields = ("spec", "tasks", "pin", "status", "created", "clone", "identity")
    newer = {"schema": "gitorch/record/v2", "anything": {}}
    run_ids = expand(root, len(texts) + 2 * len(fields) + 8)
    damaged = []
    with branch(root).changing() as edit:
        for run_id, text in zip(run_ids, texts, strict=False):
            put_record(edit, run_id, text)
            damaged.append(run_id)
        for value, names in ((REMOVED, fields), ([{"x": 1}], fields)):
            for name in names:
                run_id = run_ids[len(damaged)]
                record = edit.record(run_id)
                put_record(edit, run_id, rendered(changed(record, (name,), value)))
                damaged.append(run_id)
        for run_id in run_ids[len(damaged) : len(damaged) + 2]:
            put_record(edit, run_id, rendered({**newer, "id": run_id}))
        edit.remove(f"{runs_path(run_ids[-1])}/record.json")
        edit.commit("damage")
    later = run_ids[len(damaged) : len(damaged) + 2]
    damaged.append(run_ids[-1])
    before = git(root, "rev-parse", "gitorch/results")
    ran = gitorch(root, "run")
    assert f"{len(damaged)} records cannot be read: " in ran.stderr
    assert "2 records were written by a newer gitorch: " in ran.stderr
    sound = set(run_ids) - {*damaged, *later}
    executed = {path.name for path in root.parent.glob("ran-*")}
    assert executed == {f"ran-{run_ids.index(run_id)}" for run_id in sound}
    for run_id in (*damaged, *later):
        path = f"{runs_path(run_id)}/record.json"
        assert git(root, "diff", before, "gitorch/results", "--", path) == ""
    for run_id, message in (
        (damaged[3], "cannot be read"),
        (later[0], "newer gitorch"),
    ):
        for words in (
            ("show", run_id),
            ("show", run_id[:8]),
            ("logs", run_id),
            ("run", run_id),
            ("hold", run_id),
            ("kill", "--yes", run_id),
            ("retry", run_id),
            ("compare", run_id, "whole"),
            ("checkout-run", run_id),
            ("rerun", run_id),
            ("revert", run_id),
        ):
            refused = gitorch(root, *words, code=1).stderr
            assert f"the record of run {run_id}" in refused, words
            assert message in refused, words
    found = findings(root)
    whats = [finding["what"] for finding in found.values()]
    assert whats.count("record-unreadable") == len(damaged)
    assert whats.count("record-newer") == 2
    gitorch(root, "doctor", "--fix", code=1)
    assert gitorch_json(root, "status")["counts"]["COMPLETE"] == len(sound) + 2


def put_odd_entries(
    edit: BranchEdit, run_ids: list[str], blob: bytes, tree: bytes
) -> int:
    """Put something else in the place of records and files, one for each run.

    Return the number of records that cannot be read.
    """
    entries = {
        "record.json": (DIRECTORY, LINK, SUBMODULE),
        "": (FILE, LINK, SUBMODULE, DIRECTORY),
        "config.yaml": (DIRECTORY, LINK, SUBMODULE),
        "tasks": (FILE, LINK, SUBMODULE),
        "tasks/t/1/attempt.json": (FILE, DIRECTORY, LINK, SUBMODULE),
        "tasks/t/1/log.txt": (DIRECTORY, LINK, SUBMODULE),
        "tasks/t/1": (FILE, SUBMODULE),
        "tasks/t": (FILE, SUBMODULE),
        "tasks/odd\n\x1b[31m/1/log.txt": (FILE,),
        "outputs": (FILE, SUBMODULE),
        "outputs/kept": (DIRECTORY, SUBMODULE),
        ".gitattributes": (DIRECTORY, LINK, SUBMODULE),
    }
    waiting = iter(run_ids)
    for name, modes in entries.items():
        for mode in modes:
            oid = tree if mode == DIRECTORY else blob
            path = f"{runs_path(next(waiting))}/{name}".removesuffix("/")
            edit.put(path, TreeEntry(mode, oid))
    for name in (
        "config.yaml",
        "tasks",
        "outputs",
        "tasks/t/1/attempt.json",
        "tasks/t/1/log.txt",
    ):
        edit.remove(f"{runs_path(next(waiting))}/{name}")
    run_id = next(waiting)
    data = edit.read(f"{runs_path(run_id)}/record.json")
    assert data is not None
    edit.put(f"{runs_path(run_id)}/record.json", data, EXECUTABLE)
    return len(entries["record.json"]) + len(entries[""])


STRAYS = (
    "runs/stray",
    "runs/a",
    "runs/abc/abcdefabcdef/record.json",
    "runs/00/stray.txt",
    "runs/00/ABCDEFABCDEF/record.json",
    "runs/00/abcdefabcdef/record.json",
    "runs/00/short/record.json",
    "runs/00/odd\n\x1b[31m\u202e/record.json",
    "runs/ZZ/zzzzzzzzzzzz/record.json",
    "killed/stray",
    "killed/00/stray",
    "killed/00/abcdefabcdef",
)


MANY = """
import json, sys
from gitorch.__main__ import main

codes = []
for words in json.loads(sys.argv[1]):
    print(words, file=sys.stderr)
    sys.argv[1:] = words
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
with open("codes.json", "w") as file:
    json.dump(codes, file)
"""


def exit_codes(root: Path, commands: Sequence[Sequence[str]]) -> list[int]:
    """Run these commands in one process, which is faster. Return their exit codes."""
    subprocess.run(
        [sys.executable, "-c", MANY, json.dumps(commands)], cwd=root, check=True
    )
    codes: list[int] = json.loads((root / "codes.json").read_text())
    (root / "codes.json").unlink()
    assert len(codes) == len(commands)
    return codes


def test_every_command_works_beside_anything_in_the_place_of_files(
    root: Path,
) -> None:
    good = {name: record["id"] for name, record in records_of(root).items()}
    run_ids = expand(root, 40)
    gitorch(root, "run", *run_ids)
    # A file in the place of a directory that none of the runs is in.
    taken = {run_id[:2] for run_id in (*good.values(), *run_ids)}
    free = next(
        prefix
        for prefix in map("{:02x}".format, range(1, 256))
        if prefix not in taken
    )
    strays = (*STRAYS, f"runs/{free}")
    tree = git(root, "rev-parse", f"gitorch/results:{runs_path(good['whole'])}")
    with branch(root).changing() as edit:
        edit.put("runs/00/stray.txt", b'{"stray": 1}')
        edit.commit("stray")
    blob = git(root, "rev-parse", "gitorch/results:runs/00/stray.txt")
    with branch(root).changing() as edit:
        unread = put_odd_entries(
            edit, run_ids, bytes.fromhex(blob), bytes.fromhex(tree)
        )
        for path in strays:
            edit.put(path, b"stray\n")
        edit.commit("odd entries")
    commands = []
    for run_id in run_ids:
        commands += [(verb, run_id) for verb in ("show", "logs", "checkout-run")]
    assert 70 not in exit_codes(root, commands)
    found = findings(root)
    for path in strays:
        stray = "/".join(path.split("/")[: 3 if path.count("/") > 1 else 2])
        if path.startswith(("runs/abc/", "runs/ZZ/")):
            stray = "/".join(path.split("/")[:2])
        assert any(message.startswith(stray) for message in found), path
    assert_all_commands_work(root, good, f"{unread} records cannot be read: ")


@pytest.mark.parametrize("mode", [FILE, LINK, SUBMODULE])
def test_a_file_in_the_place_of_all_runs_is_explained(
    root: Path, mode: int
) -> None:
    blob = git(root, "rev-parse", "gitorch/results:README.md")
    with branch(root).changing() as edit:
        edit.put("runs", TreeEntry(mode, bytes.fromhex(blob)))
        edit.commit("gone")
    for words in (("list",), ("status",), ("run",), ("ready",), ("list", "--json")):
        gitorch(root, *words)
    gitorch(root, "show", "whole", code=None)


def test_a_record_that_is_damaged_while_its_task_runs_refuses_the_result(
    root: Path,
) -> None:
    mark = root.parent / "begun"
    command = (
        f"touch {mark}; while [ ! -e {mark}.go ]; do sleep 0.02; done; echo late"
    )
    write(
        root,
        "experiments/slow.yaml",
        json.dumps({"tasks": [{"id": "t", "command": command}]}),
    )
    [run_id] = [
        run["id"]
        for run in gitorch_json(root, "ready", "experiments/slow.yaml")["queued"]
    ]
    worker = started(root, "run")
    wait_for(mark.exists)
    with branch(root).changing() as edit:
        put_record(edit, run_id, b"{}")
        edit.commit("damage")
    Path(f"{mark}.go").touch()
    _, stderr = worker.communicate(timeout=30)
    assert worker.returncode == 1, stderr
    assert f"the record of run {run_id} cannot be read" in stderr
    assert (
        git(root, "show", f"gitorch/results:{runs_path(run_id)}/record.json")
        == "{}"
    )
    [log] = root.parent.glob("project.gitorch/not-accepted/*/log.txt")
    assert log.read_text() == "late\n"
    assert "1 record cannot be read" in gitorch(root, "run").stderr


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


@pytest.mark.parametrize(
    "payload", ["", "{", "[]", "null", "{}", '{"spec": 1}', "[" * 5000, '"\\ud800"']
)
def test_a_damaged_row_of_the_queue_is_read_from_its_record(
    root: Path, payload: str
) -> None:
    gitorch(root, "retry", "broken")
    with database(root / ".git/gitorch/queue.db") as queue:
        queue.execute("UPDATE runs SET payload = ?", [payload])
        queue.execute("UPDATE tasks SET outcome = ?", [payload])
    for words in (
        ("status",),
        ("list",),
        ("hold", "waiting"),
        ("release", "waiting"),
    ):
        gitorch(root, *words)
    ran = gitorch(root, "run", code=1)
    assert "broken: t ERROR" in ran.stderr
    assert gitorch_json(root, "show", "waiting")["run"]["status"] == "COMPLETE"


def test_a_damaged_row_of_the_index_is_read_from_its_record(root: Path) -> None:
    expected = gitorch_json(root, "list")
    for column, value in (
        ("summary", "{"),
        ("live", "[[["),
        ("status", "ODD"),
        ("name", b"\xff"),
        ("summary", "[1,2,3]"),
        ("live", "[1, [2]]"),
    ):
        with database(root / ".git/gitorch/index.db") as index:
            index.execute(
                f"UPDATE runs SET {column} = ? WHERE {column} IS NOT NULL", [value]
            )
        gitorch(root, "status")
        assert gitorch_json(root, "list") == expected, column
        gitorch(root, "show", "whole")


def test_stray_references_of_gitorch_stop_nothing(root: Path) -> None:
    blob = git(root, "rev-parse", "gitorch/results:README.md")
    tree = git(root, "rev-parse", "gitorch/results^{tree}")
    git(root, "tag", "-a", "-m", "x", "v1")
    for name, target in (
        (f"pins/{blob}", blob),
        (f"pins/{tree}", tree),
        ("pins/odd", "HEAD"),
        ("pins/tag", "v1"),
        ("kept/odd", blob),
        ("kept/tree", tree),
        ("kept/tag", "v1"),
        ("else/where", tree),
    ):
        git(root, "update-ref", f"refs/gitorch/{name}", target)
    broken = root / ".git/refs/gitorch/pins/broken"
    broken.write_text("f" * 40 + "\n")
    (root / ".git/refs/gitorch/pins/empty").write_text("")
    state = root / ".git/gitorch"
    (state / "workers").mkdir(exist_ok=True)
    (state / "workers/odd\n\x1b[31m.lock").write_bytes(b"\xff")
    (state / "workers/directory.lock").mkdir()
    (state / "workers/link.lock").symlink_to("nowhere")
    for path in (state / "interpreters").glob("*.json"):
        path.write_bytes(b'{"asked": [[[')
    workspace = root.parent / "project.gitorch"
    (workspace / "abcdefabcdef").mkdir()
    (workspace / "ffffffffffff").write_text("a file")
    (workspace / "eeeeeeeeeeee").symlink_to("nowhere")
    for path in workspace.glob("*/seen.json"):
        path.write_bytes(b"[" * 10_000)
    good = {name: record["id"] for name, record in records_of(root).items()}
    assert_all_commands_work(root, good, "")
    assert gitorch(root, "doctor", code=None).returncode in (0, 1)
    assert gitorch(root, "doctor", "--fix", code=None).returncode in (0, 1)

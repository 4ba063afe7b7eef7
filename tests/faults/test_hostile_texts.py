"""Texts and names in records that attack a terminal or a file system.

Anybody can write such a record, and a merge or a fetch brings it in.
"""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitorch.cli.offers import complete_runs
from gitorch.cli.style import without_controls
from gitorch.git.modes import FILE, LINK
from gitorch.git.repository import Repository
from gitorch.git.store.branch_edit import BranchEdit
from gitorch.git.store.results import ResultsBranch
from gitorch.model.branch_layout import (
    RunPaths,
    environment_path,
    escaped_for_checkout,
)
from gitorch.model.run.environment import digest_of, render_environment
from tests.conftest import git, gitorch, gitorch_json, write

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\u2066\u200f\u061c\x08\x7f\r\x00\n\tid  FAKE"
# C0 except line feeds, DEL, C1, and characters that change the direction of text.
FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# The fields that a record needs as they are, because it cannot be read otherwise.
KEPT = {
    "schema",
    "id",
    "status",
    "commit",
    "tree",
    "sha256",
    "environment_sha256",
    "mode",
    "stored",
    "kind",
    "from",
}
KEPT |= {
    "to",
    "created",
    "started",
    "ended",
    "at",
    "clone",
    "origin",
    "sorted_at",
    "task",
    "needs",
}


def poisoned(value: Any, key: str = "") -> Any:
    """Return the JSON value with EVIL at the end of every text and in every free key."""
    match value:
        case str():
            if key in KEPT:
                return value
            evil = EVIL.replace("\x00", "") if key == "path" else EVIL
            return f"{value[:40]}{evil}"
        case list():
            return [poisoned(item, key) for item in value]
        case dict() if key in (
            "params",
            "document",
            "metrics",
            "environment",
            "env",
        ):
            return {f"{name}{EVIL}": poisoned(item) for name, item in value.items()}
        case dict():
            return {name: poisoned(item, name) for name, item in value.items()}
    return value


def poison_environment(edit: BranchEdit, record: dict[str, Any]) -> None:
    """Let the record and its attempts name a hostile environment, if they name one."""
    for holder in (record, *record["tasks"][0]["attempts"]):
        digest = holder.get("environment_sha256")
        if digest is None:
            continue
        stored = edit.read(environment_path(digest))
        assert stored is not None
        text = render_environment(poisoned(json.loads(stored), "environment"))
        holder["environment_sha256"] = digest_of(text)
        edit.put(environment_path(holder["environment_sha256"]), text)


@pytest.fixture
def hostile(project: Path) -> str:
    """Make hostile runs in several statuses. Return the id of one that is COMPLETE."""
    write(
        project,
        "experiments/a.yaml",
        """
        lr: text
        gitorch: {outputs: ['*.md'], inputs: [README.md]}
        tasks:
          - {id: t, command: 'echo out; echo {} > {outputDir}/metrics.json; echo 1 > {outputDir}/x'}
        """.replace("echo {}", "printf \\'[]\\'").replace("\\'", '"'),
    )
    write(
        project,
        "experiments/b.yaml",
        "x: 1\ntasks: [{id: t, command: 'echo why >&2; false'}]\n",
    )
    gitorch(project, "run", "experiments", code=1)
    write(
        project, "experiments/c.yaml", "x: 2\ntasks: [{id: t, command: 'true'}]\n"
    )
    gitorch(project, "ready", "--hold")
    results = ResultsBranch(Repository.discover(project))
    first = ""
    with results.changing() as edit:
        for number, record in enumerate(list(results.records())):
            run_id = f"{number:x}0ffee00ffee"
            record["metrics"] = record["tasks"][0]["metrics"] = {"acc": 0.5}
            evil = {**poisoned(record), "id": run_id}
            evil["tasks"][0]["id"] = evil["spec"]["tasks"][0]["id"] = "t"
            poison_environment(edit, evil)
            evil["tasks"][0]["metrics"] = {f"acc{EVIL}": 0.5}
            edit.put(RunPaths.of(run_id).record, json.dumps(evil).encode())
            if record["status"] == "COMPLETE":
                first = run_id
        bad = json.dumps({**record, "id": "f" * 12, "status": EVIL})
        edit.put(RunPaths.of("f" * 12).record, bad.encode())
        edit.put(f"runs/00/stray{EVIL}".replace("\x00", ""), b"stray")
        edit.commit("hostile")
    return first


def assert_clean(text: str, words: object) -> None:
    found = FORBIDDEN.search(text)
    assert found is None, (
        f"{words}: {text[max(0, found.start() - 80) : found.end() + 20]!r}"
    )


def test_no_field_of_a_record_reaches_a_terminal_raw(
    project: Path, hostile: str
) -> None:
    ids = [run["id"] for run in gitorch_json(project, "list")["runs"]]
    assert len(ids) == 6
    commands: list[tuple[str, ...]] = [
        ("list",),
        ("list", "--all-columns"),
        ("list", "--csv"),
        ("list", "--json"),
        ("list", "--group", "status"),
        ("list", "--where", "nothing == 1"),
        ("list", "--sort", "nothing"),
        ("status",),
        ("status", "--json"),
        ("doctor",),
        ("doctor", "--json"),
        ("ready",),
        ("ready", "--dry-run"),
        ("collect", "--dry-run", "--older-than", "0d"),
        ("compare", *ids),
        ("compare", *ids, "--json"),
        ("compare", *ids, "--code"),
        ("compare", *ids, "--environment", "--config", "--data"),
        ("show", "0"),
        ("run", EVIL.replace("\x00", "")),
        ("show", EVIL.replace("\x00", "")),
    ]
    for run_id in (*ids, "f" * 12):
        for verb in (
            "show",
            "logs",
            "revert",
            "checkout-run",
            "rerun",
            "hold",
            "release",
            "run",
            "retry",
            "kill",
            "fail",
            "resubmit",
        ):
            commands.append((verb, run_id))
        commands.append(("kill", run_id, "--yes"))
        commands += [("show", run_id, "--json"), ("logs", run_id, "--task", "none")]
    for words in commands:
        result = gitorch(project, *words, code=None)
        assert result.returncode != 70, f"{words}: {result.stderr}"
        out = result.stdout
        if "--csv" in words:
            out = out.replace("\t", "")
        assert_clean(out, words)
        assert_clean(result.stderr.replace("\t", ""), words)
    table = gitorch(project, "list").stdout.splitlines()
    assert len([line for line in table if line.startswith("id ")]) == 1


def test_completions_control_no_terminal(
    project: Path, hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    for prefix in ("", "a", hostile[:4]):
        for word, description in complete_runs(prefix):
            assert_clean(word + description, prefix)


def on_terminal(root: Path, *words: str) -> bytes:
    """Return what a command prints on a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gitorch", *words],
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "PAGER": "cat"},
    )
    os.close(follower)
    printed = b""
    try:
        while block := os.read(leader, 65536):
            printed += block
    except OSError:
        pass  # Linux reports the end of a terminal as an error
    os.close(leader)
    assert process.wait(timeout=30) == 0
    return printed.replace(b"\r\n", b"\n")


def test_a_log_on_a_terminal_keeps_its_colours_and_nothing_else(
    project: Path,
) -> None:
    raw = "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J\x9b5m\u202eback\x07 50% end\n"
    (project / "raw").write_text(raw)
    write(
        project,
        "experiments/a.yaml",
        f"tasks: [{{id: t, command: 'cat {project}/raw'}}]\n",
    )
    gitorch(project, "run", "experiments")
    shown = on_terminal(project, "logs", "a").decode()
    assert "\x1b[31mred\x1b[0m" in shown
    assert_clean(
        shown.replace("\x1b[31m", "").replace("\x1b[0m", "").replace("\r", ""),
        shown,
    )
    assert "title" not in shown


def test_controls_are_left_out_of_raw_output() -> None:
    data = b"a\x1b[1;31mb\x1b[0m\x1b[2Jc\x1b]8;;http://x\x1b\\d\x1bPq\x1b\\e\x1bcf\tg\r\x08h\n\xe2\x80\xaei"
    assert without_controls(data) == b"a\x1b[1;31mb\x1b[0mcdef\tg\r\x08h\ni"


REFUSED = (
    ".git",
    ".GIT",
    ".giT/config",
    "a/.git/hooks/x",
    "git~1",
    "GIT~1/x",
    ".git ",
    ".git.",
    ".git. .",
    ".g\u200cit",
    "\ufeff.git",
    ".git::$INDEX_ALLOCATION",
    "a\\.git",
    "%.git",
    "%%.Git",
)
ALLOWED = (
    ".gitignore",
    ".github/x",
    "a.git",
    "git",
    "git~2",
    ".gi",
    "%x",
    "...",
    "x/.gitkeep",
)


@pytest.mark.parametrize("path", REFUSED)
def test_names_that_git_refuses_are_escaped(path: str) -> None:
    shown = escaped_for_checkout(path)
    assert shown != path
    assert shown.replace("%", "") == path.replace("%", "")


def test_other_names_stay_and_no_two_become_the_same() -> None:
    assert [escaped_for_checkout(path) for path in ALLOWED] == list(ALLOWED)
    assert escaped_for_checkout(".gitmodules") == ".gitmodules"
    assert escaped_for_checkout(".gitmodules", is_link=True) == "%.gitmodules"
    shown = [escaped_for_checkout(path) for path in (*REFUSED, *ALLOWED)]
    assert len(set(shown)) == len(shown)


def hostile_outputs(project: Path, files: dict[str, tuple[int, bytes]]) -> str:
    """Commit a record with these outputs. Return the id of its run."""
    write(project, "experiments/a.yaml", "tasks: [{id: t, command: 'true'}]\n")
    gitorch(project, "run", "experiments")
    results = ResultsBranch(Repository.discover(project))
    [record] = results.records()
    run_id = "c0ffeec0ffee"
    with results.changing() as edit:
        outputs = []
        for path, (mode, data) in files.items():
            digest = hashlib.sha256(data).hexdigest()
            outputs.append(
                {
                    "path": path,
                    "size": len(data),
                    "sha256": digest,
                    "stored": "git",
                    "task": "t",
                    "mode": f"{mode:o}",
                }
            )
            edit.put(RunPaths.of(run_id).output(path), data, mode)
        record |= {"id": run_id, "outputs": outputs}
        edit.put(RunPaths.of(run_id).record, json.dumps(record).encode())
        edit.commit("hostile")
    return run_id


def test_a_checkout_has_no_git_directory_of_a_record(project: Path) -> None:
    evil = b"[core]\n\tfsmonitor = touch /tmp/owned\n"
    files = {
        f"{path}/config" if path[-1] != "x" else path: (FILE, evil)
        for path in REFUSED
        if "\\" not in path
    }
    files[".gitmodules"] = (LINK, b"../../x")
    run_id = hostile_outputs(project, files)
    path = Path(gitorch(project, "checkout-run", run_id).stdout.rstrip("\n"))
    kept = path / f"run-{run_id}" / "outputs"
    names = [entry.name for entry in kept.rglob("*") if entry.is_file()]
    assert (
        len([name for name in names if name in ("config", "x")]) == len(files) - 1
    )
    for entry in kept.rglob("*"):
        name = entry.name.removeprefix("%")
        assert entry.name.startswith("%") or escaped_for_checkout(name) == name
    assert (kept / "%.gitmodules").is_symlink()
    assert git(path, "status", "--porcelain") == ""


@pytest.mark.parametrize("path", ["../x", "/tmp/x", "a/../../x", "link/x"])
def test_a_checkout_writes_nothing_outside_of_its_directory(
    project: Path, path: str
) -> None:
    target = project.parent / "outside"
    target.mkdir()
    files = {"link": (LINK, os.fsencode(target)), "a": (FILE, b"1")}
    run_id = hostile_outputs(project, files)
    results = ResultsBranch(Repository.discover(project))
    with results.changing() as edit:
        record = edit.record(run_id)
        assert record is not None
        record["outputs"].append({**record["outputs"][1], "path": path})
        edit.put_record(record)
        edit.commit("hostile")
    refused = gitorch(project, "checkout-run", run_id, code=None)
    assert refused.returncode in (1, 3, 4), refused.stderr
    assert list(target.iterdir()) == []
    assert not (project.parent / "x").exists()

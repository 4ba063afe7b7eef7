"""Errors become text or one JSON document, and an exit code."""

from __future__ import annotations

import errno
import json
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from gitorch.cli.boundary import guarded
from gitorch.errors import (
    Busy,
    GitorchError,
    NotFound,
    ProgramMissing,
    Refused,
    UserInterrupted,
)


def run_guarded(error: BaseException | None, *, as_json: bool = False) -> int:
    """Run a command that raises `error`, and return its exit code."""

    @guarded
    def command(as_json: bool) -> None:
        if error is not None:
            raise error

    with pytest.raises(typer.Exit) as end:
        command(as_json=as_json)
    return end.value.exit_code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (GitorchError("it failed"), 1),
        (NotFound("no such run"), 3),
        (Refused("it would lose work"), 4),
        (Busy("it is locked"), 5),
        (ProgramMissing("git is missing"), 69),
        (UserInterrupted("interrupted"), 130),
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: BaseException | None, code: int
) -> None:
    assert run_guarded(error) == code


def test_an_error_is_text_on_stderr_without_control_sequences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_guarded(NotFound("no run \x1b[2Jx", hint="gitorch list"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: no run x\nhint: gitorch list\n"


def test_an_error_is_one_json_document_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_guarded(NotFound("no such run", hint="gitorch list"), as_json=True)
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "schema": "gitorch/error/v1",
        "error": {
            "kind": "not-found",
            "message": "no such run",
            "hint": "gitorch list",
        },
    }


def test_the_file_that_the_system_refused_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_guarded(PermissionError(errno.EACCES, "Permission denied", b"/data/\xff"))
    assert capsys.readouterr().err.startswith(
        "error: /data/?: Permission denied\nhint: see who"
    )


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_what_the_system_refused_is_listed_as_far_as_it_exists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    here = tmp_path / "my data"
    here.mkdir()
    run_guarded(PermissionError(number, "no", str(here / "a/b")))
    *_, hint = capsys.readouterr().err.splitlines()
    command = hint.removeprefix("hint: see who owns it: ")
    listed = subprocess.run(
        shlex.split(command), check=True, capture_output=True, text=True
    )
    assert str(here) in listed.stdout


def test_a_refusal_without_a_path_has_no_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_guarded(PermissionError(errno.EPERM, "Operation not permitted"))
    assert capsys.readouterr().err == "error: Operation not permitted\n"

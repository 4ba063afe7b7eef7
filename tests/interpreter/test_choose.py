"""The interpreter is chosen: the config's, the active environment's, .venv's or gitorch's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gitorch.errors import ProgramMissing
from gitorch.interpreter.choose import choose


def make_python(path: Path) -> str:
    path.parent.mkdir(parents=True)
    path.symlink_to(sys.executable)
    return str(path)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Create every interpreter that can be chosen, and return the environment that names them."""
    make_python(tmp_path / "venv/bin/python")
    make_python(tmp_path / "conda/bin/python")
    make_python(tmp_path / "root/.venv/bin/python")
    make_python(tmp_path / "bin/python3.99")
    return {
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "CONDA_PREFIX": str(tmp_path / "conda"),
        "PATH": str(tmp_path / "bin"),
    }


def test_interpreters_are_chosen_in_a_fixed_order(
    environ: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    in_root = str(root / ".venv/bin/python")
    assert choose(".venv/bin/python", root, environ) == in_root
    assert choose(None, root, environ) == str(tmp_path / "venv/bin/python")
    del environ["VIRTUAL_ENV"]
    assert choose(None, root, environ) == str(tmp_path / "conda/bin/python")
    del environ["CONDA_PREFIX"]
    assert choose(None, root, environ) == in_root
    assert choose(None, tmp_path, environ) == sys.executable


def test_a_config_can_name_an_environment_or_a_program(
    environ: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    venv = tmp_path / "venv"
    assert choose(".venv", root, environ) == str(root / ".venv/bin/python")
    assert choose("../venv", root, environ) == str(root / "../venv/bin/python")
    assert choose(str(venv), root, environ) == str(venv / "bin/python")
    assert choose("python3.99", root, environ) == str(tmp_path / "bin/python3.99")


@pytest.mark.parametrize(
    "python", ["python3.98", "bin/python", ".", "/nowhere/python", "README"]
)
def test_a_missing_interpreter_is_reported(
    environ: dict[str, str], tmp_path: Path, python: str
) -> None:
    (tmp_path / "root/README").write_text("not a program")
    with pytest.raises(ProgramMissing, match=f"no Python interpreter '{python}'"):
        choose(python, tmp_path / "root", environ)


def test_a_deleted_environment_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="VIRTUAL_ENV is '/gone'") as caught:
        choose(None, tmp_path, {"VIRTUAL_ENV": "/gone"})
    assert (
        caught.value.hint
        == "activate another environment, or deactivate this one: unset VIRTUAL_ENV"
    )

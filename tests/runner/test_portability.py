"""The programs of the runner use only the standard library and syntax of Python 3.8."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from gitorch import runner

FILES = sorted(Path(runner.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_python_3_8_and_the_standard_library(path: Path) -> None:
    parsed = ast.parse(path.read_text(), feature_version=(3, 8))
    imported = {
        name.split(".")[0]
        for node in ast.walk(parsed)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    # Beside the program, or on the PYTHONPATH of attempts.
    own = {"gitorch_task", "gitorch_recorder", "sitecustomize"}
    assert imported <= own | set(sys.stdlib_module_names)
    has_functions = any(
        isinstance(node, ast.FunctionDef | ast.AnnAssign)
        for node in ast.walk(parsed)
    )
    if (
        has_functions
    ):  # annotations of later Pythons do no harm where they are not evaluated
        assert "annotations" in {
            alias.name
            for node in parsed.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

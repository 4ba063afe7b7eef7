"""Editable installs of every kind do not replace the pinned code.

The tests create a real environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitorch.errors import ProgramMissing, Refused
from gitorch.interpreter.environment import attempt_environment
from gitorch.interpreter.probe import Interpreter, probe, source_roots, verify


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Create the main tree: a package in `src`, a module beside it and a virtual environment."""
    root = tmp_path / "main"
    write_project(root, "main")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True
    )
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Create the worktree of a run."""
    tree = tmp_path / "tree"
    write_project(tree, "pinned")
    return tree


def write_project(root: Path, where: str) -> None:
    (root / "src/pkg").mkdir(parents=True)
    (root / "src/pkg/__init__.py").write_text(f"WHERE = {where!r}\n")
    (root / "src/pkg/inner.py").write_text(f"WHERE = {where!r}\n")
    (root / "flat.py").write_text(f"WHERE = {where!r}\n")


def site_packages(root: Path) -> Path:
    return next((root / ".venv/lib").glob("python3*")) / "site-packages"


def ask(root: Path, environ: Mapping[str, str] = os.environ) -> Interpreter:
    return probe(str(root / ".venv/bin/python"), cwd=root, env=environ)


def environment(
    interpreter: Interpreter,
    tree: Path,
    root: Path,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    return attempt_environment(
        base,
        interpreter=interpreter,
        tree=tree,
        main_root=root,
        declared={},
        gitorch={},
    )


def imported(interpreter: Interpreter, tree: Path, root: Path, module: str) -> str:
    """Return the WHERE of the module that an attempt imports."""
    script = f"import {module}; print({module}.WHERE)"
    command = [interpreter.executable, "-c", script]
    result = subprocess.run(
        command,
        cwd=tree.parent,
        env=environment(interpreter, tree, root),
        capture_output=True,
        text=True,
        check=True,
    )
    return result.stdout.strip()


def write_finder(root: Path, mapping: dict[str, str]) -> None:
    """Create an editable install as setuptools does for a flat layout."""
    site = site_packages(root)
    (site / "__editable___proj_1_0_finder.py").write_text(
        "import importlib.machinery, importlib.util, sys\n"
        "from pathlib import Path\n"
        f"MAPPING = {mapping!r}\n"
        "class _EditableFinder:\n"
        "    @classmethod\n"
        "    def find_spec(cls, fullname, path=None, target=None):\n"
        "        if fullname in MAPPING:\n"
        "            path = Path(MAPPING[fullname])\n"
        "            init = path / '__init__.py'\n"
        "            file = init if init.exists() else path.with_suffix('.py')\n"
        "            return importlib.util.spec_from_file_location(fullname, file)\n"
        "def install():\n"
        "    sys.meta_path.append(_EditableFinder)\n"
    )
    (site / "__editable__.proj-1.0.pth").write_text(
        "import __editable___proj_1_0_finder; __editable___proj_1_0_finder.install()\n"
    )


def test_an_interpreter_describes_itself(root: Path) -> None:
    site = site_packages(root)
    (site / "Some_Package.extra-1.2.post1.dist-info").mkdir()
    (site / "older-0.3-py3.11.egg-info").mkdir()
    interpreter = ask(root)
    assert interpreter.executable == str(root / ".venv/bin/python")
    assert interpreter.prefix == str(root / ".venv")
    assert interpreter.version == ".".join(map(str, sys.version_info[:3]))
    assert interpreter.implementation == "cpython"
    assert interpreter.packages == {
        "some-package-extra": "1.2.post1",
        "older": "0.3",
    }
    assert source_roots(interpreter, root) == ()


def test_the_origins_of_distributions_are_without_passwords(root: Path) -> None:
    documents: dict[str, object] = {
        "a-1.0": {"url": root.as_uri(), "dir_info": {"editable": True}},
        "B_b-2.0": {
            "url": "https://me:pw@example.org/b.git",
            "vcs_info": {
                "vcs": "git",
                "commit_id": "c" * 40,
                "requested_revision": "main",
            },
            "subdirectory": "python",
        },
        "c-1.0": {
            "url": "ssh://git:pw@example.org/c.git",
            "vcs_info": {"vcs": "git", "commit_id": "d" * 40},
        },
        "d-1.0": {
            "url": "https://example.org/d-1.0.tar.gz",
            "archive_info": {"hash": "sha256=" + "e" * 64},
        },
        "e-1.0": ["not an object"],
    }
    for name, document in documents.items():
        info = site_packages(root) / f"{name}.dist-info"
        info.mkdir()
        (info / "direct_url.json").write_text(json.dumps(document))
    assert ask(root).sources == {
        "a": {"url": root.as_uri(), "editable": True},
        "b-b": {
            "url": "https://example.org/b.git",
            "vcs": "git",
            "commit": "c" * 40,
            "revision": "main",
            "subdirectory": "python",
        },
        "c": {
            "url": "ssh://git@example.org/c.git",
            "vcs": "git",
            "commit": "d" * 40,
        },
        "d": {"url": "https://example.org/d-1.0.tar.gz", "sha256": "e" * 64},
    }


def test_a_directory_that_cannot_be_listed_is_ignored(root: Path) -> None:
    locked = root / "locked"
    locked.mkdir()
    # Permissions do not stop root, so listing fails in another way.
    (site_packages(root) / "locked.pth").write_text(
        "import os; os.listdir = lambda path='.', real=os.listdir: "
        "real('/nowhere' if 'locked' in str(path) else path)\n"
    )
    interpreter = ask(root, {**os.environ, "PYTHONPATH": str(locked)})
    assert interpreter.packages == {}


def test_the_interpreter_behind_a_shim_is_found(root: Path, tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    shim.write_text(f'#!/bin/sh\nexec {root}/.venv/bin/python "$@"\n')
    shim.chmod(0o755)
    interpreter = probe(str(shim), cwd=root, env=os.environ)
    assert interpreter.executable == str(root / ".venv/bin/python")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho broken >&2; exit 1\n", "is not a working Python: broken"),
        ("#!/bin/sh\nexit 0\n", "it prints nothing"),
        ("#!/nowhere/python\n", "cannot be started"),
        ("#!/bin/sh\necho 1\n", "is not a working Python"),
    ],
)
def test_a_broken_interpreter_is_reported(
    tmp_path: Path, script: str, message: str
) -> None:
    program = tmp_path / "python"
    program.write_text(script)
    program.chmod(0o755)
    with pytest.raises(ProgramMissing, match=message):
        probe(str(program), cwd=tmp_path, env=os.environ)


def test_the_output_of_a_pth_file_is_ignored(root: Path) -> None:
    (site_packages(root) / "loud.pth").write_text("import sys; print('{loud')\n")
    assert ask(root).implementation == "cpython"


def test_an_editable_install_by_path_imports_the_pinned_code(
    root: Path, tree: Path
) -> None:
    (site_packages(root) / "__editable__.proj.pth").write_text(f"{root}/src\n")
    interpreter = ask(root)
    assert source_roots(interpreter, root) == ("src",)
    assert imported(interpreter, tree, root, "pkg.inner") == "pinned"
    verify(interpreter, tree, root, environment(interpreter, tree, root))


def test_an_editable_install_by_finder_imports_the_pinned_code(
    root: Path, tree: Path
) -> None:
    write_finder(root, {"pkg": f"{root}/src/pkg", "flat": f"{root}/flat"})
    interpreter = ask(root)
    assert set(source_roots(interpreter, root)) == {"src", "."}
    assert imported(interpreter, tree, root, "pkg.inner") == "pinned"
    assert imported(interpreter, tree, root, "flat") == "pinned"
    verify(interpreter, tree, root, environment(interpreter, tree, root))


def test_an_editable_install_by_an_unknown_finder_imports_the_pinned_code(
    root: Path, tree: Path
) -> None:
    write_finder(root, {"pkg": f"{root}/src/pkg"})
    finder = site_packages(root) / "__editable___proj_1_0_finder.py"
    finder.write_text(finder.read_text().replace("MAPPING", "_hidden"))
    info = site_packages(root) / "proj-1.0.dist-info"
    info.mkdir()
    direct_url = {"url": root.as_uri(), "dir_info": {"editable": True}}
    (info / "direct_url.json").write_text(json.dumps(direct_url))
    interpreter = ask(root)
    assert source_roots(interpreter, root) == ("src",)
    assert imported(interpreter, tree, root, "pkg") == "pinned"
    verify(interpreter, tree, root, environment(interpreter, tree, root))


def test_a_package_that_is_imported_under_another_name_is_refused(
    root: Path, tree: Path
) -> None:
    write_finder(root, {"renamed": f"{root}/src/pkg", "pkg": f"{root}/src/pkg"})
    interpreter = ask(root)
    with pytest.raises(
        Refused,
        match=f"would import 'renamed' from the working tree, {root}/src/pkg/__init__.py",
    ):
        verify(interpreter, tree, root, environment(interpreter, tree, root))


def test_a_subpackage_in_another_directory_is_refused(
    root: Path, tree: Path
) -> None:
    for project in (root, tree):
        (project / "extra").mkdir()
        (project / "extra/__init__.py").touch()
    write_finder(root, {"pkg": f"{root}/src/pkg", "pkg.extra": f"{root}/extra"})
    interpreter = ask(root)
    with pytest.raises(Refused, match=r"would import 'pkg\.extra'") as caught:
        verify(interpreter, tree, root, environment(interpreter, tree, root))
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(f"rename {root}/extra, or move it")


def test_an_uncommitted_module_is_refused_only_if_it_is_imported(
    root: Path, tree: Path
) -> None:
    (site_packages(root) / "proj.pth").write_text(f"{root}/src\n{root}\n")
    (root / "src/forgotten.py").write_text("WHERE = 'main'\n")
    (root / "scratch.py").write_text("")
    interpreter = ask(root)
    verify(interpreter, tree, root, environment(interpreter, tree, root))
    (tree / "src/pkg/inner.py").write_text(
        "def f():\n    from forgotten import WHERE\n"
    )
    with pytest.raises(
        Refused, match=r"would import 'forgotten' from the working tree"
    ) as caught:
        verify(interpreter, tree, root, environment(interpreter, tree, root))
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("commit 'forgotten', or remove it")


def test_the_interpreter_is_not_started_without_an_editable_install(
    root: Path, tree: Path
) -> None:
    interpreter = ask(root)
    (root / ".venv/bin/python").unlink()
    verify(interpreter, tree, root, environment(interpreter, tree, root))


def test_an_editable_install_of_another_project_is_ignored(
    root: Path, tree: Path, tmp_path: Path
) -> None:
    write_project(tmp_path / "library", "library")
    (site_packages(root) / "library.pth").write_text(f"{tmp_path}/library/src\n")
    interpreter = ask(root)
    assert source_roots(interpreter, root) == ()
    assert imported(interpreter, tree, root, "pkg") == "library"


@pytest.mark.parametrize("text", ['{"executable": "/evil"}', "hello", "\\n" * 3])
def test_start_up_files_and_exit_handlers_may_print(
    tmp_path: Path, text: str
) -> None:
    environment = tmp_path / "env"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", environment], check=True
    )
    [packages] = environment.glob("lib/python*/site-packages")
    script = f"import atexit; print('{text}'); atexit.register(print, '{text}')"
    (packages / "noise.pth").write_text(script + "\n")
    (packages / "sitecustomize.py").write_text(script + "\n")
    python = environment / "bin/python"
    found = probe(str(python), cwd=tmp_path, env={}, memory=tmp_path / "memory")
    assert found.executable == str(python)


def test_an_uncommitted_compiled_module_is_refused_if_it_is_imported(
    root: Path, tree: Path
) -> None:
    (site_packages(root) / "proj.pth").write_text(f"{root}/src\n")
    (root / "src/fast.abi3.so").write_text("")
    (tree / "src/pkg/inner.py").write_text("import fast\n")
    interpreter = ask(root)
    with pytest.raises(Refused, match="would import 'fast' from the working tree"):
        verify(interpreter, tree, root, environment(interpreter, tree, root))


@pytest.mark.parametrize(
    "statement",
    ["import space.forgotten", "from space import (known,\n  forgotten)"],
)
def test_an_uncommitted_module_of_a_namespace_package_is_refused(
    root: Path, tree: Path, statement: str
) -> None:
    for project, names in ((root, ("known", "forgotten")), (tree, ("known",))):
        (project / "src/space").mkdir()
        for name in names:
            (project / f"src/space/{name}.py").write_text("")
    (site_packages(root) / "proj.pth").write_text(f"{root}/src\n")
    interpreter = ask(root)
    verify(interpreter, tree, root, environment(interpreter, tree, root))
    (tree / "src/pkg/inner.py").write_text(f"{statement}\n")
    with pytest.raises(Refused, match=r"would import 'space\.forgotten'"):
        verify(interpreter, tree, root, environment(interpreter, tree, root))

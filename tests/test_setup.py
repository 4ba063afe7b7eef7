"""`.ci/setup`, with a PATH that contains only the programs that a test puts there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / ".ci" / "setup"
DEBIAN = (
    "git python3-venv git-lfs openssl man-db zsh fish chromium fonts-dejavu-core "
    "slurm-wlm munge iproute2"
)
NEEDED_BY_SETUP = ("cat", "cksum", "dirname", "ln", "tr")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Create a directory of programs that any machine has, for a user other than root."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in NEEDED_BY_SETUP:
        (directory / name).symlink_to(str(shutil.which(name)))
    write_program(directory / "id", "echo 1000")
    return directory


def write_program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run_setup(programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(programs), "VENV": str(programs.parent / "venv")}
    return subprocess.run(
        [SETUP, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_packages_are_named_to_a_user_who_cannot_install_them(
    programs: Path,
) -> None:
    result = run_setup(programs, "test")
    assert (result.returncode, result.stdout) == (69, "")
    assert result.stderr == (
        f"setup: missing: {DEBIAN} "
        "(Debian's names; Python must be 3.11 or newer)\n"
        "setup: install them, on Debian and Ubuntu with: "
        f"sudo apt-get install {DEBIAN} \n"
    )
    assert not (programs.parent / "venv").exists()


def test_the_demo_alone_does_not_need_git_lfs(programs: Path) -> None:
    assert "missing: git python3-venv (" in run_setup(programs).stderr


def test_a_python_that_is_too_old_does_not_count(programs: Path) -> None:
    write_program(programs / "git", "exit 0")
    write_program(programs / "python3", "exit 1")
    assert "missing: python3-venv (" in run_setup(programs).stderr


def test_root_with_apt_get_gets_missing_packages_installed(programs: Path) -> None:
    write_program(programs / "id", "echo 0")
    write_program(
        programs / "apt-get",
        f'echo "$*" >>{programs}/asked\n'
        'case "$*" in *git-lfs*)\n'
        "    for name in git git-lfs openssl man zsh fish chromium sbatch munge ip python3; do\n"
        f"        ln -s /bin/true {programs}/$name\n"
        "    done\n"
        "esac",
    )
    result = run_setup(programs, "test")
    assert (programs / "asked").read_text().splitlines() == [
        "update -qq",
        f"install -qq -y --no-install-recommends {DEBIAN}",
    ]
    assert "missing" not in result.stderr


def test_an_environment_that_is_up_to_date_is_not_changed(programs: Path) -> None:
    python = programs.parent / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    write_program(python, f'echo "$*" >>{programs}/asked')
    write_program(programs / "git", "exit 0")
    (programs / "rm").symlink_to(str(shutil.which("rm")))
    for _ in range(2):
        assert run_setup(programs).returncode == 0
    root = SETUP.parents[1]
    assert (programs / "asked").read_text().splitlines() == [
        f"-m pip install --quiet --disable-pip-version-check --editable {root}"
    ]

"""The GPUs are read from nvidia-smi, once; a machine without a working nvidia-smi has none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gitorch.tools import nvidia
from tests.conftest import write


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _forget() -> None:
    nvidia.gpus.cache_clear()
    nvidia.cuda_version.cache_clear()


def install(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an `nvidia-smi` on an otherwise empty PATH."""
    program = write(directory, "nvidia-smi", f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))
    return program


def test_each_line_of_nvidia_smi_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install(
        tmp_path, "echo 'A100, 535.1'; echo 'A100, 535.1'", monkeypatch
    )
    assert nvidia.gpus() == ("A100, 535.1", "A100, 535.1")
    program.unlink()
    assert len(nvidia.gpus()) == 2, "nvidia-smi is asked once"


def test_without_nvidia_smi_there_are_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia.gpus() == ()
    assert nvidia.cuda_version() is None


def test_the_version_of_cuda_is_that_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As nvidia-smi 535 prints it.
    head = "Driver Version                            : 535.183.01"
    line = "CUDA Version                              : 12.2"
    script = f'test "$1" = -q && echo "{head}\n{line}" || echo "A100, 535.1"'
    install(tmp_path, script, monkeypatch)
    assert nvidia.cuda_version() == "12.2"


def test_failing_nvidia_smi_means_no_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "echo 'No devices were found'; exit 6", monkeypatch)
    assert nvidia.gpus() == ()

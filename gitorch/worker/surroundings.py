"""What attempts run in besides their worktree: the environment, the interpreters, the machine."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from gitorch.interpreter.choose import choose
from gitorch.interpreter.probe import Interpreter, probe
from gitorch.runs.log import secrets_of
from gitorch.runs.site import Site
from gitorch.tools import nvidia

# Variables that are recorded: those that change what a program computes. An allow-list, since others hold secrets.
RECORDED_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "JAX_PLATFORMS",
    "LANG",
    "LC_ALL",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED",
    "PYTHONPATH",
    "TF_DETERMINISTIC_OPS",
    "TZ",
    "XLA_FLAGS",
)


class Surroundings:
    """Asked once each, by any thread."""

    def __init__(self, site: Site, environment: Mapping[str, str]) -> None:
        self.environment = dict(
            environment
        )  # once: os.environ decodes whatever is asked of it, every time
        self.secrets = secrets_of(environment)
        self._site = site
        self._interpreters: dict[str, Interpreter] = {}
        self._lock = threading.Lock()

    def interpreter(self, python: str, wanted: str | None) -> Interpreter:
        """The interpreter that a run was readied with; where it is gone, as the repository was moved or the record is
        from another machine, what `wanted`, the config's `python:` key, stands for now.

        Raises GitorchError if it cannot be started.
        """
        with self._lock:
            if python not in self._interpreters:
                repository = self._site.repository
                found = (
                    python
                    if Path(python).exists()
                    else choose(wanted, repository.root, self.environment)
                )
                self._interpreters[python] = probe(
                    found,
                    cwd=repository.main_root,
                    env=self.environment,
                    memory=self._site.interpreters,
                )
            return self._interpreters[python]

    def describe(self, python: str) -> dict[str, Any]:
        """What a record says of it; for an interpreter that does not start, of the machine alone."""
        known = self._interpreters.get(python)
        packages = {"python": known.version, "packages": dict(known.packages)} if known else {}
        return {**packages, **self._machine}

    @cached_property
    def _machine(self) -> dict[str, Any]:
        return {
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "gpus": list(nvidia.gpus()),
            "variables": {
                name: self.environment[name]
                for name in RECORDED_VARIABLES
                if name in self.environment
            },
        }

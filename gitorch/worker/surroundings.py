"""The surroundings of attempts outside their worktree: environment, interpreters and machine."""

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
from gitorch.model.text.masking import Masking
from gitorch.storage.site import Site
from gitorch.tools import nvidia

# Only variables that change the results of programs are recorded, because others may be secrets.
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
    """The environment, the interpreters and the machine; each is examined once. For any thread."""

    def __init__(self, site: Site, environment: Mapping[str, str]) -> None:
        self.environment = dict(
            environment
        )  # os.environ decodes a variable at every access
        self._site = site
        self._interpreters: dict[str, Interpreter] = {}
        self._maskings: dict[frozenset[tuple[str, str]], Masking] = {}
        self._lock = threading.Lock()

    def interpreter(self, python: str, wanted: str | None) -> Interpreter:
        """Return the interpreter that a run was readied with.

        That interpreter is gone if the repository was moved, or if the record is from another
        machine. It is then replaced by the one that `wanted`, the config's `python:` key, now
        stands for. Raises GitorchError if the interpreter cannot be started.
        """
        with self._lock:
            if python not in self._interpreters:
                repository = self._site.repository
                executable = python
                if not Path(python).exists():
                    executable = choose(wanted, repository.root, self.environment)
                self._interpreters[python] = probe(
                    executable,
                    cwd=repository.main_root,
                    env=self.environment,
                    memory=self._site.interpreters,
                )
            return self._interpreters[python]

    def masking(self, declared: Mapping[str, str]) -> Masking:
        """Return what masks the secrets of the environment, and of the variables of a config."""
        key = frozenset(declared.items())
        with self._lock:
            if key not in self._maskings:
                self._maskings[key] = Masking(self.environment, declared)
            return self._maskings[key]

    def describe(self, python: str) -> dict[str, Any]:
        """Return what a record says about interpreter and machine.

        An interpreter that does not start is left out.
        """
        interpreter = self._interpreters.get(python)
        if interpreter is None:
            return dict(self._machine)
        return {
            "python": interpreter.version,
            "packages": dict(interpreter.packages),
            **self._machine,
        }

    @cached_property
    def _machine(self) -> dict[str, Any]:
        return {
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE")
            * os.sysconf("SC_PHYS_PAGES"),
            "gpus": list(nvidia.gpus()),
            "variables": {
                name: self.environment[name]
                for name in RECORDED_VARIABLES
                if name in self.environment
            },
        }

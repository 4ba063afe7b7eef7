"""Runs where git, the databases and the workspace meet.

The package contains the site, its catalog, and the records, inputs and outputs of runs.

Python binds an imported package to its name in the parent package. This package would therefore
replace the public function `gitorch.runs`. To keep the function usable, the package is itself
callable and calls that function.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import gitorch

_list_runs = gitorch.runs  # still the function: the package is bound after its first import


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        return _list_runs(*args, **options)


sys.modules[__name__].__class__ = _CallablePackage

"""The docstring of gitorch.errors names every class of error, and the module that defines it."""

from __future__ import annotations

import importlib
import pkgutil
import re

import gitorch
from gitorch import errors
from gitorch.errors import GitorchError


def test_the_docstring_names_every_error_of_the_package() -> None:
    for module in pkgutil.walk_packages(gitorch.__path__, "gitorch."):
        if not module.name.endswith("__main__") and ".runner." not in module.name:
            importlib.import_module(module.name)
    defined_here = {"GitorchError"}
    defined_elsewhere = set()
    for error in _family(GitorchError):
        if not error.__module__.startswith("gitorch"):
            continue  # an error class that another test defines
        if error.__module__ == "gitorch.errors":
            defined_here.add(error.__name__)
        else:
            defined_elsewhere.add(f"{error.__module__}.{error.__qualname__}")
    documentation = errors.__doc__ or ""
    assert (
        set(re.findall(r"`(gitorch\.[\w.]+)`", documentation)) == defined_elsewhere
    )
    assert (
        set(re.findall(r"(?:── |^    )([A-Z]\w+)", documentation, re.M))
        == defined_here
    )


def _family(error: type[GitorchError]) -> list[type[GitorchError]]:
    """Return all direct and indirect subclasses."""
    members = []
    for child in error.__subclasses__():
        members += [child, *_family(child)]
    return members

"""The interpreter that a value of `python:` stands for: an existing one, or one that is built."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from gitorch.interpreter.choose import choose
from gitorch.interpreter.probe import Interpreter, probe
from gitorch.model.run.locked_python import parse_locked
from gitorch.model.run.pin import Pin
from gitorch.storage.contents import Notify, ignore_notice
from gitorch.storage.site import Site


def find_interpreter(
    site: Site,
    python: str | None,
    pin: Pin,
    environ: Mapping[str, str],
    *,
    recorded: str | None = None,
    notify: Notify = ignore_notice,
) -> Interpreter:
    """Return the interpreter that `python:` stands for in a run of the code at `pin`.

    An environment that a lock describes is built if it is not there. `recorded` and `notify` are as
    for `LockedEnvironments.provide`. Raises GitorchError, OSError.
    """
    repository = site.repository
    locked = parse_locked(python)
    projects: tuple[str, ...] = ()
    if locked is None:
        executable = choose(python, repository.root, environ)
    else:
        environment = site.locked_environments.provide(
            locked, pin, environ, recorded=recorded, notify=notify
        )
        executable = environment.executable
        projects = environment.projects
    found = probe(
        executable, cwd=repository.main_root, env=environ, memory=site.interpreters
    )
    return replace(found, not_installed=projects) if projects else found

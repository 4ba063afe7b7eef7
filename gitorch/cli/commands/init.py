"""`gitorch init`."""

from __future__ import annotations

import os

from gitorch.cli.arguments import site_here
from gitorch.cli.boundary import guarded
from gitorch.cli.style import put, say


@guarded
def command() -> None:
    """Write an example config.

    This is optional: everything works without it.
    """
    from gitorch.actions.init import init

    path = init(site_here())
    put(os.path.relpath(path))
    say("next: gitorch ready, and then gitorch run")

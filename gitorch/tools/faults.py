"""The durable boundaries of a program. The tests end a program at each of them.

Standard library only, since the slots use this module too.
"""

from __future__ import annotations

from collections.abc import Callable

# What the tests do at a boundary.
passed: Callable[[], None] | None = None


def boundary() -> None:
    """Mark a point at which the last step has become durable or visible to other processes.

    Such a step is a flush to disk, a rename, a moved reference or a commit.
    """
    if passed is not None:
        passed()

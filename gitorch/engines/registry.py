"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitorch.engines.contract import Engine
from gitorch.engines.local import LocalEngine

# The arguments are the number of slots, and the path of the lock that the engine's processes hold.
ENGINES: dict[str, Callable[[int, Path], Engine]] = {"local": LocalEngine}

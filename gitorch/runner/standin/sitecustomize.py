"""Starts the recorder of used files in every Python of an attempt (see `gitorch_recorder`).

Python imports the first `sitecustomize` on its path at its start. This file therefore loads the one
that it hides, if there is one. It is also read by old Pythons that a task may start, so its syntax
is that of all versions.
"""

import os
import sys

_used = os.environ.get("GITORCH_USED")
if _used and hasattr(sys, "addaudithook"):
    import gitorch_recorder  # type: ignore[import-not-found]

    gitorch_recorder.start(_used)

_own = sys.modules.pop("sitecustomize")
_entry = os.path.dirname(__file__)
_place = sys.path.index(_entry) if _entry in sys.path else -1
if _place >= 0:
    del sys.path[_place]
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  the hidden one
except ImportError:
    if getattr(sys.exc_info()[1], "name", "sitecustomize") != "sitecustomize":
        raise
    sys.modules["sitecustomize"] = _own
finally:
    if _place >= 0:
        sys.path.insert(_place, _entry)

"""State that a process inherits from its caller, and that must not affect gitorch or its tasks.

A caller can block or ignore signals, lower limits, close streams and set variables. Some of these
make a command hang or fail, and some change what a task computes without a trace in the record.
"""

from __future__ import annotations

import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

# Variables by which the caller's Python or shell does something else than a program says:
# interactive mode, start-up files, other rules for `cd`, assertions that are left out.
_DROPPED = (
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "ENV",
    "PYTHONBREAKPOINT",
    "PYTHONCASEOK",
    "PYTHONDEBUG",
    "PYTHONDUMPREFS",
    "PYTHONEXECUTABLE",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONOPTIMIZE",
    "PYTHONPLATLIBDIR",
    "PYTHONPROFILEIMPORTTIME",
    "PYTHONSAFEPATH",
    "PYTHONSTARTUP",
    "PYTHONVERBOSE",
    "PYTHONWARNINGS",
    "SHELLOPTS",
)
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")
_OWN_BITS = 0o700
_FEWEST_FILES = 1024


def shed_inherited_state() -> None:
    """Bring signals, limits, the mask of new files and the variables to what is usual.

    Signals that are ignored stay ignored, as nohup intends, except the one that tells that a child
    has ended.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # Otherwise the exit codes of children are lost.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A file that its owner may not read is of no use.
    mask = os.umask(0o077)
    os.umask(mask & ~_OWN_BITS)
    _raise_limit(resource.RLIMIT_NOFILE, _FEWEST_FILES)
    _raise_limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    for name in _DROPPED:
        os.environ.pop(name, None)
    for name in _TEMPORARY:
        if name in os.environ and not Path(os.environ[name]).is_dir():
            del os.environ[name]


def _raise_limit(kind: int, wanted: int) -> None:
    """Raise a soft limit to `wanted`, or as far as the hard limit allows."""
    soft, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY and not 0 <= wanted <= hard:
        wanted = hard
    is_enough = soft == resource.RLIM_INFINITY or 0 <= wanted <= soft
    if not is_enough:
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (wanted, hard))

"""Python and git as they are on older systems, for the programs that a test starts.

`old_python` writes a program that behaves like this Python without what is missing there. It starts
all its own Pythons by way of itself. `old_git` writes a git without the options of newer ones.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

# Missing in a Python that was built with the glibc and the kernel headers of CentOS 7. These are
# the Pythons of conda, and those of uv until 2026.
OLD_GLIBC = """
for module, name in (
    (os, "memfd_create"), (os, "pidfd_open"), (os, "copy_file_range"), (os, "eventfd"),
    (os, "getrandom"), (os, "preadv"), (os, "pwritev"), (os, "POSIX_SPAWN_CLOSEFROM"),
    (signal, "pidfd_send_signal"),
):
    if hasattr(module, name):
        delattr(module, name)

def posix_spawn(*arguments, _real=os.posix_spawn, setsid=False, **options):
    if setsid:
        raise NotImplementedError("posix_spawn: setsid unavailable on this platform")
    return _real(*arguments, **options)

os.posix_spawn = posix_spawn
"""
# System calls that a kernel does not have or that a container denies, for the process and all that
# it starts. A filter of seccomp(2) is a program for the Berkeley Packet Filter.
_DENIED = """
import ctypes, platform, struct
numbers = {
    "x86_64": [319, 326, 332],  # memfd_create, copy_file_range, statx
    "aarch64": [279, 285, 291],
}[platform.machine()]
numbers += [424, 434, 436, 437, 438, 439]  # those of pidfds, close_range, openat2, faccessat2
LOAD, JUMP_IF_EQUAL, RETURN, ALLOW, FAIL = 0x20, 0x15, 0x06, 0x7FFF0000, 0x50000
steps = [(LOAD, 0, 0, 0)]
for place, number in enumerate(numbers):
    steps.append((JUMP_IF_EQUAL, len(numbers) - place, 0, number))
steps += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, FAIL | ERRNO)]
program = b"".join(struct.pack("HBBI", *step) for step in steps)
kept = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(struct.pack("HP", len(steps), ctypes.addressof(kept)))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) == 0, ctypes.get_errno()
"""
OLD_KERNEL = f"import errno\nERRNO = errno.ENOSYS\n{_DENIED}"
OLD_CONTAINER = f"import errno\nERRNO = errno.EPERM\n{_DENIED}"
SYSTEMS = {
    "Python built with an old glibc": OLD_GLIBC,
    "kernel without the system calls": OLD_KERNEL,
    "container that denies the system calls": OLD_CONTAINER,
}
# Runs the program that the arguments of a Python name: a text (-c), a module (-m) or a file.
_RUN = """
sys.executable = EXECUTABLE
arguments = [word for word in sys.argv[1:]]
while arguments[0] in ("-I", "-S"):
    del arguments[0]
kind, *rest = arguments
del arguments
import runpy
if kind == "-c":
    sys.argv = ["-c", *rest[1:]]
    exec(rest[0], {"__name__": "__main__"})
elif kind == "-m":
    sys.argv = rest
    runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
else:
    sys.argv = [kind, *rest]
    runpy.run_path(kind, run_name="__main__")
"""


def old_python(directory: Path, system: str) -> str:
    """Write the program and return its path. `system` is the content of one of `SYSTEMS`."""
    directory.mkdir()
    program = directory / "python"
    code = directory / "old.py"
    run = _RUN.replace("EXECUTABLE", repr(str(program)))
    code.write_text(f"import os, signal, sys\n{system}\n{run}")
    start = f"exec(compile(open({str(code)!r}).read(), 'old', 'exec'))"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{start}" "$@"\n')
    program.chmod(0o755)
    return str(program)


# Options that git 2.34, the oldest that gitorch works with, does not have: of Ubuntu 22.04.
_OF_NEWER_GITS = (
    "cat-file*\\ -[zZ]\\ ",
    "worktree\\ list*\\ -z\\ ",
    "ls-tree*\\ --format",
    "ls-tree*\\ --object-only",
    "ls-files*\\ --format",
    "for-each-ref*\\ --exclude",
    "for-each-ref*\\ --include-root-refs",
    "fetch*\\ --porcelain",
    "merge-tree*\\ --write-tree",
    "check-attr*\\ --source",
    "rev-parse*\\ --show-ref-format",
    "worktree\\ add*\\ --orphan",
    "diff-tree*\\ --merge-base",
    "hook\\ run",
    "repack*\\ --cruft",
)


def old_git(directory: Path) -> str:
    """Write a `git` that refuses options as git 2.34 does, and return a PATH with it."""
    directory.mkdir()
    patterns = "|".join(
        f"*\\ {option}*" for option in (*_OF_NEWER_GITS, "--attr-source")
    )
    program = directory / "git"
    program.write_text(
        "#!/bin/sh\n"
        f'case " $* " in {patterns}) echo "error: unknown option: $*" >&2; exit 129;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"

"""Records which files the Python processes of an attempt open for reading, with an audit hook.

The hook (PEP 578) adds each path to a set. At its end a process appends its paths to the file
named by $GITORCH_USED, which gitorch reads after the attempt. An entry ends with a NUL. It is a
path, of a directory if its files are too many (with a `/` at its end), or a newline and a mark:

    @<path> the directory that the relative paths after this mark are relative to
    ^<path> a directory with files of the interpreter or its packages
    +<pid>  the process has begun, and will append its paths
    -<pid>  the process has appended all its paths
    !       paths are left out, since they are too many
    =       the program of the attempt was this Python process, and it has appended all its paths

A worker of `multiprocessing.Pool` is killed while it waits. A forked process therefore puts its
paths into memory that it shares with the process that forked it.

Files that a C library or another program opens are not seen.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import get_ident

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    import mmap
    from collections.abc import Callable, Iterable
    from typing import Any

_NOT_READING = os.O_WRONLY | os.O_TRUNC | os.O_EXCL
_MOST_RAW = 20_000  # paths, before those that do not count are dropped
_MOST = 100_000  # paths in the worktree
_MOST_OUTSIDE = 1000  # paths outside of the worktree, then as many directories
_MOST_AREAS = 128  # forked processes with shared memory
_AREA = 256 << 10  # bytes
_LENGTH = 4  # bytes: an area begins with the position of its end
_BELOW = "GITORCH_USED_BELOW"
_NOWHERE = "/proc/"


class _Recorder:
    """The paths that this process has opened.

    `seen` are the latest, as they were given. `inside` and `outside` are absolute. `areas` are
    shared with forked processes, and `area` is the one shared with the process that forked this.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        # A process that this one starts can begin a session too.
        is_below = os.environ.get(_BELOW) == path
        self.is_root = os.getsid(0) == self.pid and not is_below
        os.environ[_BELOW] = path
        self.seen: set[str] = set()
        self.most_raw = _MOST_RAW
        self.trees: tuple[str, ...] = ()
        self.own: tuple[str, ...] = ()
        self.inside: set[str] = set()
        self.outside: set[str] = set()
        self.is_cut = False
        self.is_forked = False
        self.must_append = True
        self.areas: list[mmap.mmap] = []
        self.next_areas: dict[int, mmap.mmap] = {}  # by thread
        self.area: mmap.mmap | None = None
        self.shared_until = _LENGTH

    def settle(self) -> None:
        """Make the paths of `seen` absolute, and drop those that do not count."""
        seen = list(self.seen)
        self.seen.difference_update(seen)
        if not self.trees:
            tree = os.path.normpath(
                os.path.join(self.path, *[os.pardir] * 4, "tree")
            )
            self.trees = (tree + os.sep, os.path.realpath(tree) + os.sep)
            self.own = (_NOWHERE, "/sys/", *_own_directories())
        trees = self.trees
        own = self.own
        here = ""
        for path in seen:
            if path[:1] != "/":
                here = here or _here()
                path = here + path
            if path.startswith(trees):
                self._keep(path, self.inside)
            elif not path.startswith(own):
                self._keep_outside(path)

    def _keep_outside(self, path: str) -> None:
        if len(self.outside) >= _MOST_OUTSIDE and path not in self.outside:
            path = path.rpartition(os.sep)[0] + os.sep
        if len(self.outside) < 2 * _MOST_OUTSIDE:
            self._keep(path, self.outside)

    def _keep(self, path: str, kept: set[str]) -> None:
        if path in kept:
            return
        if len(kept) >= _MOST:
            self.is_cut = True
            return
        kept.add(path)
        if self.is_forked and not self.must_append and not self._share(path):
            self.begin()

    def _share(self, path: str) -> bool:
        """Put a path into the shared memory. Return False if there is no room."""
        area = self.area
        entry = os.fsencode(path) + b"\0"
        if area is None:
            return False
        start = self.shared_until
        end = start + len(entry)
        if end > _AREA:
            return False
        area[start:end] = entry
        area[:_LENGTH] = end.to_bytes(_LENGTH, sys.byteorder)
        self.shared_until = end
        return True

    def begin(self) -> None:
        """Announce the list of this process, which the list of the attempt then needs."""
        self.must_append = True
        self._append(_entries([f"\n+{self.pid}"]))

    def finish(self, is_end: bool = True) -> None:
        """Append the paths of this process to the file, if they are not shared already."""
        if os.getpid() != self.pid or not self.must_append:
            return
        if not self.is_forked:
            self.seen.update(_files_of_modules())
        paths = [*self.inside, *self.outside, "\n@" + _here(), *self.seen]
        marks = ["\n^" + directory for directory in _own_directories()]
        if self.is_cut:
            marks.append("\n!")
        if is_end and not self.is_forked and self.is_root:
            marks.append("\n=")
        elif is_end:
            marks.append(f"\n-{self.pid}")
        shared = b"".join(map(_content, self.areas))
        self._append(_entries(paths) + shared + _entries(marks))
        for kept in (self.seen, self.inside, self.outside):
            kept.clear()

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            descriptor = os.open(
                self.path, flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o600
            )
        except OSError:
            return  # the list is then not complete
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError:
            pass
        finally:
            os.close(descriptor)

    def before_fork(self) -> None:
        """Map memory that the process about to be forked will share with this one."""
        thread = get_ident()
        self.next_areas.pop(thread, None)
        if self.is_forked or len(self.areas) >= _MOST_AREAS:
            return
        try:
            import mmap  # only for programs that fork

            area = mmap.mmap(-1, _AREA)
        except (ImportError, OSError, ValueError):
            return
        self.areas.append(area)
        self.next_areas[thread] = area

    def after_fork(self) -> None:
        """Begin a list of its own in a forked process."""
        self.pid = os.getpid()
        self.is_forked = True
        self.is_cut = False
        self.must_append = False
        self.most_raw = 0  # each path is shared at once: the process may be killed
        self.area = self.next_areas.get(get_ident())
        self.areas = []
        for paths in (self.seen, self.inside, self.outside):
            paths.clear()

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Handle an event other than `open`."""
        if event == "sqlite3.connect":
            path = arguments[0]
            self.seen.add(os.fsdecode(path))
        elif event == "os.exec":
            self.finish(is_end=False)
        else:  # relative paths are those of the directory until now
            self.settle()


_OTHER_EVENTS = frozenset({"os.chdir", "os.exec", "sqlite3.connect"})
_recorders: list[_Recorder] = []


def start(path: str) -> None:
    """Record the files that this process opens, unless it does so already."""
    if _recorders or not hasattr(sys, "addaudithook"):
        return
    recorder = _Recorder(path)
    _recorders.append(recorder)
    if not recorder.is_root:
        recorder.begin()
    sys.addaudithook(_hook(recorder))
    atexit.register(recorder.finish)
    os.register_at_fork(
        before=recorder.before_fork, after_in_child=recorder.after_fork
    )
    leave = os._exit

    def _exit(status: int) -> None:
        recorder.finish()
        leave(status)

    os._exit = _exit  # type: ignore[assignment]


def _hook(recorder: _Recorder) -> Callable[[str, Any], None]:
    """Return the function that Python calls for every event, for example for each call of `id`."""
    seen = recorder.seen
    add = seen.add

    def hook(event: str, arguments: Any) -> None:
        if event == "open":
            try:
                path, _, flags = arguments
                if flags & _NOT_READING:
                    return
                if type(path) is str:
                    add(path)
                elif type(path) is bytes:
                    add(os.fsdecode(path))
                if len(seen) > recorder.most_raw:
                    recorder.settle()
            except Exception:
                return  # the program goes on in any case
        elif event in _OTHER_EVENTS:
            try:
                recorder.note(event, arguments)
            except Exception:
                return

    return hook


def _own_directories() -> set[str]:
    """Return the directories of the interpreter and of its packages."""
    own = set()
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    for prefix in prefixes:
        if prefix.rstrip(os.sep):
            own.add(prefix.rstrip(os.sep) + os.sep)
    return own


def _files_of_modules() -> set[str]:
    """Return the files of modules that Python has not opened where they are.

    These are extension modules, and modules whose compiled form is in another directory.
    """
    files = set()
    is_elsewhere = sys.pycache_prefix is not None
    for module in list(sys.modules.values()):
        try:
            names = object.__getattribute__(module, "__dict__")
            file = names.get("__file__")
        except Exception:
            continue  # anything can be in `sys.modules`
        if type(file) is str and (is_elsewhere or not file.endswith(".py")):
            files.add(file)
    return files


def _here() -> str:
    """Return the working directory with a slash, or a place without files if it is gone."""
    try:
        return os.path.join(os.getcwd(), "")
    except OSError:
        return _NOWHERE


def _content(area: mmap.mmap) -> bytes:
    """Return what a forked process has put into the memory that it shares."""
    end = int.from_bytes(area[:_LENGTH], sys.byteorder)
    return area[_LENGTH:end]


def _entries(texts: Iterable[str]) -> bytes:
    text = "\0".join(texts) + "\0"
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")

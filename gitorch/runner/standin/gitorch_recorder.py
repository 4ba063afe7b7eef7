"""Records which files the Python processes of an attempt open for reading, with an audit hook.

The hook (PEP 578) keeps each path as it is given. At its end a process appends its paths to the
file named by $GITORCH_USED, which gitorch reads after the attempt. An entry ends with a NUL. It is
a path, of a directory if its files are too many (with a `/` at its end), or a newline and a mark:

    @<path> the directory that the relative paths after this mark are relative to
    ^<path> a directory with files of the interpreter or its packages
    +<pid>  the process has begun, and will append its paths
    -<pid>  the process has appended all its paths
    !       paths are left out, since they are too many
    =       the program of the attempt was this Python process, and it has appended all its paths

A worker of `multiprocessing.Pool` is killed while it waits. A forked process therefore puts its
paths into memory that it shares with the process that forked it.

Files that a C library or another program opens are not seen.

Every Python of an attempt loads this module. Annotations are therefore texts where they would be
evaluated: `from __future__ import annotations` loads one more module, in a tenth of a millisecond.
"""

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
_MOST_RECENT = 512  # opened files
_MOST_ENCODED = 32  # times that recent paths are encoded, before each is kept once
_MOST_RAW = 50_000  # paths, before those that do not count are dropped
_MOST = 100_000  # paths in the worktree
_MOST_OUTSIDE = 1000  # paths outside of the worktree, then as many directories
_MOST_AREAS = 128  # forked processes with shared memory
_AREA = 256 << 10  # bytes
_BELOW = "GITORCH_USED_BELOW"
_NOWHERE = "/proc/"
_PACKAGES = ("/site-packages", "/dist-packages")


class _Recorder:
    """The paths that this process has opened.

    `recent` are the latest, as they were given. `encoded` are the entries of those before them, and
    `raw` are those before these, each once. `inside` and `outside` are absolute. `areas` are
    shared with forked processes, and `area` is the one shared with the process that forked this.
    The hook calls `keep` with each path.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        # A process that this one starts can begin a session too.
        is_below = os.environ.get(_BELOW) == path
        self.is_root = os.getsid(0) == self.pid and not is_below
        os.environ[_BELOW] = path
        tree = os.path.normpath(os.path.join(path, *[os.pardir] * 4, "tree"))
        self.tree = tree
        self.recent: list[Any] = []
        self.keep: Callable[[Any], object] = self.recent.append
        self.encoded: list[bytes] = []
        self.raw: set[Any] = set()
        self.inside: set[str] = set()
        self.outside: set[str] = set()
        self.is_cut = False
        self.is_forked = False
        self.must_append = True
        self.areas: list[mmap.mmap] = []
        self.next_areas: dict[int, mmap.mmap] = {}  # by thread
        self.area: mmap.mmap | None = None
        self.ignored: tuple[str, ...] = ()

    def overflow(self) -> None:
        """Make room for recent paths.

        Few paths are kept as objects of their own, since memory that is new to the process takes
        longer to write than memory that was used just before.
        """
        self.gather()
        if len(self.encoded) >= _MOST_ENCODED:
            self.settle()
        if len(self.raw) > _MOST_RAW:
            self.sort()

    def gather(self) -> None:
        """Move the recent paths to `encoded`."""
        full = self.renew()
        if full:
            self.encoded.append(_entries(full))

    def renew(self) -> "list[Any]":
        """Begin new recent paths, and return those before them.

        These lines call nothing, so no other thread runs between them.
        """
        before, self.recent = self.recent, []
        self.keep = self.recent.append
        return before

    def settle(self) -> None:
        """Move the paths of `encoded` to `raw`."""
        encoded = self.encoded
        self.encoded = []  # another thread may add to it
        for entries in encoded:
            paths = os.fsdecode(entries[:-1]).split("\0")
            self.raw.update(paths)  # at once: another thread may replace `raw`

    def sort(self) -> None:
        """Make the paths of `raw` absolute, and drop those that do not count."""
        raw = self.raw
        self.raw = set()
        trees = (self.tree + os.sep, os.path.realpath(self.tree) + os.sep)
        own = _ignored()
        here = _here()
        for path in _texts(raw):
            if path[:1] != "/":
                path = here + path
            if path.startswith(trees):
                self._add(path, self.inside)
            elif not path.startswith(own):
                self._add_outside(path)

    def _add_outside(self, path: str) -> None:
        if len(self.outside) >= _MOST_OUTSIDE and path not in self.outside:
            path = path.rpartition(os.sep)[0] + os.sep
        if len(self.outside) < 2 * _MOST_OUTSIDE:
            self._add(path, self.outside)

    def _add(self, path: str, kept: "set[str]") -> None:
        if len(kept) < _MOST:
            kept.add(path)
        elif path not in kept:
            self.is_cut = True

    def begin(self) -> None:
        """Begin a list, and announce it unless it is that of the attempt itself."""
        self.must_append = True
        self.renew()
        if not self.is_root:
            self._append(_entries([f"\n+{self.pid}"]))

    def finish(self, is_end: bool = True) -> None:
        """Append the paths of this process to the file, if they are not shared already."""
        if os.getpid() != self.pid or not self.must_append:
            return
        self.gather()
        if not self.is_root:
            self.settle()  # a task may start thousands of processes that open the same files
        if not self.is_forked:
            self.raw.update(_files_of_modules())
        paths = [*self.inside, *self.outside, "\n@" + _here(), *self.raw]
        marks = ["\n^" + directory for directory in _own_directories()]
        if self.is_cut:
            marks.append("\n!")
        if is_end and self.is_root:
            marks.append("\n=")
        elif is_end:
            marks.append(f"\n-{self.pid}")
        shared = map(_content, self.areas)
        # The paths stay after the mark of the directory that they are relative to.
        parts = [_entries(paths), *self.encoded, *shared, _entries(marks)]
        self._append(b"".join(parts))
        self._forget()

    def _forget(self) -> None:
        for kept in (self.encoded, self.raw, self.inside, self.outside):
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
        self.is_root = False
        self.is_cut = False
        self.must_append = False
        self.area = self.next_areas.get(get_ident())
        self.areas = []
        self._forget()
        self.renew()
        self.keep = self._share_first

    def _share_first(self, path: "Any") -> None:
        """Share the directory that relative paths are relative to, and a path."""
        self.ignored = _ignored()
        self.raw.clear()
        self.keep = self._share
        if not self._write("\n@" + _here()):
            self.begin()
        self.keep(path)

    def _share(self, path: "Any") -> None:
        """Share a path at once, since the process may be killed."""
        raw = self.raw
        if path in raw:
            return
        raw.add(path)
        for text in _texts([path]):
            is_kept = text.startswith(self.ignored) or self._write(text)
            if not is_kept or len(raw) > _MOST_RAW:
                self.begin()

    def _write(self, text: str) -> bool:
        """Put a text into the shared memory. Return False if it does not fit."""
        if self.area is None:
            return False
        try:
            self.area.write(_entries([text]))
        except ValueError:
            return False
        return True

    def note(self, event: str, arguments: "tuple[Any, ...]") -> None:
        """Handle an event other than `open`."""
        if event == "sqlite3.connect":
            path = arguments[0]
            self.keep(os.fsdecode(path))
        elif event == "os.exec":
            self.finish(is_end=False)
        elif self.must_append:
            self.gather()
            self.settle()
            self.sort()  # while the directory is the one that they are relative to
        else:
            self.keep = self._share_first


_recorders: "list[_Recorder]" = []


def start(path: str) -> None:
    """Record the files that this process opens, unless it does so already."""
    if _recorders or not hasattr(sys, "addaudithook"):
        return
    recorder = _Recorder(path)
    _recorders.append(recorder)
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


def _hook(recorder: "_Recorder") -> "Callable[[str, Any], None]":
    """Return the function that Python calls for every event, for example for each call of `id`."""

    def hook(event: str, arguments: "Any") -> None:
        if event == "open":
            try:
                path, _, flags = arguments
                if not flags & _NOT_READING:
                    recorder.keep(path)
                    if len(recorder.recent) > _MOST_RECENT:
                        recorder.overflow()
            except Exception:
                return  # the program goes on in any case
        elif event in ("os.chdir", "os.exec", "sqlite3.connect"):
            try:
                recorder.note(event, arguments)
            except Exception:
                return

    return hook


def _ignored() -> "tuple[str, ...]":
    return (_NOWHERE, "/sys/", *_own_directories())


def _own_directories() -> "set[str]":
    """Return the directories of the interpreter and of packages."""
    own = set()
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    for prefix in prefixes:
        if prefix.rstrip(os.sep):
            own.add(prefix.rstrip(os.sep) + os.sep)
    for entry in sys.path:
        if type(entry) is str and entry.endswith(_PACKAGES):
            own.add(entry + os.sep)
    return own


def _files_of_modules() -> "set[str]":
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


def _content(area: "mmap.mmap") -> bytes:
    """Return the entries that a forked process has put into the memory that it shares."""
    if not area[0]:
        return b""
    end = area.find(b"\0\0") + 1
    return area[:end] if end else area[:]


def _texts(paths: "Iterable[Any]") -> "list[str]":
    """Return the paths as texts, without other values that Python accepts as a file."""
    texts = []
    for path in paths:
        if type(path) is bytes:
            path = os.fsdecode(path)
        if type(path) is str:
            texts.append(path)
    return texts


def _entries(paths: "Iterable[Any]") -> bytes:
    try:
        text = "\0".join(paths) + "\0"
    except TypeError:
        text = "\0".join(_texts(paths)) + "\0"
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")

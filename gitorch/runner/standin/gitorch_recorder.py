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

Files that a C library or another program opens are not seen.

Every Python of an attempt loads this module, so it is small. What only programs with many files or
with forked processes need is in `gitorch_kept_paths` and `gitorch_shared_paths`. Annotations are
texts where they would be evaluated: `from __future__ import annotations` loads one more module.
"""

import atexit
import os
import sys

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_NOT_READING = os.O_WRONLY | os.O_TRUNC | os.O_EXCL
_MOST_RECENT = 512  # opened files
_MOST_ENCODED = 32  # times that recent paths are encoded, before each is kept once
_BELOW = "GITORCH_USED_BELOW"
NOWHERE = "/proc/"
_PACKAGES = ("/site-packages", "/dist-packages")


class _Recorder:
    """The paths that this process has opened.

    `recent` are the latest, as they were given, and `encoded` are the entries of those before them.
    `kept` has those before these, once there are many, and `shared` those of forked processes. The
    hook calls `keep` with each path.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = os.getpid()
        # A process that this one starts can begin a session too.
        is_below = os.environ.get(_BELOW) == path
        self.is_root = os.getsid(0) == self.pid and not is_below
        os.environ[_BELOW] = path
        self.recent: list[Any] = []
        self.keep: Callable[[Any], object] = self.recent.append
        self.encoded: list[bytes] = []
        self.must_append = True
        self.kept: Any = None
        self.shared: Any = None

    def renew(self) -> "list[Any]":
        """Begin new recent paths, and return those before them.

        These lines call nothing, so no other thread runs between them.
        """
        before, self.recent = self.recent, []
        self.keep = self.recent.append
        return before

    def overflow(self) -> None:
        """Make room for recent paths.

        Few paths are kept as objects of their own, since memory that is new to the process takes
        longer to write than memory that was used just before.
        """
        full = self.renew()
        if full:
            self.encoded.append(entries(full))
        if len(self.encoded) >= _MOST_ENCODED:
            self.settle()

    def settle(self) -> None:
        """Keep each of the paths once."""
        if self.kept is None:
            self.kept = _beside("gitorch_kept_paths").KeptPaths(self.path)
        encoded = self.encoded
        self.encoded = []  # another thread may add to it
        self.kept.add(encoded)

    def begin(self) -> None:
        """Begin a list, and announce it unless it is that of the attempt itself."""
        self.must_append = True
        self.renew()
        if not self.is_root:
            self._append(entries([f"\n+{self.pid}"]))

    def finish(self, is_end: bool = True) -> None:
        """Append the paths of this process to the file, if they are not shared already."""
        if os.getpid() != self.pid or not self.must_append:
            return
        # The paths stay after the mark of the directory that they are relative to.
        parts = [entries(self._paths()), *self.encoded]
        if self.shared is not None:
            parts += self.shared.contents()
        parts.append(entries(self._marks(is_end)))
        self._append(b"".join(parts))
        self.forget()

    def _paths(self) -> "list[Any]":
        """Return the paths that are not encoded yet, after those that are kept."""
        recent: Iterable[Any] = self.renew()
        if not self.is_root:
            # A task may start thousands of processes that open the same files.
            recent = dict.fromkeys(texts(recent))
            if self.encoded:
                self.settle()
        paths: list[Any] = []
        if self.kept is not None:
            paths += self.kept.absolute()
        paths.append("\n@" + here())
        if self.kept is not None:
            paths += self.kept.raw
        if self.shared is None or not self.shared.is_forked:
            paths += _files_of_modules()
        paths += recent
        return paths

    def _marks(self, is_end: bool) -> "list[str]":
        marks = ["\n^" + directory for directory in own_directories()]
        if self.kept is not None and self.kept.is_cut:
            marks.append("\n!")
        if is_end and self.is_root:
            marks.append("\n=")
        elif is_end:
            marks.append(f"\n-{self.pid}")
        return marks

    def forget(self) -> None:
        self.encoded = []
        self.kept = None

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
        """Prepare for a forked process, which may be killed before it can append its paths."""
        if self.shared is None:
            try:
                self.shared = _beside("gitorch_shared_paths").SharedPaths(self)
            except Exception:
                return  # the program goes on in any case
        self.shared.before_fork()

    def after_fork(self) -> None:
        """Begin a list of its own in a forked process."""
        self.pid = os.getpid()
        self.is_root = False
        self.forget()
        if self.shared is None:
            self.begin()
        else:
            self.shared.after_fork()

    def note(self, event: str, arguments: "tuple[Any, ...]") -> None:
        """Handle an event other than `open`."""
        if event == "sqlite3.connect":
            path = arguments[0]
            self.keep(os.fsdecode(path))
        elif event == "os.exec":
            self.finish(is_end=False)
        elif self.must_append:
            self.overflow()
            self.settle()
            self.kept.sort()  # while the directory is the one that they are relative to
        else:
            self.shared.change_directory()


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


def _beside(name: str) -> "Any":
    """Return the module `name`, which is beside this one. The program may have changed sys.path."""
    module = sys.modules.get(name)
    if module is None:
        path = os.path.join(os.path.dirname(__file__), name + ".py")
        module = type(sys)(name)
        loader: Any = type(__spec__.loader)
        exec(loader(name, path).get_code(name), vars(module))
        sys.modules[name] = module
    return module


def ignored() -> "tuple[str, ...]":
    """Return the beginnings of paths that do not count."""
    return (NOWHERE, "/sys/", *own_directories())


def own_directories() -> "set[str]":
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


def here() -> str:
    """Return the working directory with a slash, or a place without files if it is gone."""
    try:
        return os.path.join(os.getcwd(), "")
    except OSError:
        return NOWHERE


def texts(paths: "Iterable[Any]") -> "list[str]":
    """Return the paths as texts, without other values that Python accepts as a file."""
    found = []
    for path in paths:
        if type(path) is bytes:
            path = os.fsdecode(path)
        if type(path) is str:
            found.append(path)
    return found


def entries(paths: "Iterable[Any]") -> bytes:
    try:
        text = "\0".join(paths) + "\0"
    except TypeError:
        text = "\0".join(texts(paths)) + "\0"
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")

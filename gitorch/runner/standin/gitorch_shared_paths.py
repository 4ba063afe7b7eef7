"""The paths of forked processes, in memory that they share with the process that forked them.

A worker of `multiprocessing.Pool` is killed while it waits, so it cannot append its paths at its
end. `gitorch_recorder` loads this module when a process forks.
"""

import sys
from _thread import get_ident

TYPE_CHECKING = False  # `typing` itself takes milliseconds to import
if TYPE_CHECKING:
    import mmap
    from typing import Any

_module = sys.modules["gitorch_recorder"]
_MOST_AREAS = 128  # forked processes with shared memory
_AREA = 256 << 10  # bytes
_MOST_SEEN = 50_000  # paths


class SharedPaths:
    """The areas of memory that a process shares.

    `areas` are shared with forked processes, and `area` is the one shared with the process that
    forked this.
    """

    def __init__(self, recorder: "Any") -> None:
        self._recorder = recorder
        self.is_forked = False
        self._areas: list[mmap.mmap] = []
        self._next_areas: dict[int, mmap.mmap] = {}  # by thread
        self._area: mmap.mmap | None = None
        self._seen: set[Any] = set()
        self._ignored: tuple[str, ...] = ()

    def before_fork(self) -> None:
        """Map memory that the process about to be forked will share with this one."""
        thread = get_ident()
        self._next_areas.pop(thread, None)
        if self.is_forked or len(self._areas) >= _MOST_AREAS:
            return
        try:
            import mmap

            area = mmap.mmap(-1, _AREA)
        except (ImportError, OSError, ValueError):
            return
        self._areas.append(area)
        self._next_areas[thread] = area

    def after_fork(self) -> None:
        """Begin to share the paths of a forked process."""
        self.is_forked = True
        self._area = self._next_areas.get(get_ident())
        self._areas = []
        self._recorder.must_append = False
        self._recorder.renew()
        self._recorder.keep = self._share_first

    def change_directory(self) -> None:
        self._recorder.keep = self._share_first

    def contents(self) -> "list[bytes]":
        """Return the entries that forked processes have put into the memory."""
        return [_content(area) for area in self._areas]

    def _share_first(self, path: "Any") -> None:
        """Share the directory that relative paths are relative to, and a path."""
        self._ignored = _module.ignored()
        self._seen.clear()
        if self._write("\n@" + _module.here()):
            self._recorder.keep = self._share
        else:
            self._recorder.begin()
        self._recorder.keep(path)

    def _share(self, path: "Any") -> None:
        """Share a path at once, since the process may be killed."""
        if path in self._seen:
            return
        self._seen.add(path)
        for text in _module.texts([path]):
            is_kept = text.startswith(self._ignored) or self._write(text)
            if not is_kept or len(self._seen) > _MOST_SEEN:
                self._recorder.begin()
                self._recorder.keep(path)

    def _write(self, text: str) -> bool:
        """Put a text into the shared memory. Return False if it does not fit."""
        if self._area is None:
            return False
        try:
            self._area.write(_module.entries([text]))
        except ValueError:
            return False
        return True


def _content(area: "mmap.mmap") -> bytes:
    """Return the entries that a forked process has put into the memory that it shares."""
    if not area[0]:
        return b""
    end = area.find(b"\0\0") + 1
    return area[:end] if end else area[:]

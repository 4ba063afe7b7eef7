"""The threads that prepare attempts for which this takes time."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

THREADS = 4
Parameters = ParamSpec("Parameters")


class Preparers:
    """The threads; a context manager. They start when there is something for them to do.

    At exit, they carry out what was submitted, and end. Only one thread may use this object.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._threads is not None:
            self._threads.shutdown()

    def submit(
        self,
        work: Callable[Parameters, None],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> None:
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  takes 5 ms

            self._threads = ThreadPoolExecutor(THREADS, "preparer")
        self._threads.submit(work, *args, **kwargs)

"""The connection to a scheduler is shared by the threads that lead attempts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from gitorch.engines.dask import cluster


def test_several_threads_can_need_the_functions_for_hosts_at_once() -> None:
    gate = threading.Barrier(4)

    def functions() -> bytes:
        gate.wait()
        return cluster._functions()

    with ThreadPoolExecutor(4) as threads:
        for _ in range(30):
            cluster._pickled.cache_clear()
            calls = [threads.submit(functions) for _ in range(4)]
            assert len({call.result() for call in calls}) == 1

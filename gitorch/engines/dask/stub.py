"""The functions that Dask transports by value with each call: they call those that a worker has.

The functions of `execution` are transported once to each process of a worker, which keeps them.
They can therefore remember what their host has, and a call is short.

Standard library only.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

_KEPT = "_gitorch_hosts"

Functions = Mapping[str, Callable[..., Any]]


async def install(key: str, pickled: bytes) -> None:
    """Keep functions under a key: that of a client, which pickles different ones than another."""
    kept = sys.modules.setdefault(_KEPT, ModuleType(_KEPT))
    if not hasattr(kept, key):
        setattr(kept, key, pickle.loads(pickled))  # noqa: S301  as Dask does


async def call(key: str, name: str, *arguments: Any) -> dict[str, Any]:
    """Call a function in a thread, so that Dask's worker goes on meanwhile.

    Return its `value`, or in words why it is `refused`; nothing if the functions are not here.
    """
    functions: Functions | None = getattr(sys.modules.get(_KEPT), key, None)
    if functions is None:
        return {}
    loop = asyncio.get_running_loop()
    try:
        value = await loop.run_in_executor(None, functions[name], *arguments)
    except functions["HostError"] as error:  # type: ignore[misc]
        return {"refused": str(error)}
    except subprocess.CalledProcessError as error:
        return {"refused": error.stderr.decode(errors="replace")[-1000:]}
    except OSError as error:
        return {"refused": str(error)}
    return {"value": value}


def execute(key: str, *arguments: Any) -> dict[str, Any]:
    """Execute an attempt: this is the task of Dask. Return `refused` or `value` as above."""
    functions: Functions | None = getattr(sys.modules.get(_KEPT), key, None)
    if functions is None:
        return {"refused": "the worker of Dask was started again"}
    try:
        return {"value": functions["carry_out"](*arguments)}
    except functions["HostError"] as error:  # type: ignore[misc]
        return {"refused": str(error)}

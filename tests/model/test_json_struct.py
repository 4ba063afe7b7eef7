"""Values are read from JSON by several threads at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WRITTEN = Path(__file__).parent / "run/written"

# In a process of its own: what is tested is the first conversion to a type.
FIRST_CONVERSIONS = """
import json, sys, threading
from pathlib import Path
from gitorch.model.run.record import Record
from gitorch.model.run.payload import Payload

sys.setswitchinterval(1e-6)
start = threading.Barrier(6)

def read(kind, value):
    start.wait()
    kind.from_json(value)

written = Path(sys.argv[1])
values = [
    (Record, json.loads((written / "record-reused.json").read_text())),
    (Payload, json.loads((written / "payload.json").read_text())),
]
threads = [threading.Thread(target=read, args=value) for value in values * 3]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_several_threads_may_be_the_first_to_read_a_type() -> None:
    for _ in range(8):
        command = [sys.executable, "-c", FIRST_CONVERSIONS, str(WRITTEN)]
        ended = subprocess.run(command, check=False)
        assert ended.returncode == 0, (
            "msgspec.convert without a lock dies of SIGSEGV"
        )

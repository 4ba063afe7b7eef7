"""Runs one class task: `python task_program.py <pathToTasks> <class> <result.json>`.

Python compiles the file that it is started with at every start, which takes a sixth of the time of
a small task. The program is therefore a module of its own, which is compiled once.
"""

import os
import sys

if __name__ == "__main__":
    # Already there, unless PYTHONSAFEPATH is set.
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from gitorch_task import main  # type: ignore[import-not-found]

    main(*sys.argv[1:])

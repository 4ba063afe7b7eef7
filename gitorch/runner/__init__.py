"""Programs that run inside the project's interpreter, started by `gitorch.interpreter` and workers.

Each program is one file, except that of class tasks, which is two. It uses the standard library
only, and runs on Python 3.8 and later.
"""

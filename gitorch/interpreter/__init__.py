"""The project's interpreter: which one it is, what is installed in it, and what attempts see of it.

The programs that run inside it are in `gitorch.runner`.
"""

"""The only package that uses pygit2 and the git program.

pygit2 is for objects and references, the git program for work trees.
"""

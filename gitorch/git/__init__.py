"""The only package that uses pygit2 and the git program: pygit2 for objects and references, the program for work trees."""

"""The directory on the PYTHONPATH of attempts that makes `import gitorch` work in every project.

gitorch does not have to be installed in the project's interpreter.
"""

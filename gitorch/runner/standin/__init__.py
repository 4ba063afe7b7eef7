"""The directory on the PYTHONPATH of attempts that makes `import gitorch` work everywhere.

The project's interpreter need not have gitorch installed.
"""

"""Programs that run inside the project's interpreter: standard library only, from Python 3.8 on, each one file."""

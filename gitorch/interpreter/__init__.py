"""The project's interpreter: which one it is, what is installed in it, what attempts see of it, and preflight in it."""

"""The demo project, shipped as data: `gitorch demo` copies it into a repository of its own."""

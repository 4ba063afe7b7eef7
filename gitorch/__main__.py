"""`python -m gitorch`."""

from gitorch.cli.app import main

main()

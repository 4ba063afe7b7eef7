"""`gitorch hold`."""

from gitorch.cli.change_command import change_command

command = change_command(
    "hold", help="Start no more tasks of these runs; running tasks finish."
)

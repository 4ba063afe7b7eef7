"""`gitorch kill`."""

from gitorch.cli.change_command import change_command

command = change_command(
    "kill", help="End runs that are not complete, and remove their records."
)

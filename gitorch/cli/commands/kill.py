"""`gitorch kill`."""

from gitorch.cli.change_command import change_command

command = change_command(
    "kill", help="End waiting, held or running runs; remove their records."
)

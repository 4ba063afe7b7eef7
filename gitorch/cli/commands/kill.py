"""`gitorch kill`."""

from gitorch.cli.change_command import change_command

command = change_command("kill", help="End unfinished runs and remove their records.")

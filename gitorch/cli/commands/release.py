"""`gitorch release`."""

from gitorch.cli.change_command import change_command

command = change_command(
    "release", help="Let held runs continue.", next_command="gitorch run"
)

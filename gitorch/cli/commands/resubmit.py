"""`gitorch resubmit`."""

from gitorch.cli.change_command import change_command

command = change_command(
    "resubmit", help="Queue FAILED runs again.", next_command="gitorch run"
)

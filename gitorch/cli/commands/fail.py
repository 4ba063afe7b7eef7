"""`gitorch fail`."""

from gitorch.cli.change_command import change_command

command = change_command("fail", help="Give up runs in ERROR; their records stay.")

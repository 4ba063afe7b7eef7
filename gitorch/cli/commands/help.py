"""`gitorch help`."""

from __future__ import annotations

from typing import Annotated

import typer

from gitorch.cli import offers
from gitorch.cli.boundary import prints
from gitorch.cli.style import put
from gitorch.cli.verbs import VERBS
from gitorch.errors import UsageError

TopicArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TOPIC]",
        help="A topic, or a command.",
        autocompletion=offers.topics,
    ),
]


@prints
def command(ctx: typer.Context, topic: TopicArgument = None) -> None:
    """Show the manual of a topic, or the topics."""
    from gitorch.cli.topics import TOPICS, render_topic

    if topic is None:
        put("The topics of gitorch help TOPIC:\n")
        for name, about in TOPICS.items():
            put(f"  {name:12}  {about}")
        put("\nThe commands: gitorch --help. One command: gitorch help COMMAND.")
    elif topic in TOPICS:
        put(render_topic(topic).rstrip())
    elif topic in VERBS:
        from gitorch.cli.verbs import load_command

        shown = load_command(topic)
        with shown.make_context(
            topic, [], parent=ctx.parent, resilient_parsing=True
        ) as of_command:
            put(shown.get_help(of_command))
    else:
        from gitorch.model.text.spelling import did_you_mean

        raise UsageError(
            f"there is no topic {topic!r}{did_you_mean(topic, [*TOPICS, *VERBS])}",
            f"the topics are: {', '.join(TOPICS)}",
        )

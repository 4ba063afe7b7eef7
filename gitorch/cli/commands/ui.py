"""`gitorch ui`."""

from __future__ import annotations

from typing import Annotated

import typer

from gitorch.cli.arguments import site_here
from gitorch.cli.boundary import EXIT_OK, guarded
from gitorch.cli.style import put, say


@guarded
def command(
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="P",
            help="Listen on this port of 127.0.0.1; 0: a free one.",
            min=0,
            max=65535,
        ),
    ] = 0,
    opens: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer no changes of runs.")
    ] = False,
) -> int:
    """Show the runs in the browser, live, and steer them.

    The page is for you alone: the link that is printed has the key. It ends with Ctrl-C.
    """
    from gitorch.page.server import serve

    def announce(link: str) -> None:
        put(link, flush=True)
        say("The page is at this link until Ctrl-C.")
        if opens:
            import webbrowser

            webbrowser.open(link)

    try:
        serve(site_here(), port=port, read_only=read_only, announce=announce)
    except KeyboardInterrupt:
        say("The page has ended.")
    return EXIT_OK

"""Warnings about what a checkout lacks because it cannot be fetched."""

from __future__ import annotations

from collections.abc import Sequence

from gitorch.cli.style import in_line, say


def say_missing(warnings: Sequence[str], hints: Sequence[str]) -> None:
    """Say what is missing, and by which commands it can be had."""
    for warning in warnings:
        say(f"warning: {in_line(warning)}")
    for hint in dict.fromkeys(hints):
        say(f"hint: {in_line(hint)}")

"""A group whose commands are imported when one is called: no command pays for what the others need.

Click's documentation, "Lazily Loading Subcommands". Help texts, completion and manual pages load them all.
"""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(click.Group):
    """``places``: a command's word → ``module:attribute`` below :mod:`clawmates.cli`."""

    def __init__(self, *arguments: Any, places: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All words, those not imported yet too."""
        return sorted({*super().list_commands(ctx), *self.places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command where it was not."""
        if cmd_name in self.places and cmd_name not in self.commands:
            module, _, attribute = self.places[cmd_name].partition(":")
            # None of what is loaded is garbage: looking through it, and once more at the end, is a sixth of a command.
            gc.disable()
            command: click.Command = getattr(import_module(f"clawmates.cli.{module}"), attribute)
            gc.freeze()
            gc.enable()
            self.add_command(command, cmd_name)
        return super().get_command(ctx, cmd_name)


def inner(group: click.Group, context: click.Context) -> list[tuple[str, click.Command]]:
    """The group's commands by their words, sorted."""
    found = ((word, group.get_command(context, word)) for word in group.list_commands(context))
    return [(word, command) for word, command in found if command is not None]

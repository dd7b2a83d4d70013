"""``clawmates completion``: the script that lets a shell complete commands, options and choices."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from clawmates.cli.answers import CommandError

VARIABLE = "_CLAWMATES_COMPLETE"
"""Under this name click looks for a shell that asks (its documentation, Shell Completion)."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  clawmates completion bash > /etc/bash_completion.d/clawmates
    zsh:   clawmates completion zsh  > /usr/local/share/zsh/site-functions/_clawmates
    fish:  clawmates completion fish > ~/.config/fish/completions/clawmates.fish
    """  # noqa: D301 - click's mark is the control character itself
    kind = get_completion_class(shell)
    if kind is None:
        raise CommandError(f"there is no completion for {shell}.", code="usage")
    click.echo(kind(context.find_root().command, {}, "clawmates", VARIABLE).source())

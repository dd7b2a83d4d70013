"""``clawmates``: every command, and how they end."""

from __future__ import annotations

import sys

import click

from clawmates.base.hardening import harden
from clawmates.cli.answers import CommandError, Exit, fail
from clawmates.cli.lazy import LazyGroup

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
BOTH = {
    "up": "up:up",
    "status": "status:status",
    "logs": "operate:logs",
    "restart": "operate:restart",
    "remove": "operate:remove",
}
"""Said with `selfhost` or without."""
PLACES = {
    **BOTH,
    "hosted": "hosted:hosted",
    "admin": "admin:admin",
    "chat": "chat:chat",
    "doctor": "doctor:doctor",
    "bot": "bot:bot",
    "prove": "prove:prove",
    "vault": "vault:vault",
    "audit": "audit:audit",
    "node": "node:node",
    "receipt": "keys:receipt",
    "release": "release:release",
    "backup": "backup:backup",
    "export": "export:export",
    "import": "importing:import_bots",
    "completion": "completion:completion",
    "manual": "manual:manual",
}
SELFHOST = {**BOTH, "init": "init:init", "prepare": "service:prepare", "stop": "service:stop"}


@click.group(cls=LazyGroup, places=PLACES, context_settings=CONTEXT)
@click.version_option(package_name="clawmates", message="%(prog)s %(version)s")
def clawmates() -> None:
    """An AI assistant of your own, in a container of its own, whose conversation nobody keeps.

    Begin with `clawmates doctor`, then `clawmates selfhost init`, then `clawmates up`.

    Exit codes: 0 ok or held · 1 failed or broken · 2 usage · 4 missing prerequisite · 69 unreachable ·
    78 configuration.
    """


@clawmates.group(cls=LazyGroup, places=SELFHOST)
def selfhost() -> None:
    """Make and run a platform on this host."""


def run() -> None:
    """The console script. An unexpected error is told by its type and place; its text may quote anything."""
    harden(new_privileges=True)
    try:
        clawmates.main(prog_name="clawmates", standalone_mode=False)
    except click.UsageError as error:
        if "--json" in sys.argv:
            fail(CommandError(error.format_message(), code="usage", exit_code=Exit.USAGE), as_json=True)
        error.show()
        sys.exit(int(Exit.USAGE))
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(int(Exit.FAILED))


if __name__ == "__main__":
    run()

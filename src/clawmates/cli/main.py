"""``clawmates``: every command, and how they end."""

from __future__ import annotations

import sys

import click

from clawmates.base.hardening import harden
from clawmates.cli.admin import admin
from clawmates.cli.answers import CommandError, Exit, fail
from clawmates.cli.audit import audit
from clawmates.cli.backup import backup
from clawmates.cli.bot import bot
from clawmates.cli.chat import chat
from clawmates.cli.completion import completion
from clawmates.cli.doctor import doctor
from clawmates.cli.export import export
from clawmates.cli.hosted import hosted
from clawmates.cli.init import init
from clawmates.cli.keys import receipt
from clawmates.cli.manual import manual
from clawmates.cli.node import node
from clawmates.cli.operate import logs, remove, restart
from clawmates.cli.prove import prove
from clawmates.cli.release import release
from clawmates.cli.service import prepare, stop
from clawmates.cli.status import status
from clawmates.cli.up import up
from clawmates.cli.vault import vault

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="clawmates", message="%(prog)s %(version)s")
def clawmates() -> None:
    """An AI assistant of your own, in a container of its own, whose conversation nobody keeps.

    Begin with `clawmates doctor`, then `clawmates selfhost init`, then `clawmates up`.

    Exit codes: 0 ok or held · 1 failed or broken · 2 usage · 4 missing prerequisite · 69 unreachable ·
    78 configuration.
    """


@clawmates.group()
def selfhost() -> None:
    """Make and run a platform on this host."""


for command in (init, prepare, stop):
    selfhost.add_command(command)
for command in (up, status, logs, restart, remove):
    clawmates.add_command(command)
    selfhost.add_command(command)
for command in (hosted, admin, chat, doctor, bot, prove, vault, audit, node, receipt, release, backup, export):
    clawmates.add_command(command)
for command in (completion, manual):
    clawmates.add_command(command)


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

"""``clawmates doctor``: what this machine lacks, one line each with the remedy, and what is safe put right."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, state_option
from clawmates.selfhost.doctor.checks import checks
from clawmates.selfhost.doctor.fix import FixError, fixes
from clawmates.selfhost.doctor.look import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.base.paths import State
    from clawmates.selfhost.doctor.checks import Check
    from clawmates.selfhost.doctor.fix import Fix


@click.command()
@state_option
@click.option("--fix", is_flag=True, help="Put right what is safe; shows it first and asks.")
@click.option("--dry-run", is_flag=True, help="Only show what --fix would do.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@answered
def doctor(state: State, fix: bool, dry_run: bool, yes: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Say what this machine lacks. Exits 4 when something that is needed is missing; what is marked ! stops no bot.

    With --fix it adds missing service users, reserves the bots' user ids, mounts the runtime folder in RAM, and sets
    owner and mode of the platform's folders. It removes, replaces and restarts nothing, and installs no package.
    """
    machine = asyncio.run(look(state))
    found, planned = tuple(checks(machine)), tuple(fixes(machine))
    if not as_json:
        click.echo(checks_text(found))
    done: tuple[Fix, ...] = ()
    if (fix or dry_run) and not as_json:
        click.echo("\n" + plan_text(planned))
    if fix and not dry_run and planned:
        need_root()
        _agree(yes=yes)
        done = _do(planned, quiet=as_json)
        found = tuple(checks(asyncio.run(look(state))))
    lines = {"planned": [str(one) for one in planned], "done": [str(one) for one in done]}
    succeed({"checks": found, **lines}, as_json=as_json)
    left = [check for check in found if not check.ok]
    if done and not as_json:
        click.echo("\n" + (checks_text(left) if left else "nothing is missing any more"))
    if any(check.needed for check in left):
        raise SystemExit(int(Exit.MISSING))


def checks_text(found: Sequence[Check]) -> str:
    """A line each, and the remedy below what is wrong."""
    lines = []
    for check in found:
        wrong = click.style("✗", fg="red") if check.needed else click.style("!", fg="yellow")
        mark = click.style("✓", fg="green") if check.ok else wrong
        lines.append(f"{mark} {check.name}: {check.found}")
        if not check.ok:
            lines.append(f"    {check.remedy}")
    return "\n".join(lines)


def plan_text(planned: Sequence[Fix]) -> str:
    """What would be done, as one would type it."""
    if not planned:
        return "there is nothing that --fix could safely put right"
    return "\n".join(["this would be done:", *(f"    {one}" for one in planned)])


def _agree(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nobody is there to agree: give --yes, or look first with --dry-run")
    if not click.confirm("\nDo it?", err=True):
        raise click.Abort


def _do(planned: Sequence[Fix], *, quiet: bool) -> tuple[Fix, ...]:
    done = []
    for one in planned:
        try:
            one.do()
        except FixError as error:
            raise CommandError(str(error), code="fix-failed", remedy="What was done before it stays.") from None
        done.append(one)
        if not quiet:
            click.echo(f"{click.style('✓', fg='green')} {one}")
    return tuple(done)

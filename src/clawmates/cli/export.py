"""``clawmates export``: a self-hoster's own things in one zip, as they leave a hosted platform from its page."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import bots, leaving
from clawmates.selfhost.install import vault_of

if TYPE_CHECKING:
    from clawmates.base.paths import State


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("clawmates-export.zip"),
    show_default=True,
    help="The new file, for your eyes alone (0600): it holds prompts and lists of people as they are.",
)
@state_option
@json_option
@answered
async def export(out: Path, state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Write your bots' settings, prompts and lists of people into a zip of JSON files. No token or API key is in it.

    The vault opens each prompt once, and notes it in its audit chain.
    """
    need_root()
    settings = settings_of(state)
    if settings.hosted:
        raise CommandError(
            "this platform has accounts, and what is in them belongs to their owners.",
            code="hosted",
            remedy=f"Each finds theirs at {settings.control.origin.rstrip('/')}/account/data.",
            exit_code=Exit.USAGE,
        )
    desired = bots.read(state)
    async with vault_of(state, settings) as vault:
        package = await leaving.export(desired, settings.platform.region, vault, datetime.now(UTC))
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise CommandError(f"{out} exists.", code="exists", remedy="Name another file with --out.") from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(package)
    names = [bot.id for bot in desired.bots]
    succeed(
        {"file": str(out), "bots": names, "size": len(package)},
        as_json=as_json,
        text=f"✓ {out}: {', '.join(names) or 'no bots'}. It holds prompts as they are: keep it as you keep those.",
    )

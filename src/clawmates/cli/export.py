"""``clawmates export``: a self-hoster's own things in one zip, as they leave a hosted platform from its page."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.base.files import write_atomic
from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import arriving, bots, leaving
from clawmates.selfhost.install import vault_of
from clawmates.selfhost.openclaw import going, guide

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.selfhost.openclaw.words import Lost

OURS, OPENCLAW = "clawmates", "openclaw"


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The new file, for your eyes alone (0600): it holds prompts and lists of people as they are."
    "  [default: FORMAT-export.zip]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice([OURS, OPENCLAW]),
    default=OURS,
    show_default=True,
    help="For another host of ours, or a configuration of OpenClaw.",
)
@click.option(
    "--from",
    "export_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="EXPORT.zip",
    help="Not of this platform's bots, but of an export that was made before; with --format openclaw.",
)
@state_option
@json_option
@answered
async def export(
    out: Path | None,
    form: str,
    export_file: Path | None,
    state: State,
    as_json: bool,  # noqa: FBT001 - click's way
) -> None:
    """Write your bots' settings, prompts and lists of people into a zip. No token or API key is in it.

    The vault opens each prompt once, and notes it in its audit chain.
    """
    if export_file is None:
        package = await _of_platform(state)
    elif form == OPENCLAW:
        package = _read(export_file)
    else:
        raise CommandError(
            f"{export_file} is an export already.",
            code="usage",
            remedy="Say --format openclaw to make a configuration of OpenClaw of it.",
            exit_code=Exit.USAGE,
        )
    lost: list[Lost] = []
    found = arriving.unpack(BytesIO(package)).bots if form == OPENCLAW else ()
    if form == OPENCLAW:
        package, lost = going.pack(found, datetime.now(UTC)), [one for bot in found for one in guide.unsaid(bot)]
    out = out or Path(f"{form}-export.zip")
    _write(out, package)
    names = [bot.name for bot in found] if found else [bot.id for bot in bots.read(state).bots]
    told = "".join(f"\n  not taken over: {one}" for one in lost)
    text = f"✓ {out}: {', '.join(names) or 'no bots'}. It holds prompts as they are: keep it as you keep those."
    succeed(
        {"file": str(out), "bots": names, "size": len(package), "lost": lost},
        as_json=as_json,
        text=text + told,
    )


def _read(path: Path) -> bytes:
    return path.read_bytes()


async def _of_platform(state: State) -> bytes:
    need_root()
    settings = settings_of(state)
    if settings.hosted:
        raise CommandError(
            "this platform has accounts, and what is in them belongs to their owners.",
            code="hosted",
            remedy=f"Each finds theirs at {settings.control.origin.rstrip('/')}/account/data.",
            exit_code=Exit.USAGE,
        )
    async with vault_of(state, settings) as vault:
        return await leaving.export(bots.read(state), settings.platform.region, vault, datetime.now(UTC))


def _write(out: Path, package: bytes) -> None:
    """Whole or not at all: half a zip would stand in the way of the next try, too."""
    if out.exists() or out.is_symlink():
        raise CommandError(f"{out} exists.", code="exists", remedy="Name another file with --out.")
    write_atomic(out, package)

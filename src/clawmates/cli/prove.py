"""``clawmates prove``: the platform's claims, tried on this very host."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit
from clawmates.cli.options import answered, need_root, settings_of, state_option
from clawmates.proofs.errors import BlindError, NoBotError, ProofError
from clawmates.proofs.live import LivePlatform
from clawmates.proofs.result import Claim
from clawmates.proofs.run import tell
from clawmates.proofs.trial import Options

if TYPE_CHECKING:
    from clawmates.base.paths import State


@click.command()
@click.option(
    "--claim",
    "claims",
    multiple=True,
    type=click.Choice([claim.value for claim in Claim]),
    help="Only this claim; may be given again.",
)
@click.option(
    "--full", is_flag=True, help="2,000 messages, 20 kills of each process, devices of any size, all old files, a hog."
)
@click.option("--messages", type=click.IntRange(1, 100_000), help="80, and 2000 with --full.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON alone on stdout.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report as one page to show to others, without script or anything from elsewhere.",
)
@state_option
@answered
async def prove(
    state: State,
    claims: tuple[str, ...],
    full: bool,  # noqa: FBT001 - click's way
    messages: int | None,
    page: Path | None,
    as_json: bool,  # noqa: FBT001 - click's way
) -> None:
    """Try the platform's claims on the running platform: exit 0 when they held, 1 when one is broken.

    Sends made-up messages through the bots whose channel is the terminal, tries to break out of a container (and of
    weaker ones without a bot, which it starts for some seconds to see the same attempts succeed), and ends
    vault, node, gateway and a mate by `kill -9`: they are back within seconds, and conversations in the terminal are
    forgotten. People and their deletion are made up in folders apart (retention, on a hosted platform); exit 4 where
    a trial does not see what was put there for it to see, and so shows nothing.
    """
    need_root()
    platform = LivePlatform(state, settings_of(state))
    try:
        options = Options.of(full=full, messages=messages)
        code = await tell(platform, claims, options, as_json=as_json, page=str(page or ""))
    except ProofError as error:
        exit_code = Exit.MISSING if isinstance(error, NoBotError | BlindError) else Exit.UNREACHABLE
        raise CommandError(f"{error}.", code="cannot-prove", exit_code=exit_code) from None
    finally:
        await platform.close()
    raise SystemExit(code)

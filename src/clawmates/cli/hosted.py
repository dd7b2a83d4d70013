"""``clawmates hosted init``: a platform whose people make their bots in a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.base.paths import DEFAULT_RUN
from clawmates.base.settings import Control, Mode, Platform, Vault
from clawmates.cli.answers import succeed
from clawmates.cli.init import CHECKOUT_RELEASE, INSTALLED_RELEASE
from clawmates.cli.options import answered, json_option, need_root, state_option
from clawmates.selfhost.install import Plan
from clawmates.selfhost.making import make_hosted

if TYPE_CHECKING:
    from clawmates.base.paths import State


@click.group()
def hosted() -> None:
    """Make a platform on which people sign in and launch bots of their own."""


@hosted.command("init")
@state_option
@click.option(
    "--run",
    type=click.Path(path_type=Path, resolve_path=True),
    default=DEFAULT_RUN,
    show_default=True,
    help="Runtime folder.",
)
@click.option(
    "--release",
    type=click.Path(path_type=Path, file_okay=False),
    default=CHECKOUT_RELEASE if CHECKOUT_RELEASE.exists() else INSTALLED_RELEASE,
    show_default="the checkout's or the installation's own",
    help="The signed release to run.",
)
@click.option("--region", default=Platform().region, show_default=True, help="What this region is called.")
@click.option("--listen", default=Vault().listen, show_default=True, help="Where the vault listens; port 0 is any.")
@click.option("--web", default=Control().listen, show_default=True, help="Where browsers arrive.")
@click.option("--nodes", default=Control().nodes, show_default=True, help="Where nodes arrive.")
@click.option("--origin", default=Control().origin, show_default=True, help="The address that people know it by.")
@json_option
@answered
def init(  # noqa: PLR0913, PLR0917 - one for each option, and click names them
    state: State,
    run: Path,
    release: Path,
    region: str,
    listen: str,
    web: str,
    nodes: str,
    origin: str,
    as_json: bool,  # noqa: FBT001 - click's way
) -> None:
    """Make a hosted platform: folders, certificates, configuration, no bots.

    Browsers are shown a certificate of the platform's own authority until [control] certificate and key name another.
    Without [control.smtp] sign-in links appear in the terminal of `clawmates up`, and nowhere else.
    """
    need_root()
    plan = Plan(
        state=state,
        release=release,
        settings={
            "platform": {"mode": Mode.HOSTED.value, "region": region, "run": str(run)},
            "vault": {"listen": listen},
            "control": {"listen": web, "nodes": nodes, "origin": origin},
        },
    )
    settings = make_hosted(plan, datetime.now(UTC))
    hint = "" if state.root == Path("/var/lib/clawmates") else f" --state {state.root}"
    succeed(
        {"origin": settings.control.origin, "authority": str(state.authority)},
        as_json=as_json,
        text=f"✓ A hosted platform at {settings.control.origin}\n\nStart it with:  clawmates up{hint}",
    )

"""``clawmates hosted init``: a platform whose people make their bots in a browser."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from clawmates.base.settings import Control, Mode, Platform
from clawmates.cli.answers import succeed
from clawmates.cli.install_options import Place, place_options
from clawmates.cli.options import answered, json_option, need_root
from clawmates.selfhost.making import make_hosted


@click.group()
def hosted() -> None:
    """Make a platform on which people sign in and launch bots of their own."""


@hosted.command("init")
@place_options
@click.option("--region", default=Platform().region, show_default=True, help="What this region is called.")
@click.option("--web", default=Control().listen, show_default=True, help="Where browsers arrive.")
@click.option("--nodes", default=Control().nodes, show_default=True, help="Where nodes arrive.")
@click.option("--origin", default=Control().origin, show_default=True, help="The address that people know it by.")
@json_option
@answered
def init(
    *,
    place: Place,
    region: str,
    web: str,
    nodes: str,
    origin: str,
    as_json: bool,
) -> None:
    """Make a hosted platform: folders, certificates, configuration, no bots.

    Browsers are shown a certificate of the platform's own authority until [control] certificate and key name another.
    Without [control.smtp] sign-in links appear in the terminal of `clawmates up`, and nowhere else.
    """
    need_root()
    plan = place.plan(
        platform={"mode": Mode.HOSTED.value, "region": region},
        control={"listen": web, "nodes": nodes, "origin": origin},
    )
    settings = make_hosted(plan, datetime.now(UTC))
    succeed(
        {"origin": settings.control.origin, "authority": str(place.state.authority)},
        as_json=as_json,
        text=f"✓ A hosted platform at {settings.control.origin}\n\nStart it with:  {place.up}",
    )

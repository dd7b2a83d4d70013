"""``clawmates hosted init``: a platform whose people make their bots in a browser."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import click

from clawmates.base.settings import Control, Mode, Platform, SettingsError, address
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
@click.option(
    "--ingress",
    default="",
    help="One public port for browsers and for callers of bots, as 0.0.0.0:443; browsers are passed on to --web.",
)
@click.option("--controller", default="", help="Who operates it, as agreements name them: name, address, e-mail.")
@click.option("--hosting", default="", help="Who rents out the machines, and where they stand.")
@click.option("--security-contact", default="", help="Whom to tell of a weakness, as mailto:security@example.org.")
@json_option
@answered
def init(
    *,
    place: Place,
    region: str,
    web: str,
    ingress: str,
    as_json: bool,
    **control: str,
) -> None:
    """Make a hosted platform: folders, certificates, configuration, no bots.

    Browsers are shown a certificate of the platform's own authority until [control] certificate and key name another.
    What --controller, --hosting and --security-contact say goes into [control] and can be changed there; without it
    nobody can make a data processing agreement, the record of processing has gaps, and there is no security.txt.
    Without [control.smtp] sign-in links appear in the terminal of `clawmates up`, and nowhere else.
    """
    need_root()
    public = behind_the_gateway(ingress, web, control["origin"]) if ingress else {}
    plan = place.plan(
        platform={"mode": Mode.HOSTED.value, "region": region} | public.get("platform", {}),
        gateway=public.get("gateway", {}),
        # --listen is the vault's.
        control={"listen": web} | {name: said for name, said in control.items() if said} | public.get("control", {}),
    )
    settings = make_hosted(plan, datetime.now(UTC))
    succeed(
        {"origin": settings.control.origin, "authority": str(place.state.authority)},
        as_json=as_json,
        text=f"✓ A hosted platform at {settings.control.origin}\n\nStart it with:  {place.up}",
    )


def behind_the_gateway(ingress: str, web: str, origin: str) -> dict[str, dict[str, object]]:
    """What makes browsers arrive at the gateway, by section: it knows them by the origin's name, and control knows it.

    Raises ``click.UsageError``.
    """
    try:
        address(ingress)
        host, port = address(web)
        own = ip_address("127.0.0.1" if host == "localhost" else host)
    except (SettingsError, ValueError):
        raise click.UsageError("with --ingress, it and --web are each ADDRESS:PORT") from None
    name = urlsplit(origin).hostname
    if not port or not name:
        raise click.UsageError(
            "with --ingress, --web has a port of its own, and --origin a name: https://bots.example.org"
        )
    if own.is_unspecified:
        own = ip_address("127.0.0.1" if own.version == 4 else "::1")
    return {
        "platform": {"domain": name},
        "gateway": {"ingress": ingress, "control": web},
        "control": {"proxies": [str(own)]},
    }

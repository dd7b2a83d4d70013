"""Claim *self-host*: all of it runs on one's own machine, and talks to nobody but whom the owner chose."""

from __future__ import annotations

import asyncio
from enum import Enum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from clawmates.base.settings import SettingsError, resolver_address
from clawmates.proofs.canary import mint
from clawmates.proofs.claims.bound import Destination, compare, destinations, may
from clawmates.proofs.claims.overheard import Overheard, overhear, say_one
from clawmates.proofs.errors import ProofError
from clawmates.proofs.net.packets import End
from clawmates.proofs.part import Part, figures_of
from clawmates.proofs.result import Claim, Evidence, Result, Status, Table, repeat
from clawmates.selfhost import bots
from clawmates.selfhost.draft import BotError
from clawmates.wire.door import OLLAMA_HOST, VAULT_HOST
from clawmates.wire.gateway_client import GatewayClient, GatewayError
from clawmates.wire.releases import ReleaseError, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options
    from clawmates.proofs.world import World

HEAD = ("bytes went to", "called", "asked for", "connections", "bytes out", "bytes in", "may be")
QUIET_SECONDS, QUIET_SECONDS_FULL = 1.0, 60.0
"""After a conversation: whoever phones home by a clock does it then."""
LEFT_OUT = (
    "a platform that talks to nobody, with the terminal and a local model only: this one has the bots that it has;"
    " `make prove` tries it in a network of its own"
)
REAL = (
    "connections that lived too short to be found in /proc: on a host that others use as well, a connection counts as"
    " the platform's when one of its processes was seen to hold it"
)
ALWAYS = ("what the messenger and the AI provider do with what they are sent",)


class Setting(Enum):
    """Which bots talk."""

    EVERYBODY = "every channel and provider"
    ALONE = "with the terminal and a model on this host's own loopback"


async def self_host(platform: Platform, options: Options, bench: Bench) -> Result:
    """Overhears conversations and compares where bytes went with where they may. Raises ``ProofError``."""
    world = platform.world
    if world is None:
        parts = [await _real(platform, options, bench), await _counted(platform)]
    else:
        try:
            await world.prepare()
            parts = [await _watched(platform, world, Setting.EVERYBODY, options, bench)]
            await world.retreat()
            parts.append(await _watched(platform, world, Setting.ALONE, options, bench))
        finally:
            await world.settle()
    status = await platform.status()
    return _result(parts, status.unsafe, (*platform.apart, *ALWAYS, *(() if world else (LEFT_OUT, REAL))))


async def _watched(platform: Platform, world: World, setting: Setting, options: Options, bench: Bench) -> Part:
    """In a network of its own: the set of destinations must be the set of hosts, neither more nor less."""
    canary, title, key = mint(bench.entropy), setting.value, setting.name.lower()
    converse = world.converse if setting is Setting.EVERYBODY else world.converse_alone
    await world.refresh()

    async def talk() -> Mapping[str, int]:
        replies = await converse(canary.message)
        await asyncio.sleep(QUIET_SECONDS_FULL if options.full else QUIET_SECONDS)
        return replies

    wanted = _wanted(platform)
    heard = await overhear(platform, talk, mint(bench.entropy), stray=world.nowhere)
    bench.progress("packets", len(heard.packets))
    found = destinations(heard.judged(), world.places)
    names = frozenset(world.asked)
    against = [*compare((one.known for one in found), wanted, exactly=True), *_others(heard)]
    against += [f"the name {name} was looked up" for name in sorted(names - wanted)]
    return Part(
        table=_table(f"where bytes went, {title}", found, wanted, names),
        figures={
            f"destinations_{key}": len({one.known for one in found}),
            f"allowed_{key}": len(wanted),
            f"replies_{key}": sum(heard.replies.values()),
            f"names_looked_up_{key}": len(names),
            f"packets_{key}": len(heard.packets),
        },
        controls=(f"{title}: a connection of the trial's own to {world.nowhere}, in the same capture: noticed",),
        found=tuple(f"{title}: {one}" for one in against),
    )


async def _real(platform: Platform, options: Options, bench: Bench) -> Part:
    """On a host of the owner's: nothing but the hosts, as far as connections can be told to be the platform's."""
    canary = mint(bench.entropy)

    async def talk() -> Mapping[str, int]:
        return await say_one(platform, canary, options)

    wanted = _wanted(platform)
    heard = await overhear(platform, talk, mint(bench.entropy))
    found = destinations(heard.judged(), _resolver_place(platform))
    return Part(
        table=_table("where bytes went during a conversation", found, wanted, frozenset()),
        figures={"destinations": len(found), "allowed": len(wanted), "foreign_connections": heard.foreign},
        controls=("two connections of the trial's own, in the same capture: noticed",),
        found=compare((one.known for one in found), wanted, exactly=False),
    )


async def _counted(platform: Platform) -> Part:
    """The gateway's own counters, since it opened its doors: no host but those, whoever asked."""
    try:
        flows = (await GatewayClient(platform.run.gateway).status()).flows
    except GatewayError:
        raise ProofError("the gateway does not answer: see `clawmates status`") from None
    wanted = _wanted(platform) | {VAULT_HOST, OLLAMA_HOST}
    rows = [("bot", "bytes went to", "connections", "bytes out", "bytes in", "may be")]
    for one in flows:
        counts = (f"{one.connections:,}", f"{one.bytes_out:,}", f"{one.bytes_in:,}")
        rows.append((one.bot, one.host, *counts, "yes" if one.host in wanted else "no"))
    return Part(
        table=Table(title="the gateway's own counters", rows=tuple(rows)),
        figures={"hosts_counted": len({one.host for one in flows})},
        found=compare((one.host for one in flows), wanted, exactly=False),
    )


def _wanted(platform: Platform) -> frozenset[str]:
    try:
        desired = bots.read(platform.state)
        release = load(platform.state.release, platform.settings.node.release_key)
        resolver = resolver_address(platform.settings)[2] if platform.settings.gateway.resolver else ""
    except (BotError, ReleaseError, SettingsError):
        raise ProofError("the bots or the signed release cannot be read: see `clawmates status`") from None
    hosts = may((bot for bot in desired.bots if not bot.paused), release, resolver)
    # Who talks to no host looks up no name.
    return hosts if hosts != {resolver} else frozenset()


def _resolver_place(platform: Platform) -> dict[End, str]:
    if not platform.settings.gateway.resolver:
        return {}
    host, port, name = resolver_address(platform.settings)
    return {End(ip_address(host), port): name}


def _others(heard: Overheard) -> list[str]:
    """What is no TCP has no business here at all."""
    found = [f"{count} packets of protocol {kind} to {end}" for (kind, end), count in heard.datagrams.items()]
    return [*found, *([f"{heard.malformed} packets that cannot be read"] if heard.malformed else [])]


def _table(title: str, found: tuple[Destination, ...], wanted: frozenset[str], names: frozenset[str]) -> Table:
    rows = [
        (
            one.name,
            str(one.end),
            one.asked or "-",
            f"{one.connections:,}",
            f"{one.up:,}",
            f"{one.down:,}",
            "yes" if one.known in wanted else "no",
        )
        for one in found
    ]
    nobody = [("nobody: no byte left this host", "-", "-", "0", "0", "0", "yes")] if not found else []
    looked = [("names looked up", ", ".join(sorted(names)), "-", "", "", "", "yes" if names <= wanted else "no")]
    return Table(title=title, rows=(HEAD, *rows, *nobody, *(looked if names else [])))


def _result(parts: list[Part], unsafe: tuple[str, ...], passed_over: tuple[str, ...]) -> Result:
    figures = figures_of(parts)
    found = tuple(one for part in parts for one in part.found)
    if "destinations_everybody" in figures:
        said = (
            f"With every channel and provider, bytes went to {figures['destinations_everybody']} places, and"
            f" {figures['allowed_everybody']} is what the bots need. With the terminal and a local model they went to"
            f" {figures['destinations_alone'] or 'no'} places, and {figures['names_looked_up_alone'] or 'no'} names"
            " were looked up."
        )
    else:
        said = (
            f"During a conversation bytes went to {figures['destinations']} places of the {figures['allowed']} that the"
            f" bots may need; the gateway has counted {figures['hosts_counted']} hosts since it began."
        )
    return Result(
        id=Claim.SELF_HOST,
        status=Status.BROKEN if found else Status.HELD,
        evidence=Evidence(
            summary=f"{said} Objections: {len(found) or 'none'}.",
            figures={**figures, "objections": len(found), "unsafe_switches": ", ".join(unsafe) or "none"},
            tables=tuple(part.table for part in parts),
            controls=tuple(one for part in parts for one in part.controls),
            found=found,
            not_looked_at=passed_over,
        ),
        repeat=repeat(Claim.SELF_HOST),
    )

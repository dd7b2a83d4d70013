"""How many releases a second the vault gives: a ticket for node, then its redemption by a mate, each a call of its own.

As in life: node keeps a few connections, every mate opens one of its own. The floor is one fresh connection a release
that asks for nothing but ``/healthz``. Each release commits an audit entry to disk, so many must be in flight to be
fast. The two take turns, and the median of several rounds is what one can rely on: one round is over in two seconds.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING

from clawmates.base.http.client import Connection
from clawmates.base.settings import vault_address
from clawmates.base.tls import client_context
from clawmates.selfhost import bots
from clawmates.trials.throwaway import Bot
from clawmates.wire.names import ChannelKind
from clawmates.wire.vault import Redemption, TicketRequest
from clawmates.wire.vault_client import VaultClient, redeem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clawmates.trials.throwaway import Throwaway

RELEASES = 240
"""In one round."""
ROUNDS = 5
IN_FLIGHT = 16
FIRST_GENERATION = 1 << 40
"""Newer than any that node has asked for."""


async def figures(trial: Throwaway) -> dict[str, float]:
    """``vault_releases_per_s`` and its floor."""
    crowd = [Bot.invent(f"vault-{number}", ChannelKind.TERMINAL) for number in range(IN_FLIGHT)]
    await trial.add(crowd, paused=True)
    settings, state = trial.platform.settings, trial.state
    host, port = vault_address(settings)
    node = VaultClient(
        host, port, client_context(authority=state.authority, identity=state.identity("node")), keep=True
    )
    mate = client_context(authority=state.authority)
    items = {bot.id: bot.items for bot in bots.read(state).bots}

    async def release(worker: int, turn: int) -> None:
        name = crowd[worker].name
        request = TicketRequest(bot=name, generation=FIRST_GENERATION + turn, items=items[name])
        ticket = await node.ticket(request)
        connection = await Connection.tcp(host, port, tls=mate, server_name="vault")
        try:
            await redeem(connection, Redemption(bot=name, ticket=ticket.ticket))
        finally:
            await connection.close()

    async def nothing(_worker: int, _turn: int) -> None:
        connection = await Connection.tcp(host, port, tls=mate, server_name="vault")
        try:
            await (await connection.request("GET", "/healthz")).read(1024)
        finally:
            await connection.close()

    try:
        rounds = [(await rate(release), await rate(nothing)) for _ in range(ROUNDS)]
    finally:
        await node.close()
    releases, floor = (median(one[side] for one in rounds) for side in (0, 1))
    return {
        "vault_releases_per_s": releases,
        "floor_vault_hellos_per_s": floor,
        "vault_release_ratio": releases / floor,
    }


async def rate(work: Callable[[int, int], Awaitable[None]]) -> float:
    """Pieces of work a second, :data:`IN_FLIGHT` at a time."""

    async def worker(number: int) -> None:
        for turn in range(RELEASES // IN_FLIGHT):
            await work(number, turn)

    begun = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(IN_FLIGHT):
            group.create_task(worker(number))
    return RELEASES / (time.monotonic() - begun)

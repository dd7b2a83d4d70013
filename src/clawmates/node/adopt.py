"""Takes over what an earlier node left running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.node.events import Happening
from clawmates.node.hold import Hold, bot_of, generation_of, slot_of
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.node.host import Host


async def adopt(host: Host) -> None:
    """Holds what runs, and clears away the rest. Raises :class:`~clawmates.node.engines.base.EngineError`."""
    steps = host.steps
    for running in sorted(await steps.engine.list(), key=generation_of, reverse=True):
        bot = bot_of(running)
        taken = {hold.slot for hold in host.holds.values()}
        if not bot or not running.pid or bot in host.holds or slot_of(running) in taken:
            await steps.engine.stop(running.name, 0)
            continue
        hold = Hold(bot=bot, slot=slot_of(running), checked=False, leftover=True, began=host.now)
        hold.runs(running)
        noted = steps.boot.noted(bot)
        if noted is not None and noted.generation == hold.generation:
            hold.ticketed, hold.written = noted.items, noted.written
        hold.becomes(BotState.LIVE if hold.ticketed is not None else BotState.STARTING, "", host.at)
        host.holds[bot] = hold
        host.say(Happening.ADOPTED, hold)
    for bot in steps.boot.bots():
        if bot not in host.holds:
            steps.boot.remove(bot)
    host.changed.set()

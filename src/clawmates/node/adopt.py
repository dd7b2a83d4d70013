"""Takes over what an earlier node left running: of each bot one life, or two of which one follows the other."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from clawmates.node.events import Happening
from clawmates.node.hold import READY_SECONDS, Heir, Hold, bot_of, generation_of, slot_of
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.node.engines.base import Running
    from clawmates.node.host import Host


async def adopt(host: Host) -> None:
    """Holds what runs, and has the rest cleared away; what has ended keeps no bot from its next start meanwhile.

    Raises :class:`~clawmates.node.engines.base.EngineError`.
    """
    steps = host.steps
    found: dict[str, list[Running]] = defaultdict(list)
    taken: dict[int, str] = {}
    for running in sorted(await steps.engine.list(), key=generation_of, reverse=True):
        bot = bot_of(running)
        if not running.pid:
            host.sweep.set()
        elif not bot or taken.setdefault(slot_of(running), bot) != bot:
            await steps.engine.stop(running.name, 0)
        else:
            found[bot].append(running)
    for bot, lives in found.items():
        host.holds[bot] = hold = _hold(host, bot, lives)
        for running in lives:
            if running not in hold.lives():
                await steps.engine.stop(running.name, 0)
        host.say(Happening.ADOPTED, hold)
    for bot in steps.boot.bots():
        if bot not in host.holds:
            steps.boot.remove(bot)
    host.changed.set()


def _hold(host: Host, bot: str, lives: list[Running]) -> Hold:
    """``lives`` has the newest first. A next life counts if it was read back and ticketed; else the one before it."""
    boot = host.steps.boot
    newest, older = lives[0], lives[1:]
    hold = Hold(bot=bot, slot=slot_of(newest), checked=False, leftover=True, began=host.now)
    said, noted = boot.read(bot, generation_of(newest)), boot.noted(bot, generation_of(newest))
    follows = said.predecessor if said is not None else 0
    before = next((one for one in older if generation_of(one) == follows), None)
    if follows and noted is not None:
        hold.heir = Heir(
            running=newest, items=noted.items, findings=(), written=noted.written, until=host.now + READY_SECONDS
        )
    running = before if follows else newest
    if running is not None:
        hold.runs(running)
        known = boot.noted(bot, hold.generation)
        if known is not None:
            hold.ticketed, hold.written = known.items, known.written
            hold.live_at = host.now if known.lived else None
    hold.newest = generation_of(newest)
    hold.becomes(BotState.LIVE if hold.ticketed is not None else BotState.STARTING, "", host.at)
    return hold

"""A bot's rows as its node should see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import decode_json
from clawmates.control.bots.minds import minds_of, needed
from clawmates.wire.desired import MOST_PAIRINGS, Access, BotSpec, Limits, Pairing
from clawmates.wire.names import ChannelKind, ItemName

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from clawmates.control.bots.tables import Bot, BotItem, BotPairing


def bot_spec(
    bot: Bot, items: Iterable[BotItem], pairings: Iterable[BotPairing], now: datetime, *, stopped: bool = False
) -> BotSpec | None:
    """What a node is told of one bot; ``None`` while the vault does not keep all its credentials.

    ``stopped``: its account was cancelled, so it does not run, whatever its owner said of the bot itself.
    Versions are those that the vault has said it keeps: a newer one that is still on its way changes nothing yet.
    """
    kept, minds = {ItemName(item.name): item.kept for item in items}, minds_of(bot)
    if any(not version for name, version in kept.items() if name in needed(minds)):
        return None
    pending = sorted((one for one in pairings if one.ends_at > now), key=lambda one: one.ends_at)[-MOST_PAIRINGS:]
    return BotSpec(
        id=bot.id,
        tenant=bot.account_id,
        channel=ChannelKind(bot.channel),
        provider=bot.provider,
        model=bot.model,
        items={
            name: version
            for name, version in kept.items()
            if version and (minds.keyed_apart or name is not ItemName.FALLBACK_KEY)
        },
        limits=decode_json(Limits, bot.limits.encode()),
        max_output_tokens=bot.max_output_tokens,
        temperature=bot.temperature,
        fallback=minds.fallback,
        access=Access(bot.access),
        pairings=tuple(
            Pairing(salt=one.salt, digest=one.digest, ends=one.ends_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
            for one in pending
        ),
        paused=bot.paused or stopped,
        restarts=bot.restarts,
    )

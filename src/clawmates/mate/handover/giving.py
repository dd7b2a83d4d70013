"""The life that ends: it hears of its heir, falls silent, seals what it remembers, and goes only once that is held."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from clawmates.base.shape import ShapeError, decode_json
from clawmates.mate.errors import DoorError
from clawmates.mate.handover.context import gather
from clawmates.mate.handover.helper import HelperError, sealer
from clawmates.mate.handover.proof import believes, context_info, signed
from clawmates.wire.codes import Code, Event
from clawmates.wire.handover import TAKEN_SECONDS, Heir

if TYPE_CHECKING:
    from clawmates.base.secret import Secret
    from clawmates.mate.credentials import Credentials
    from clawmates.mate.door import Door
    from clawmates.mate.relay import Relay
    from clawmates.wire.boot import Boot

    class Ending(Protocol):
        """What is needed of the mate."""

        door: Door
        boot: Boot
        credentials: Credentials


TURNS_SECONDS = 30.0
"""How long running turns may still wait for their provider, while nobody else is heard."""
SENDING_SECONDS = 20.0
AGAIN_SECONDS = 5.0
MOST_HEIR = 4096


async def give(mate: Ending, relay: Relay) -> bool:
    """Whether this life is over: its heir holds what it remembers. If not, it goes on as if nothing had been asked."""
    heir, kin = await _heir(mate.door), mate.credentials.kin
    if heir is None:
        return False
    bot, life = mate.boot.bot, mate.boot.generation
    if kin is None or not believes(kin, bot, life, heir.claim):
        await mate.door.say(Event(code=Code.HEIR_REFUSED))
        return False
    given = False
    try:
        given = await _give(mate, relay, heir, kin)
    finally:
        if not given:
            relay.go_on()
    if not given:
        # The same claim may be answered yet, once people here have been heard again.
        await asyncio.sleep(AGAIN_SECONDS)
        mate.door.heard = 0
    return given


async def _give(mate: Ending, relay: Relay, heir: Heir, kin: Secret[str]) -> bool:
    claim = heir.claim
    info = context_info(mate.boot.bot, claim.predecessor, claim.generation)
    try:
        async with sealer() as child:  # it starts while turns still run
            if not await relay.pause(TURNS_SECONDS, SENDING_SECONDS):
                return False
            sealed = signed(kin, info, await child.seal(bytes.fromhex(claim.public), info, gather(relay)))
        target = f"/handover/context?heir={claim.generation}"
        await mate.door.once("POST", target, sealed, seconds=TAKEN_SECONDS + 5.0, most=MOST_HEIR)
    except (HelperError, DoorError):
        # Whether the heir has it is not known: it waits for our end, so to go on is never wrong.
        return False
    return True


async def _heir(door: Door) -> Heir | None:
    """Who asks, and from now on nobody is heard of twice."""
    try:
        answer = await door.once("GET", f"/handover/heir?life={door.life}", seconds=5.0, most=MOST_HEIR)
        heir = decode_json(Heir, answer, MOST_HEIR)
    except (DoorError, ShapeError):
        return None
    door.heard = heir.number
    return heir

"""The life that begins beside another: it asks for what that one remembers, and speaks to nobody before its end.

Node says when: the boot file names the life before this one for as long as it lives. So whatever is lost, late or
forged on the way between the two, there are never two on the messenger's line, and none only as long as node needs.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from clawmates.base.shape import ShapeError, encode_json
from clawmates.mate.errors import BootError, ChannelError, DoorError
from clawmates.mate.handover.context import read, take_in
from clawmates.mate.handover.helper import HelperError, opener
from clawmates.mate.handover.proof import checked, claim_of, context_info
from clawmates.wire.codes import Code, Event
from clawmates.wire.handover import CLAIM_WAIT_SECONDS, MAX_SEALED, Taken

if TYPE_CHECKING:
    from clawmates.base.secret import Secret
    from clawmates.mate.boot import BootFolder
    from clawmates.mate.credentials import Credentials
    from clawmates.mate.door import Door
    from clawmates.mate.handover.context import Context
    from clawmates.mate.handover.helper import Opener
    from clawmates.mate.relay import Relay
    from clawmates.wire.boot import Boot

    class Beginning(Protocol):
        """What is needed of the mate."""

        door: Door
        folder: BootFolder
        boot: Boot
        credentials: Credentials


LOOK_SECONDS = 0.01
PAUSE_SECONDS = 0.5
END_SECONDS = 15.0
"""For the life before to end after its context was taken; one that lives on then has gone on, and is asked again."""


async def succeed(mate: Beginning, relay: Relay) -> None:
    """Returns once no other life of this bot is left, with what the last one handed over."""
    alone = asyncio.create_task(_alone(mate.folder))
    context: Context | None = None
    try:
        await _prepared(mate, relay, alone)
        while not alone.done():
            context = await _claim(mate, alone)
            if context is not None:
                await asyncio.wait([alone], timeout=END_SECONDS)
                if not alone.done():
                    context = None  # it remembers more by now
    finally:
        alone.cancel()
    if context is not None:
        take_in(context, relay)
        del context
        gc.collect()
        # What reading took goes back to the kernel, as far as the C library gives any back (malloc_trim(3)).
        with suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


async def _alone(folder: BootFolder) -> None:
    """Waits for node's word."""
    while True:
        with suppress(BootError):
            if not folder.read().predecessor:
                return
        await asyncio.sleep(LOOK_SECONDS)


async def _prepared(mate: Beginning, relay: Relay, alone: asyncio.Task[None]) -> None:
    """Tries until the messenger knows the bot: before that the life before is better than this one."""
    while not alone.done():
        try:
            await relay.channel.prepare()
        except ChannelError as error:
            await mate.door.say(error.event)
            await asyncio.wait([alone], timeout=max(PAUSE_SECONDS, min(error.number, 30)))
        else:
            return


async def _claim(mate: Beginning, alone: asyncio.Task[None]) -> Context | None:
    """Asks once, with a key born for it; ``None`` without an answer that could be opened, or need of one."""
    kin = mate.credentials.kin
    if kin is None:
        await mate.door.say(Event(code=Code.READY))
        await asyncio.wait([alone])
        return None
    try:
        async with opener() as child:
            return await _asked(mate, kin, child, alone)
    except HelperError:
        # Not ready, then: a container that could not take over is no better than the one before it.
        await mate.door.say(Event(code=Code.INTERNAL))
    except DoorError:
        pass  # the gateway is restarting
    await asyncio.wait([alone], timeout=PAUSE_SECONDS)
    return None


async def _asked(mate: Beginning, kin: Secret[str], child: Opener, alone: asyncio.Task[None]) -> Context | None:
    bot, life, before = mate.boot.bot, mate.boot.generation, mate.boot.predecessor
    claim = claim_of(kin, bot, before, life, child.public)
    await mate.door.say(Event(code=Code.READY))
    asking = asyncio.create_task(
        mate.door.once(
            "POST", "/handover/claim", encode_json(claim), seconds=CLAIM_WAIT_SECONDS + 15.0, most=MAX_SEALED
        )
    )
    try:
        await asyncio.wait([asking, alone], return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            return None
        data = asking.result()
    finally:
        asking.cancel()
    if not data:
        return None
    context = await _opened(kin, child, context_info(bot, before, life), data)
    taken = Taken(generation=life, good=context is not None)
    # Unheard, the life before goes on, and this is dropped; or it was heard, and only the answer was lost.
    with suppress(DoorError):
        await mate.door.once("POST", "/handover/taken", encode_json(taken), seconds=5.0, most=4096)
    return context


async def _opened(kin: Secret[str], child: Opener, info: bytes, data: bytes) -> Context | None:
    """What the life before sealed, if it was that one and all of it can be read."""
    sealed = checked(kin, info, data)
    if sealed is None:
        return None
    try:
        return read(await child.open(info, sealed))
    except (HelperError, ShapeError):
        return None

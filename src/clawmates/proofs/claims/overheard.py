"""A conversation, and every packet of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.proofs.claims.conversation import running
from clawmates.proofs.errors import ChatError, ProofError
from clawmates.proofs.net.capture import capturing
from clawmates.proofs.net.flows import Flow, Flows
from clawmates.proofs.net.packets import ICMP, Datagram, End, MalformedError, parse
from clawmates.proofs.net.probe import probe
from clawmates.proofs.net.sockets import connections, descendants
from clawmates.proofs.net.weak import old_tls, plain, say
from clawmates.proofs.net.wire import Speech, Wire
from clawmates.proofs.search import CONTROL, Found, search
from clawmates.proofs.sources import Piece

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.proofs.canary import Canary
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.search import Patterns
    from clawmates.proofs.trial import Options

LOOK_SECONDS = 0.05
TRY_SECONDS = 2.0
Talk = Callable[[], Awaitable[Mapping[str, int]]]
"""Holds a conversation; replies by way."""
TLS = frozenset({Speech.TLS13, Speech.REFUSED, Speech.CONTINUED, Speech.SILENT})


@dataclass(slots=True)
class Overheard:
    """What passed, without the trial's own controls."""

    packets: list[bytes]
    flows: list[Flow]
    datagrams: Counter[tuple[int, End]]
    malformed: int
    others: int
    replies: Mapping[str, int]
    foreign: int = 0
    """Connections of other programs of this host, which nothing is said of."""

    def judged(self) -> list[tuple[Flow, Wire]]:
        """Every connection with what it spoke."""
        return [(flow, flow.judge()) for flow in self.flows]


async def overhear(platform: Platform, talk: Talk, control: Canary, *, stray: End | None = None) -> Overheard:
    """What ``talk`` says, every packet of it, and connections of the trial's own that must be noticed.

    ``stray`` is a place where nobody has any business: one connection to it is tried as well, and must be noticed.
    Raises :class:`ProofError`, also when the controls were not noticed.
    """
    there = platform.world is None
    owned: set[tuple[End, End]] = set()
    async with old_tls() as old, plain() as clear:
        with capturing() as capture:
            async with _watching(platform, owned, there=there):
                replies = await talk()
                await say(clear, control.mark.encode())
                await probe(old)
                if stray is not None:
                    await _try(stray)
        flows = Flows.of(capture.packets)
        _check_controls(flows, {old: Speech.OLDER, clear: Speech.PLAIN})
    if stray is not None and not any(flow.called == stray for flow in flows.flows):
        raise ProofError("a connection to a place where nobody has any business was not noticed: the capture is blind")
    ours = [flow for flow in flows.flows if flow.called not in {old, clear, stray}]
    # Nobody else lives in a network of the trial's own.
    known = [flow for flow in ours if _is_owned(flow, owned)] if there else ours
    return Overheard(
        packets=capture.packets,
        flows=known,
        datagrams=Counter((one.protocol, one.target) for one in flows.datagrams if not _answers(one, stray)),
        malformed=flows.malformed,
        others=capture.others,
        replies=replies,
        foreign=len(ours) - len(known),
    )


async def _try(stray: End) -> None:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(TRY_SECONDS):
            _, writer = await asyncio.open_connection(str(stray.address), stray.port)
            writer.close()


def _answers(datagram: Datagram, stray: End | None) -> bool:
    """Whether it is the network's word that nobody lives where the trial knocked (RFC 792: it quotes the packet)."""
    return stray is not None and datagram.protocol == ICMP and stray.address.packed in datagram.data


async def say_one(platform: Platform, canary: Canary, options: Options) -> Mapping[str, int]:
    """Where the world is the real one: two messages through the first bot with the terminal channel."""
    bot = await running(platform)
    for number in range(2):
        try:
            async with asyncio.timeout(options.chat_seconds):
                if not await platform.chat(bot.bot, canary.message(number)):
                    raise ChatError(f"bot {bot.bot} gave an empty reply: see `clawmates status`")
        except TimeoutError:
            raise ChatError(f"bot {bot.bot} did not answer within {options.chat_seconds:.0f} s") from None
    return {f"{bot.channel} → {bot.provider}": 2}


@asynccontextmanager
async def _watching(platform: Platform, owned: set[tuple[End, End]], *, there: bool) -> AsyncIterator[None]:
    """Notes which connections the platform's processes hold, often, on a host that others use as well."""
    if not there:
        yield
        return

    async def look() -> None:
        owned.update(connections(descendants(await platform.processes())))

    async def watch() -> None:
        while True:
            await look()
            await asyncio.sleep(LOOK_SECONDS)

    task = asyncio.create_task(watch())
    try:
        yield
        await look()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, ProofError):
            await task


def _is_owned(flow: Flow, owned: set[tuple[End, End]]) -> bool:
    return (flow.caller, flow.called) in owned or (flow.called, flow.caller) in owned


def _check_controls(flows: Flows, expected: Mapping[End, Speech]) -> None:
    for end, speech in expected.items():
        heard = {flow.judge().speech for flow in flows.flows if flow.called == end}
        if speech not in heard:
            raise ProofError(f"a connection that is «{speech}» was not noticed: the capture does not work here")


def _concerns(packet: bytes, end: End) -> bool:
    try:
        found = parse(packet)
    except MalformedError:
        return False
    return end in {found.source, found.target}


@dataclass(slots=True)
class Searched:
    """Where what was said stands in the packets."""

    hits: list[str] = field(default_factory=list)
    control: bool = False


def search_packets(heard: Overheard, patterns: Patterns, plain: End) -> Searched:
    """Looks for the canary in every packet of the capture, whoever's it is, and in the connections put together.

    Those of ``plain``, the model on this host's own loopback that is spoken to in the clear, are left out.
    """
    result = Searched()
    pieces = [("packets", b"\0".join(packet for packet in heard.packets if not _concerns(packet, plain)))]
    pieces += [
        (f"a connection to {flow.called}", half.joined()[0])
        for flow in heard.flows
        for half in (flow.up, flow.down)
        if flow.called != plain
    ]
    for name, data in pieces:
        for event in search(Piece(data), patterns):
            if isinstance(event, Found) and event.encoding.endswith(CONTROL):
                result.control = True
            elif isinstance(event, Found):
                result.hits.append(f"{name}: what was said, as {event.encoding}")
    return result

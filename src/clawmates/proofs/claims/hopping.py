"""Every way out of the platform, with servers at its end that must not be spoken to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clawmates.proofs.errors import ProofError
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table
from clawmates.proofs.world import Guise, Reaction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.proofs.trial import Progress
    from clawmates.proofs.world import Hop, World

HEAD = ("way", "the server is", "a careless client", "the platform's own client")
NOT_TRIED = (
    "outgoing hops against bad servers: this platform's messenger and AI provider are the real ones, and nobody stands"
    " in for them; `make prove` tries every hop on a throw-away platform"
)


async def hopping(world: World, progress: Progress) -> Part:
    """Tries every hop in every guise. Raises :class:`ProofError` when a control does not do what it must."""
    rows, found, tried = [HEAD], [], 0
    for hops in world.rounds:
        for hop in hops:
            check_careless(hop, await hop.careless())
        for hop, reactions in zip(hops, await asyncio.gather(*(hop.call() for hop in hops)), strict=True):
            check_good(hop, reactions)
            found += objections(hop, reactions)
            rows += [(hop.name, guise.value, "goes on", _words(reactions.get(guise))) for guise in _all(hop)]
            tried += len(hop.guises)
            progress("hops", 1)
    count = sum(len(hops) for hops in world.rounds)
    return Part(
        table=Table(title="every way out, and servers that must not be spoken to", rows=tuple(rows)),
        figures={"hops": count, "bad_servers": tried},
        controls=(
            f"the very same {tried} bad servers, called by a client that checks nothing: it speaks to all of them",
            f"the same {count} servers with a good certificate and TLS 1.3: the platform's own clients speak to all",
        ),
        found=tuple(found),
    )


def check_careless(hop: Hop, reactions: Mapping[Guise, Reaction]) -> None:
    """A server that nobody can talk to is no test."""
    for guise in _all(hop):
        if guise not in reactions or not reactions[guise].spoke:
            raise ProofError(f"{hop.name}: the server that is «{guise}» talks to nobody, so a refusal shows nothing")


def check_good(hop: Hop, reactions: Mapping[Guise, Reaction]) -> None:
    """A client that talks to nobody refuses everybody."""
    good = reactions.get(Guise.GOOD)
    if good is None or not good.spoke:
        raise ProofError(f"{hop.name}: the client does not even talk to a good server, so a refusal shows nothing")


def objections(hop: Hop, reactions: Mapping[Guise, Reaction]) -> list[str]:
    """A bad server to which the client went, or with which it so much as completed a handshake."""
    found = []
    for guise in hop.guises:
        reaction = reactions.get(guise)
        if reaction is None:
            raise ProofError(f"{hop.name}: the client never met the server that is «{guise}»")
        if reaction.spoke or reaction.shook:
            what = "spoke to" if reaction.spoke else "completed a handshake with"
            found.append(f"{hop.name}: the client {what} a server that is «{guise}»")
    return found


def _all(hop: Hop) -> tuple[Guise, ...]:
    return (*hop.guises, Guise.GOOD)


def _words(reaction: Reaction | None) -> str:
    if reaction is None:
        return "never came"
    if reaction.spoke:
        return "speaks to it"
    return f"refuses: {reaction.said}" if not reaction.shook else "shakes hands"

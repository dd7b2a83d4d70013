"""Claim *tls13*: every hop that the platform begins or ends speaks TLS 1.3, or does not speak."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from clawmates.proofs.canary import mint
from clawmates.proofs.claims.hopping import NOT_TRIED, hopping
from clawmates.proofs.claims.listening import listening
from clawmates.proofs.claims.overheard import TLS, Overheard, overhear, say_one, search_packets
from clawmates.proofs.control import SearchBrokenError, check_encodings
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.errors import ProofError
from clawmates.proofs.net.declared import Declared
from clawmates.proofs.net.packets import UDP
from clawmates.proofs.net.wire import Speech
from clawmates.proofs.part import Part, figures_of
from clawmates.proofs.result import Claim, Evidence, Result, Status, Table, repeat
from clawmates.proofs.search import Patterns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.proofs.net.flows import Flow
    from clawmates.proofs.net.packets import End
    from clawmates.proofs.net.wire import Wire
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

DNS_PORT = 53
HEAD = ("to", "server asked for", "spoke", "connections", "bytes out", "bytes in")
ALWAYS = (
    (
        "the way from a person's device to the messenger, and what lies behind the messenger's and the AI provider's"
        " servers: it is theirs"
    ),
    "the person's and the bot's words inside the bot's own container: they meet on a loopback that nobody else has",
)


async def tls13(platform: Platform, options: Options, bench: Bench) -> Result:
    """Calls all listeners, overhears a conversation, and leads every client astray. Raises ``ProofError``."""
    world = platform.world
    if world is not None:
        await world.prepare()
    try:
        status = await platform.status()
        parts = [await listening(platform, status)]
        bench.progress("listeners", 1)
        parts.append(await _conversation(platform, options, bench))
        if world is not None:
            parts.append(await hopping(world, bench.progress))
    finally:
        if world is not None:
            await world.settle()
    return _result(parts, status.unsafe, (*platform.apart, *ALWAYS, *(() if world else (NOT_TRIED,))))


def _result(parts: list[Part], unsafe: tuple[str, ...], passed_over: tuple[str, ...]) -> Result:
    figures = figures_of(parts)
    found = tuple(one for part in parts for one in part.found)
    hops = f" {figures['hops']} ways out met {figures['bad_servers']} bad servers." if "hops" in figures else ""
    return Result(
        id=Claim.TLS13,
        status=Status.BROKEN if found else Status.HELD,
        evidence=Evidence(
            summary=f"{figures['listeners']} listeners called as strangers call; {figures['connections']} connections"
            f" of a conversation read packet by packet ({figures['tls13']} in TLS 1.3, {figures['plaintext']} that are"
            f" not TLS), {figures['packets']} packets searched for what was said in {len(ENCODINGS)} encodings.{hops}"
            f" Objections: {len(found) or 'none'}.",
            figures={**figures, "objections": len(found), "unsafe_switches": ", ".join(unsafe) or "none"},
            tables=tuple(part.table for part in parts),
            controls=tuple(one for part in parts for one in part.controls),
            found=found,
            not_looked_at=(*(one for part in parts for one in part.not_looked_at), *passed_over),
        ),
        repeat=repeat(Claim.TLS13),
    )


async def _conversation(platform: Platform, options: Options, bench: Bench) -> Part:
    canary, control = mint(bench.entropy), mint(bench.entropy)
    patterns = Patterns.of(canary, control)
    try:
        check_encodings(canary)
    except SearchBrokenError as error:
        raise ProofError(f"the search does not work here: {error}") from None
    world = platform.world

    async def talk() -> Mapping[str, int]:
        if world is None:
            return await say_one(platform, canary, options)
        await world.refresh()
        return await world.converse(canary.message)

    heard = await overhear(platform, talk, control)
    if not heard.flows:
        raise ProofError("no connection of the conversation was seen: the capture shows nothing; try again")
    declared = Declared(platform.state, platform.run, platform.settings, ())
    searched = search_packets(heard, patterns, declared.ollama)
    if not searched.control:
        raise ProofError("the control text was sent in the clear and not found in the packets: the search is blind")
    names = dict(platform.world.places) if platform.world else {}
    names |= {declared.ollama: "a model on this host's loopback"}
    names |= {declared.vault: "vault"} if declared.vault else {}
    judged = heard.judged()
    strict = platform.world is not None
    found, passed = _objections(judged, declared.ollama, strict=strict)
    more, over = _beside(heard, strict=strict, resolver=bool(platform.settings.gateway.resolver))
    bench.progress("packets", len(heard.packets))
    return Part(
        table=Table(title="a conversation's connections", rows=(HEAD, *_rows(judged, names))),
        figures={
            "connections": len(judged),
            "tls13": sum(wire.speech is Speech.TLS13 for _, wire in judged),
            "plaintext": sum(wire.speech not in TLS for _, wire in judged),
            "packets": len(heard.packets),
            "replies": sum(heard.replies.values()),
            "ways": len(heard.replies),
            "hits": len(searched.hits),
        },
        controls=(
            (
                "one connection of the trial's own in the clear and one in TLS 1.2, in the same capture: both were"
                " noticed, and the control text was found in the packets by the same search"
            ),
        ),
        found=(*found, *more, *searched.hits),
        not_looked_at=(*passed, *over),
    )


def _objections(
    judged: list[tuple[Flow, Wire]], ollama: End, *, strict: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(against the claim, passed over). ``strict``: nothing may be older than the capture and unreadable."""
    found, passed = [], Counter[str]()
    for flow, wire in judged:
        if wire.speech in TLS:
            if wire.speech is Speech.CONTINUED:
                passed["connections older than the capture: only protected records were seen on them"] += 1
        elif flow.called == ollama and flow.called.address.is_loopback:
            passed["plain text to a model on this host's own loopback, by design"] += 1
        elif wire.speech is Speech.GAPPED and not strict:
            passed["connections of which the capture saw a part only, not on a record's edge"] += 1
        else:
            found.append(f"a connection to {flow.called} is: {wire.speech} {wire.detail}".rstrip())
    return tuple(found), tuple(f"{what}: {count}" for what, count in sorted(passed.items()))


def _beside(heard: Overheard, *, strict: bool, resolver: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is no TCP: nothing of it belongs to a platform whose names are looked up over TLS."""
    found, passed = [], []
    if strict:
        found += [
            f"{count} packets of protocol {protocol} to {end}" for (protocol, end), count in heard.datagrams.items()
        ]
        if heard.malformed:
            found.append(f"{heard.malformed} packets that cannot be read")
        passed.append(f"frames of address resolution, which carry nothing: {heard.others}")
    else:
        lookups = sum(count for (kind, end), count in heard.datagrams.items() if kind == UDP and end.port == DNS_PORT)
        passed.append(
            f"connections of other programs on this host: {heard.foreign}, and {heard.datagrams.total()} packets"
            f" without a connection, {lookups} of them to a name server"
        )
    if not resolver:
        passed.append(
            "host names are looked up by this machine's own resolver, in the clear unless it does better: [gateway]"
            " resolver names one that is asked over TLS"
        )
    return tuple(found), tuple(passed)


def _rows(judged: list[tuple[Flow, Wire]], names: dict[End, str]) -> list[tuple[str, ...]]:
    """One row a place, server name and speech."""
    rows: dict[tuple[str, str, str], list[int]] = {}
    for flow, wire in judged:
        where = f"{names[flow.called]}, {flow.called}" if flow.called in names else str(flow.called)
        row = rows.setdefault((where, wire.name or "-", wire.speech.value), [0, 0, 0])
        for at, value in enumerate((1, *flow.size)):
            row[at] += value
    return [(*key, *(f"{value:,}" for value in values)) for key, values in sorted(rows.items())]

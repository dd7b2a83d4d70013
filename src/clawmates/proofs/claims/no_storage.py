"""Claim *no-storage*: what is said is never written down where the platform could keep it."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from clawmates.proofs.canary import mint
from clawmates.proofs.claims.conversation import Conversation, converse
from clawmates.proofs.claims.listening import supervisor
from clawmates.proofs.control import SearchBrokenError, check_encodings, check_memory, remembering, seeded
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.errors import ProofError
from clawmates.proofs.look import Findings, Hit, look
from clawmates.proofs.net.sockets import descendants
from clawmates.proofs.packings import PACKINGS
from clawmates.proofs.places import Kind
from clawmates.proofs.result import Claim, Evidence, Result, Status, Table, repeat
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import searched
from clawmates.proofs.sources import SourceError
from clawmates.proofs.trial import CLOCK_MARGIN, FULL_KILLS, FULL_MESSAGES

if TYPE_CHECKING:
    from clawmates.proofs.canary import Canary
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

ESSENTIAL = frozenset({"vault", "gateway", "node"})
"""Processes without a look at which nothing is claimed; others may end while the search runs."""
HOLDERS = frozenset({"vault"})
"""Who holds credentials and prompts in memory by design, for the moment in which it seals or releases them."""
REMEMBERING = "control"
ALWAYS = (
    "a mate's own memory: it holds the conversation, by design, until it is forgotten",
    "the memory of a terminal's console: it runs in the bot's own container, and holds what is typed into it",
    "credentials and prompts in the vault's memory: it opens them, by design, to hand them to the container",
    "what the messenger and the AI provider keep: it is theirs (see docs/threat-model.md)",
    "streams compressed with zstd, lz4 or brotli, a third level of compression, and anything encrypted",
    "what a mate writes between the last look at it and its end, which takes milliseconds",
)
REAL = (
    "error paths, and providers other than those of the bots here: real ones are not provoked",
    "bots whose channel is a messenger: nobody can write to a real one in a person's name",
    "credentials and prompts: those of real bots are not known to the proof",
)
NO_RELEASE = (
    "an exchange for a newer image: this platform has no other release; `make prove` makes some for its throw-away one"
)
SHORT = f"{FULL_MESSAGES:,} messages, {FULL_KILLS} kills of each process and newer releases: with --full"
BLIND = (
    "the raw device was read, but not even the control text was found on it (an encrypted or compressed file"
    " system?): that nothing else was found there shows nothing"
)
SHORT_LIVED = (
    "files that were deleted so soon that the system did not write them to the device: a control text of that kind was"
    " not found on it either; on the disk of `make prove` everything is written through"
)
FOUND_DELETED = "a control text whose file was deleted at once was found on the raw device"


async def no_storage(platform: Platform, options: Options, bench: Bench) -> Result:
    """Sends canaries through running bots, then looks for them everywhere. Raises ``ProofError``."""
    since = bench.clock.now().timestamp() - CLOCK_MARGIN
    canary, control, gone = (mint(bench.entropy) for _ in range(3))
    there = platform.stand_ins
    patterns = Patterns.of(canary, control, there.secret if there else None, gone)
    shapes = _checked(canary, patterns)
    conversation = await converse(platform, canary, options, bench)
    status = await platform.status()
    processes = await platform.processes()
    # What they have started is theirs, and so is what started them; what the engine's monitors started are the mates.
    ours = {name: pid for name, pid in processes.items() if name in ESSENTIAL}
    processes = {**processes, **descendants({**ours, **supervisor(processes)})}
    mates = {bot.bot: bot.pid for bot in status.bots if bot.pid}
    with ExitStack() as stack:
        remembering_one = {REMEMBERING: stack.enter_context(remembering(control))}
        where = searched(
            platform.state,
            platform.run,
            processes=dict(processes) | remembering_one,
            mates=mates,
            host=options.host,
            full=options.full,
        )
        seeds = stack.enter_context(seeded(where.places, control, gone))
        # What the kernel has not written yet is not on the device yet.
        await asyncio.to_thread(os.sync)
        findings = await look(
            where.places, patterns, clock=bench.clock, since=since, holders=HOLDERS, progress=bench.progress
        )
    for refused in findings.refused:
        if refused.kind is Kind.MEMORY and refused.place.rpartition(" (process")[0] in ESSENTIAL:
            raise ProofError(f"the memory of {refused.place} cannot be read ({refused.reason}): run this as root")
    if Kind.STATE not in seeds.kinds:
        why = "; ".join(seeds.without) or "it is not there"
        raise ProofError(f"the state folder cannot be written to ({why}): run this as root")
    missed = (seeds.kinds | {Kind.MEMORY, Kind.ARGUMENTS, Kind.UNNAMED}) - findings.controls
    if missed:
        raise ProofError(
            f"the search missed its own control text ({', '.join(sorted(missed))}): its silence would prove nothing"
        )
    return _result(
        conversation,
        findings,
        shapes=shapes,
        unsafe=status.unsafe,
        passed_over=(
            *where.not_looked_at,
            *(f"no control text could be put into {one}" for one in seeds.without),
            *_blind(findings),
            *(() if there else REAL),
            *(() if platform.renewable or not options.full else (NO_RELEASE,)),
            *(() if options.full else (SHORT,)),
            *platform.apart,
            *ALWAYS,
        ),
    )


def _checked(canary: Canary, patterns: Patterns) -> int:
    try:
        shapes = check_encodings(canary)
        check_memory(canary, patterns)
    except SearchBrokenError as error:
        raise ProofError(f"the search does not work here: {error}") from None
    except SourceError:
        raise ProofError("a process's memory cannot be read here: run this as root") from None
    return shapes


def _blind(findings: Findings) -> tuple[str, ...]:
    """Says so where the device was read but does not show even what is certainly on it."""
    if any(row.kind is Kind.DEVICE for row in findings.rows) and Kind.DEVICE not in findings.controls:
        return (BLIND,)
    if Kind.DEVICE in findings.controls - findings.gone:
        return (SHORT_LIVED,)
    return ()


def _result(
    conversation: Conversation,
    findings: Findings,
    *,
    shapes: int,
    unsafe: tuple[str, ...],
    passed_over: tuple[str, ...],
) -> Result:
    found = [line(hit) for hit in findings.hits]
    if findings.count > len(findings.hits):
        found.append(f"and {findings.count - len(findings.hits)} more")
    found += [
        f"the mate of bot {bot} caused {written} bytes to be written to disk"
        for bot, written in conversation.written.items()
        if written
    ]
    size = sum(row.size for row in findings.rows)
    things = sum(row.things for row in findings.rows)
    kills, written = sum(conversation.kills.values()), sum(conversation.written.values())
    said = (
        f"{conversation.messages} canary messages through {len(conversation.talkers)} bots"
        f" ({', '.join(conversation.ways)}; {conversation.met} errors met of {len(conversation.troubles)} kinds,"
        f" {kills} kill -9, {conversation.replaced} planned exchanges,"
        f" {conversation.released} newer releases), then {things} files, devices"
        f" and processes ({size / (1 << 20):,.0f} MiB) searched in {len(ENCODINGS)} encodings,"
        f" bare and within {len(PACKINGS)} kinds of compression: "
    )
    said += f"found {findings.count} times" if findings.count else "found nowhere"
    said += f"; bytes the mates wrote to disk: {written}."
    figures: dict[str, int | float | str] = {
        "bots": len(conversation.talkers),
        "messages": conversation.messages,
        "replies": conversation.replies,
        "replies_from_the_model": conversation.echoes,
        "edits": conversation.edits,
        "drafts": conversation.drafts,
        "errors_met": conversation.met,
        "error_kinds": len(conversation.troubles),
        "kills": kills,
        "planned_exchanges": conversation.replaced,
        "releases_exchanged": conversation.released,
        "mate_bytes_written": written,
        "hits": findings.count,
        "declared_in_the_vaults_memory": findings.declared,
        "places": sum(row.places for row in findings.rows),
        "things": things,
        "bytes_searched": size,
        "streams_opened": sum(row.streams for row in findings.rows),
        "search_seconds": findings.seconds,
        "encodings": len(ENCODINGS),
        "compressions": len(PACKINGS),
        "self_checks": shapes,
        "unsafe_switches": ", ".join(unsafe) or "none",
    }
    return Result(
        id=Claim.NO_STORAGE,
        status=Status.BROKEN if found else Status.HELD,
        evidence=Evidence(
            summary=said,
            figures=figures,
            table=_table(findings),
            tables=_happened(conversation),
            controls=(
                f"a control text was found in: {', '.join(kind for kind in Kind if kind in findings.controls)}",
                f"the canary itself was found in this proof's own memory, and in all {shapes} shapes it was planted in",
                *((FOUND_DELETED,) if Kind.DEVICE in findings.gone else ()),
            ),
            found=tuple(found),
            not_looked_at=(*findings.not_looked_at, *passed_over),
        ),
        repeat=repeat(Claim.NO_STORAGE),
    )


def _happened(conversation: Conversation) -> tuple[Table, ...]:
    ended = tuple((f"kill -9 of {victim}", str(times)) for victim, times in conversation.kills.items())
    troubles = tuple(sorted((name, str(times)) for name, times in conversation.troubles.items()))
    exchanged = (
        ("planned exchange of a bot", str(conversation.replaced)),
        ("newer release, all bots exchanged", str(conversation.released)),
    )
    return (Table(title="what happened on the way", rows=(("what", "times"), *troubles, *ended, *exchanged)),)


def _table(findings: Findings) -> tuple[tuple[str, ...], ...]:
    head = ("place", "how many", "files or processes", "MiB", "compressed streams", "seconds", "found")
    rows = (
        (
            row.kind.value,
            str(row.places),
            str(row.things),
            f"{row.size / (1 << 20):,.1f}",
            str(row.streams),
            f"{row.seconds:.1f}",
            f"{findings.counts.get(row.kind, 0):,}",
        )
        for row in findings.rows
    )
    return (head, *rows)


def line(hit: Hit) -> str:
    """Where and how, never what."""
    return f"{hit.kind}: {hit.place}, as {hit.encoding}, at offset {hit.offset}"

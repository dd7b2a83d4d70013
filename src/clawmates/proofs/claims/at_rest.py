"""What the vault keeps, read from its files by an independent reader, and looked for everywhere else."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from clawmates.proofs.boxes import CONTROL_BYTES, examine, objects
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.control import SearchBrokenError, check_encodings, control_file
from clawmates.proofs.errors import ProofError
from clawmates.proofs.look import Findings, look
from clawmates.proofs.part import Part
from clawmates.proofs.places import Kind
from clawmates.proofs.result import Table
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import searched
from clawmates.proofs.trial import CLOCK_MARGIN
from clawmates.proofs.vaultfile import AES_256, Kept, UnreadableError, born, kept, master_id, open_record, raw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.proofs.claims.victim import Victim
    from clawmates.proofs.places import Place
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

FILE_SCHEME = "file:"
CREDENTIALS = frozenset({"channel-token", "provider-key", "fallback-key", "ingress-key"})
FEW_SEARCHED, MOST_SEARCHED = 2, 64
"""Credentials of other bots, in the short form and with ``--full``."""
NEAR = frozenset({Kind.STATE, Kind.RUN, Kind.ARGUMENTS})
LONGEST = 4096
NO_KEY_FILE = (
    "the vault's records opened and searched for: the master key is not in a file, which is as it should be, so no"
    " proof can hold it"
)
HEAD = ("what was tried", "how many", "must", "did", "as it must be")


def master_key(state: State, settings: Settings) -> bytes | None:
    """The master key where it lies in a file; ``None`` where a token or service holds it. Raises ``ProofError``."""
    where = settings.vault.master_key
    if not where.startswith(FILE_SCHEME):
        return None
    try:
        return raw(state.vault / where.removeprefix(FILE_SCHEME))
    except UnreadableError:
        raise ProofError("the master key cannot be read: run this as root") from None


def files(state: State) -> tuple[Kept, ...]:
    """All records as they lie on disk now. Raises :class:`ProofError`."""
    try:
        return kept(raw(state.vault / "vault.db"), raw(state.vault / "keys.db"))
    except UnreadableError:
        raise ProofError("the vault's files cannot be read, or are not of its format: run this as root") from None


async def at_rest(platform: Platform, one: Victim, master: bytes | None, options: Options, bench: Bench) -> Part:
    """Opens what may be opened, tries what may not, and looks for it where it must not be. Raises ``ProofError``."""
    if master is None:
        return Part(table=Table(title="what lies on disk", rows=(HEAD,)), not_looked_at=(NO_KEY_FILE,))
    rows = files(platform.state)
    mine = {row.binding.name: row for row in rows if row.binding.bot == one.name}
    if not mine:
        raise ProofError("what was just sealed is not in the vault's files: nothing would be tried")
    unlike = [
        f"the {item.value} that was just sealed does not open by the published format"
        for item in one.items
        if item not in mine or open_record(mine[item], master) != one.text(item).encode()
    ]
    if not objects(next(iter(mine.values())), master, bench.entropy(CONTROL_BYTES)):
        raise ProofError("a record bound to nothing was not objected to: the examination does not work here")
    checks = examine(rows, master, bench.entropy(AES_256))
    table = [check.row for check in checks]
    objections = [*unlike, *(check.objection for check in checks if not check.ok)]
    wrapped = {kept_one.master for kept_one in rows}
    if wrapped != {master_id(master)}:
        objections.append("some tenant keys are wrapped by another master key than the one that is configured")
    findings, texts = await _look(platform, rows, master, one, options, bench)
    objections += [
        f"{hit.kind}: {hit.place}, a credential as {hit.encoding}, at offset {hit.offset}" for hit in findings.hits
    ]
    table += [
        (
            f"{row.kind} searched for credentials",
            f"{row.things} files or processes, {row.size / (1 << 20):,.1f} MiB",
            "hold none",
            str(sum(hit.kind is row.kind for hit in findings.hits) or "none found"),
            _yes(not any(hit.kind is row.kind for hit in findings.hits)),
        )
        for row in findings.rows
    ]
    return Part(
        table=Table(title="what lies on disk", rows=(HEAD, *table)),
        figures={
            "records": len(rows),
            "credentials_searched": texts,
            "bytes_searched": sum(row.size for row in findings.rows),
            "hits": findings.count,
        },
        controls=(
            (
                "a record made here that is bound to nothing, twice with one data key and one nonce: objected to by the"
                " same examination"
            ),
            f"a control text in the state folder: found by the same search, as {', '.join(sorted(findings.controls))}",
        ),
        found=tuple(objections),
        not_looked_at=(
            *findings.not_looked_at,
            "the memory of the vault and of the bots themselves: they hold credentials by design",
        ),
    )


async def _look(
    platform: Platform, rows: tuple[Kept, ...], master: bytes, one: Victim, options: Options, bench: Bench
) -> tuple[Findings, int]:
    """The canary of this run everywhere; other credentials, each of which costs as much, nearest to the vault."""
    planted = mint(bench.entropy)
    try:
        check_encodings(one.canary)
    except SearchBrokenError as error:
        raise ProofError(f"the search does not work here: {error}") from None
    since = _first_sealed(platform)
    others = _others(rows, master, one, MOST_SEARCHED if options.full else FEW_SEARCHED)
    processes = {name: pid for name, pid in (await platform.processes()).items() if name != "vault"}
    with control_file(platform.state.root, planted):
        await asyncio.to_thread(os.sync)
        where = searched(
            platform.state, platform.run, processes=processes, mates={}, host=options.host, full=options.full
        )
        near = [place for place in where.places if options.full or place.kind in NEAR]
        wide = await _searched(where.places, patterns_of([one.canary.stem], planted), one.since, bench)
        close = await _searched(near, patterns_of(others, planted), since, bench) if others else None
    if Kind.STATE not in wide.controls:
        raise ProofError("the search missed its own control text in the state folder: its silence would prove nothing")
    if close is None:
        return wide, len(one.items)
    both = replace(wide, hits=(*wide.hits, *close.hits), count=wide.count + close.count)
    return both, len(one.items) + len(others)


def _first_sealed(platform: Platform) -> float:
    """The kernel's time, in seconds since the epoch, before which this vault had been given nothing."""
    try:
        moment = born(raw(platform.state.vault / "keys.db"))
    except UnreadableError:
        raise ProofError("the vault's files cannot be read, or are not of its format: run this as root") from None
    return moment.timestamp() - platform.settings.platform.unsafe_clock_offset - CLOCK_MARGIN


async def _searched(places: Iterable[Place], patterns: Patterns, since: float, bench: Bench) -> Findings:
    return await look(places, patterns, clock=bench.clock, since=since, progress=bench.progress)


def _others(rows: tuple[Kept, ...], master: bytes, one: Victim, most: int) -> list[str]:
    """Credentials of the bots that are there, as far as so many."""
    found: list[str] = []
    for row in rows:
        if row.binding.name in CREDENTIALS and row.binding.bot != one.name and len(found) < most:
            opened = open_record(row, master)
            if opened is not None and len(opened) <= LONGEST:
                found.append(opened.decode(errors="replace"))
    return found


def patterns_of(texts: Iterable[str], planted: Canary) -> Patterns:
    """Several texts at once; the planted one goes by the name of a control."""
    found = [Patterns.of(Canary(text), planted) for text in texts]
    needles = tuple(dict.fromkeys(needle for one in found for needle in one.needles))
    return Patterns(needles, max(one.reach for one in found))


def _yes(good: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if good else "no"

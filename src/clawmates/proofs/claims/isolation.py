"""Claim *isolation*: every mate is in a container as tight as asked, and what breaks out of weaker ones stays in it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clawmates.proofs.claims.neighbours import measure
from clawmates.proofs.errors import NoBotError, ProofError
from clawmates.proofs.kernel import KernelUnreadableError, judge, read_kernel, separation, users
from clawmates.proofs.probes.verdict import LEAST, Verdict, controls, counted, passed_over, table, unlisted, verdicts
from clawmates.proofs.probes.verdict import against as judged_against
from clawmates.proofs.result import Claim, Evidence, Result, Status, Table, repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clawmates.proofs.kernel import Kernel
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.probes.attempt import Attempts
    from clawmates.proofs.trial import Bench, Options
    from clawmates.wire.status import BotStatus, Finding

NO_HOG = (
    "a hog's effect on its neighbours: measured with --full, on a throw-away platform only, for it takes 1,210 answers"
)
NEVER_LOOKED_AT = (
    "flaws of the kernel that nobody knows yet, and side channels of shared silicon: no probe can be written for them",
    "whether a program of the attacker's own could run from memory alone: a mate is an interpreter, so any could",
)


async def isolation(platform: Platform, options: Options, bench: Bench) -> Result:
    """Reads every running bot's isolation afresh, by node's code and by the proof's own, then tries to break out.

    Raises :class:`~clawmates.proofs.errors.ProofError`.
    """
    status = await platform.status()
    bots = tuple(bot for bot in status.bots if bot.pid)
    if not bots:
        raise NoBotError("no bot is running: start one, or see `clawmates status` for why none is")
    kernels = _kernels(bots)
    host = read_kernel(os.getpid())
    findings: dict[str, tuple[Finding, ...]] = {}
    against: list[str] = []
    for bot in bots:
        fresh = await platform.read_back(bot.bot)
        others = tuple(kernel for name, kernel in kernels.items() if name != bot.bot)
        findings[bot.bot] = (*fresh, *judge(kernels[bot.bot], host, others))
        against += _against(bot, fresh, findings[bot.bot])
        bench.progress("containers", 1)
    tried = await _try_all(platform, bots if options.full else bots[:1], bench)
    measured = options.full and platform.world is not None
    hog = await measure(platform, bots, options, bench) if measured else None
    against += [*tried.against, *(hog.against if hog else ())]
    uids = users(await platform.processes())
    read = sum(len(one) for one in findings.values())
    weak = sum(_weak(findings))
    figures: dict[str, int | float | str] = {
        "bots": len(bots),
        "properties": read,
        "weaker": weak,
        "probed_bots": tried.bots,
        "probes": len(tried.found),
        "probes_that_count": counted(tried.found),
        "separation": separation(uids),
        "unsafe_switches": ", ".join(status.unsafe) or "none",
    }
    return Result(
        id=Claim.ISOLATION,
        status=Status.BROKEN if against else Status.HELD,
        evidence=Evidence(
            summary=f"{read} properties of {len(bots)} running containers read back from the kernel:"
            f" {read - weak} as asked, {weak} weaker. {len(tried.found)} attempts to break out from inside:"
            f" {counted(tried.found)} denied here and successful in a weaker container on this host."
            + (f" {hog.summary}" if hog else ""),
            figures=figures | (hog.figures if hog else {}),
            table=_table(findings),
            tables=(
                Table(title="attempts from inside, and in the weak controls", rows=table(tried.found)),
                *((hog.table,) if hog else ()),
            ),
            controls=controls(tried.found),
            found=tuple(against),
            not_looked_at=(*tried.passed_over, *(() if hog else (NO_HOG,)), *NEVER_LOOKED_AT, *platform.apart),
        ),
        repeat=repeat(Claim.ISOLATION),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """The probes of all bots that were probed."""

    bots: int
    found: tuple[Verdict, ...]
    """Of the first bot, whose run had the controls."""
    against: tuple[str, ...]
    passed_over: tuple[str, ...]


async def _try_all(platform: Platform, bots: Sequence[BotStatus], bench: Bench) -> _Tried:
    first: Attempts | None = None
    against: list[str] = []
    for bot in bots:
        attempts = await platform.attempts(bot.bot, bench, controls=first is None)
        first = first or attempts
        attempts = replace(attempts, controls=first.controls, absent=first.absent)
        against += judged_against(bot.bot, attempts, verdicts(attempts))
        against += await _survived(platform, bot)
    if first is None:
        raise NoBotError("no bot is running: start one, or see `clawmates status` for why none is")
    found = verdicts(first)
    if counted(found) < LEAST and not against:
        raise ProofError(
            f"only {counted(found)} of {len(found)} attempts could be shown to succeed in a weaker container here, and"
            f" {LEAST} are needed: run this as root, on a host that can start containers without walls"
        )
    if (more := unlisted(first, found)) and platform.world is not None and not against:
        raise ProofError(
            "not shown to succeed in a weaker container, and not on the list of what may show nothing:"
            f" {', '.join(more)}; if this kernel lacks what they need, the list says so with its reason"
            " (proofs/probes/lacking.py)"
        )
    return _Tried(bots=len(bots), found=found, against=tuple(against), passed_over=tuple(passed_over(first, found)))


async def _survived(platform: Platform, before: BotStatus) -> list[str]:
    """A bomb or a hog in its container must not end the mate."""
    after = next((bot for bot in (await platform.status()).bots if bot.bot == before.bot), None)
    if after is not None and after.pid == before.pid:
        return []
    return [f"bot {before.bot}: the mate did not outlive what was tried beside it"]


def _kernels(bots: Iterable[BotStatus]) -> dict[str, Kernel]:
    kernels: dict[str, Kernel] = {}
    for bot in bots:
        try:
            kernels[bot.bot] = read_kernel(bot.pid)
        except KernelUnreadableError:
            raise ProofError(
                f"/proc does not show the container of bot {bot.bot}: run this as root, or try again if it just died"
            ) from None
    return kernels


def _against(bot: BotStatus, fresh: tuple[Finding, ...], findings: tuple[Finding, ...]) -> list[str]:
    against = [f"bot {bot.bot}: {one.name} is {one.found}, not {one.wanted}" for one in findings if not one.ok]
    if not fresh:
        against.append(f"bot {bot.bot}: node read nothing back")
    missing = {one.name for one in bot.isolation} - {one.name for one in fresh}
    against += [f"bot {bot.bot}: {name} was read at the start and is not any more" for name in sorted(missing)]
    return against


def _weak(findings: Mapping[str, tuple[Finding, ...]]) -> list[bool]:
    return [not one.ok for bot in findings.values() for one in bot]


def _table(findings: Mapping[str, tuple[Finding, ...]]) -> tuple[tuple[str, ...], ...]:
    """One row a property; what differs between bots stands side by side."""
    rows: dict[str, list[Finding]] = {}
    for bot in findings.values():
        for one in bot:
            rows.setdefault(one.name, []).append(one)
    return (
        ("property", "asked", "read back", "as asked"),
        *(
            (
                name,
                _few(one.wanted for one in ones),
                _few(one.found for one in ones),
                f"{sum(one.ok for one in ones)} of {len(ones)}",
            )
            for name, ones in rows.items()
        ),
    )


def _few(values: Iterable[str]) -> str:
    different = list(dict.fromkeys(values))
    return " / ".join(different[:3]) + (f" / and {len(different) - 3} more" if len(different) > 3 else "")

"""Claim *isolation*: every mate is in a container as tight as asked, read back from the kernel now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clawmates.proofs.kernel import KernelUnreadableError, judge, read_kernel, separation, users
from clawmates.proofs.platform import NoBotError, ProofError
from clawmates.proofs.result import Claim, Evidence, Result, Status, repeat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clawmates.proofs.kernel import Kernel
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options
    from clawmates.wire.status import BotStatus, Finding

NO_ATTEMPTS = (
    "attempts to break out from inside a container: not yet built; what is read here is the kernel's settings,"
    " not their strength"
)


async def isolation(platform: Platform, _options: Options, bench: Bench) -> Result:
    """Reads every running bot's isolation afresh, twice: by node's code and by the proof's own.

    Raises :class:`~clawmates.proofs.platform.ProofError`.
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
    uids = users(await platform.processes())
    read = sum(len(one) for one in findings.values())
    return Result(
        id=Claim.ISOLATION,
        status=Status.BROKEN if against else Status.HELD,
        evidence=Evidence(
            summary=f"{read} properties of {len(bots)} running containers read back from the kernel:"
            f" {read - sum(_weak(findings))} as asked, {sum(_weak(findings))} weaker.",
            figures={
                "bots": len(bots),
                "properties": read,
                "weaker": sum(_weak(findings)),
                "separation": separation(uids),
                "unsafe_switches": ", ".join(status.unsafe) or "none",
            },
            table=_table(findings),
            found=tuple(against),
            not_looked_at=(
                NO_ATTEMPTS,
                *platform.apart,
            ),
        ),
        repeat=repeat(Claim.ISOLATION),
    )


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

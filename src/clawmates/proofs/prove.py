"""Tries claims on a platform, one after the other."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from clawmates.proofs.claims.isolation import isolation
from clawmates.proofs.claims.no_storage import no_storage
from clawmates.proofs.claims.self_host import self_host
from clawmates.proofs.claims.tls13 import tls13
from clawmates.proofs.claims.vault import vault
from clawmates.proofs.not_here import not_here
from clawmates.proofs.result import Claim, Report, Result

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

Trial: TypeAlias = "Callable[[Platform, Options, Bench], Awaitable[Result]]"
"""Tries one claim; raises :class:`~clawmates.proofs.errors.ProofError` when it cannot be tried."""


async def _inventory(platform: Platform, options: Options, bench: Bench) -> Result:
    # With this one and the next control itself is loaded, a second and a half of the processor: only for them.
    from clawmates.proofs.claims.inventory import inventory  # noqa: PLC0415

    return await inventory(platform, options, bench)


async def _retention(platform: Platform, options: Options, bench: Bench) -> Result:
    from clawmates.proofs.claims.retention import retention  # noqa: PLC0415

    return await retention(platform, options, bench)


TRIALS: Mapping[Claim, Trial] = MappingProxyType(
    {
        Claim.NO_STORAGE: no_storage,
        Claim.TLS13: tls13,
        Claim.ISOLATION: isolation,
        Claim.VAULT: vault,
        Claim.INVENTORY: _inventory,
        Claim.RETENTION: _retention,
        Claim.SELF_HOST: self_host,
    }
)


async def prove(platform: Platform, claims: Iterable[Claim], options: Options, bench: Bench) -> Report:
    """A result for every claim asked, in the design's order.

    Raises :class:`~clawmates.proofs.errors.ProofError` when a claim that can be tried cannot be tried now.
    """
    asked = set(claims)
    results: list[Result] = []
    for claim in Claim:
        if claim in asked:
            trial = TRIALS.get(claim)
            results.append(await trial(platform, options, bench) if trial else not_here(claim))
            bench.ended(results[-1])
    return Report(claims=tuple(results))

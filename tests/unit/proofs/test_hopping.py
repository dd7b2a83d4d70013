"""Hops are judged by what the servers saw, and every way of not having tried is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from clawmates.proofs.claims.hopping import hopping
from clawmates.proofs.errors import ProofError
from clawmates.proofs.net.packets import End
from clawmates.proofs.world import Guise, Hop, Reaction

NOWHERE = End(IPv4Address("11.9.9.9"), 443)
BAD = (Guise.EXPIRED, Guise.TLS12)
SPOKE, REFUSED, SHOOK = (
    Reaction(shook=True, spoke=True),
    Reaction(shook=False, spoke=False, said="hung up"),
    Reaction(shook=True, spoke=False),
)


@dataclass
class FakeHop:
    name: str = "mate → somewhere"
    guises: tuple[Guise, ...] = BAD
    rash: dict[Guise, Reaction] = field(default_factory=lambda: dict.fromkeys((*BAD, Guise.GOOD), SPOKE))
    real: dict[Guise, Reaction] = field(default_factory=lambda: {**dict.fromkeys(BAD, REFUSED), Guise.GOOD: SPOKE})

    async def careless(self) -> Mapping[Guise, Reaction]:
        return self.rash

    async def call(self) -> Mapping[Guise, Reaction]:
        return self.real


@dataclass
class FakeWorld:
    hop: FakeHop
    places: Mapping[End, str] = field(default_factory=dict)

    @property
    def rounds(self) -> tuple[tuple[Hop, ...], ...]:
        return ((self.hop,),)

    nowhere: End = NOWHERE
    asked: Mapping[str, int] = field(default_factory=dict)

    async def retreat(self) -> None: ...
    async def converse_alone(self, text: Callable[[int], str]) -> Mapping[str, int]:
        return {}

    async def prepare(self) -> None: ...
    async def refresh(self) -> None: ...
    async def settle(self) -> None: ...
    async def converse(self, text: Callable[[int], str]) -> Mapping[str, int]:
        return {}


def quiet(_what: str, _much: int) -> None:
    return


async def test_who_refuses_what_is_bad_and_takes_what_is_good_holds() -> None:
    part = await hopping(FakeWorld(FakeHop()), quiet)
    assert part.found == ()
    assert part.figures == {"hops": 1, "bad_servers": 2}
    assert ("mate → somewhere", "expired", "goes on", "refuses: hung up") in part.table.rows
    assert len(part.controls) == 2


@pytest.mark.parametrize("reaction", [SPOKE, SHOOK])
@pytest.mark.parametrize("guise", BAD)
async def test_one_bad_server_that_is_trusted_breaks_it(guise: Guise, reaction: Reaction) -> None:
    hop = FakeHop()
    hop.real[guise] = reaction
    (found,) = (await hopping(FakeWorld(hop), quiet)).found
    assert guise.value in found


@pytest.mark.parametrize("reaction", [REFUSED, SHOOK, None])
async def test_a_client_that_talks_to_nobody_shows_nothing(reaction: Reaction | None) -> None:
    hop = FakeHop()
    hop.real = {**dict.fromkeys(BAD, REFUSED), **({Guise.GOOD: reaction} if reaction else {})}
    with pytest.raises(ProofError, match="good server"):
        await hopping(FakeWorld(hop), quiet)


async def test_a_bad_server_that_was_never_met_shows_nothing() -> None:
    hop = FakeHop()
    del hop.real[Guise.TLS12]
    with pytest.raises(ProofError, match="never met"):
        await hopping(FakeWorld(hop), quiet)


async def test_a_server_that_talks_to_nobody_shows_nothing() -> None:
    hop = FakeHop()
    hop.rash[Guise.EXPIRED] = REFUSED
    with pytest.raises(ProofError, match="talks to nobody"):
        await hopping(FakeWorld(hop), quiet)

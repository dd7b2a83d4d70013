"""From one life of a bot to the next, over its door; apart from what an idle mate must load.

=========================== =======================================================================================
``POST /handover/claim``    :class:`Claim` → the sealed context (raw bytes) once it is given, else 204 after ≤ 50 s
``POST /handover/taken``    :class:`Taken` → 204: the heir holds the context, or could not open it
``GET /handover/heir``      ``?life=N`` → :class:`Heir` of the life N; 404 when nobody claims
``POST /handover/context``  ``?heir=N``, the sealed context (raw bytes) → 204 once the heir has said that it holds it;
                            409 when it does not claim, could not open it, or has not said so within 10 s
=========================== =======================================================================================

``GET /config`` with ``?life=N&heard=M`` answers 303 as soon as an heir of life N claims whose number is above M. A life
is known by its container's generation. Two lives of a bot share a door, and the gateway believes either: all that could
come of a lie is a hand-over that fails. What passes is sealed to the heir's key, and the mates prove key and context to
each other by what the vault gave to both (:mod:`clawmates.mate.handover.proof`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLAIM_WAIT_SECONDS = 50.0
TAKEN_SECONDS = 10.0
MAX_SEALED = (3 << 20) + 128
"""Bytes of a sealed context: 3 MiB and what sealing adds."""
_GENERATIONS = range(1, 1 << 53)
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A new life asks for the context of the one before it."""

    generation: int
    predecessor: int
    """The generation of the life that it follows."""
    public: str
    """Its X25519 public key, 32 bytes in hexadecimal."""
    proof: str
    """That the key was born in a container of this very bot; 32 bytes in hexadecimal."""

    def __post_init__(self) -> None:
        check_generation(self.generation)
        check_generation(self.predecessor)
        if not _HEX.fullmatch(self.public) or not _HEX.fullmatch(self.proof):
            raise ValueError("a key and a proof are 64 hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heir:
    """A claim, as the life before it hears of it."""

    number: int
    """Counts claims at this door, from 1."""
    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The heir has the context and could begin; or (``good`` is false) it could not open it."""

    generation: int
    good: bool

    def __post_init__(self) -> None:
        check_generation(self.generation)


def check_generation(generation: int) -> int:
    """``generation`` itself; raises ``ValueError`` for one that no container can have."""
    if generation not in _GENERATIONS:
        raise ValueError("a generation is out of range")
    return generation

"""How two lives of a bot know each other through a door that neither trusts.

The vault gives every container of a bot the same secret (*kin*), over a TLS of the mate's own, and nobody else. The
heir proves its key with it, and the life before it proves what it sealed: both under keys of their own, over everything
that the hand-over is bound to. So whoever holds the door can neither put a key of its own in the place of the heir's,
nor make the heir believe a conversation that was never had.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from clawmates.wire.handover import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.base.secret import Secret

TAG_BYTES = 32
_CLAIM = b"clawmates-handover-claim-v1\0"
_CONTEXT = b"clawmates-handover-context-v1\0"


def context_info(bot: str, predecessor: int, generation: int) -> bytes:
    """What a sealed context is bound to: HPKE's ``info``. Every field with four bytes of length before it."""
    return _joined(_CONTEXT, bot.encode(), str(predecessor).encode(), str(generation).encode())


def claim_of(kin: Secret[str], bot: str, predecessor: int, generation: int, public: bytes) -> Claim:
    """The heir's claim."""
    proof = _tag(kin, _CLAIM, _claimed(bot, predecessor, generation, public))
    return Claim(generation=generation, predecessor=predecessor, public=public.hex(), proof=proof.hex())


def believes(kin: Secret[str], bot: str, life: int, claim: Claim) -> bool:
    """Whether the key was born in a container of this bot that follows this very life; in constant time."""
    wanted = _tag(kin, _CLAIM, _claimed(bot, life, claim.generation, bytes.fromhex(claim.public)))
    proved = hmac.compare_digest(wanted, bytes.fromhex(claim.proof))
    return proved and claim.predecessor == life < claim.generation


def signed(kin: Secret[str], info: bytes, sealed: bytes) -> bytes:
    """A sealed context with the tag of the life that sealed it."""
    return _tag(kin, _CONTEXT, _joined(info, sealed)) + sealed


def checked(kin: Secret[str], info: bytes, data: bytes) -> bytes | None:
    """The sealed context, when it comes from a life of this bot; in constant time."""
    tag, sealed = data[:TAG_BYTES], data[TAG_BYTES:]
    return sealed if hmac.compare_digest(_tag(kin, _CONTEXT, _joined(info, sealed)), tag) else None


def _claimed(bot: str, predecessor: int, generation: int, public: bytes) -> bytes:
    return _joined(bot.encode(), str(predecessor).encode(), str(generation).encode(), public)


def _tag(kin: Secret[str], purpose: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 under a key for this one purpose."""
    key = hmac.digest(bytes.fromhex(kin.reveal()), purpose, hashlib.sha256)
    return hmac.digest(key, data, hashlib.sha256)


def _joined(*fields: bytes) -> bytes:
    return b"".join(_framed(fields))


def _framed(fields: tuple[bytes, ...]) -> Iterator[bytes]:
    for field in fields:
        yield len(field).to_bytes(4, "big")
        yield field

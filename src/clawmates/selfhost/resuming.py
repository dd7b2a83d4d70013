"""Which of those who countersign each other have to begin anew, and what they had seen last. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clawmates.selfhost.auditing import Fault, verify
from clawmates.wire.audit import EMPTY, Head
from clawmates.wire.names import Role
from clawmates.wire.vault_deeds import Resumed, SeenBy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from clawmates.selfhost.auditing import Evidence


def order_of(found: Sequence[Evidence], now: datetime) -> Resumed | None:
    """For those that contradict each other; ``None`` if none does. What only waits to be signed is no contradiction."""
    broken = [one for one in found if any(f.fault is not Fault.UNSIGNED for f in verify(one, now).findings)]
    if not broken:
        return None
    of_nodes = [one for one in broken if one.by is Role.NODE]
    order = Resumed(
        vault=next(_end(one) for one in found if one.owner is Role.VAULT),
        by_nodes=tuple(SeenBy(node=one.node, head=_seen(one)) for one in of_nodes),
    )
    if len(of_nodes) == len(broken):
        return order
    # Control and the vault sign for each other: what one of them has lost concerns both lists.
    theirs = next(one for one in found if one.by is Role.CONTROL)
    ours = next(one for one in found if one.owner is Role.CONTROL)
    return replace(order, control=_end(ours), by_control=_seen(theirs), by_vault=_seen(ours))


def _end(evidence: Evidence) -> Head:
    """How far the chain has come."""
    if not evidence.entries:
        return EMPTY
    return Head(number=evidence.entries[-1].number, hash=evidence.entries[-1].hash)


def _seen(evidence: Evidence) -> Head:
    """What was countersigned last of it."""
    return next((line.said.head for line in reversed(evidence.lines) if line is not None), EMPTY)

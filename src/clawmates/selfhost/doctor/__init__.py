"""What a machine lacks: looked up in :mod:`look`, judged in :mod:`checks`, put right where it is safe in :mod:`fix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.selfhost.doctor.checks import Check, checks
from clawmates.selfhost.doctor.look import look

if TYPE_CHECKING:
    from clawmates.base.paths import State


async def examine(state: State) -> tuple[Check, ...]:
    """Looks at this machine, in about a second; starts nothing that stays."""
    return tuple(checks(await look(state)))

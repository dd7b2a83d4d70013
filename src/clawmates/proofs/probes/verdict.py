"""What the attempts show. Pure: a probe counts when it was denied here and succeeded in its weak control."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.proofs.probes.controls import WEAKENINGS
from clawmates.proofs.probes.entry import PROBES
from clawmates.proofs.probes.inside.frame import DENIED, DONE
from clawmates.proofs.probes.lacking import MAY_SHOW_NOTHING

if TYPE_CHECKING:
    from clawmates.proofs.probes.attempt import Attempts
    from clawmates.proofs.probes.entry import Seen

LEAST = 25
"""So many probes must count, or nothing is claimed."""
NOTHING = "no answer"


class Standing(StrEnum):
    """What one probe says of the claim."""

    COUNTS = "denied"
    BROKEN = "against the claim"
    SHOWS_NOTHING = "shows nothing"
    """The control did not succeed either: what denied it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One probe, judged."""

    probe: str
    standing: Standing
    here: str
    control: str
    """What happened in the bot's container and in the weaker one, in a few words."""


def verdicts(attempts: Attempts) -> tuple[Verdict, ...]:
    """One for every probe there is, tried or not."""
    return tuple(
        Verdict(
            probe=name,
            standing=_standing(attempts.sealed.get(name), attempts.controls.get(name)),
            here=_words(attempts.sealed.get(name)),
            control=_words(attempts.controls.get(name)),
        )
        for name in PROBES
    )


def _standing(here: Seen | None, control: Seen | None) -> Standing:
    if here is not None and here.outcome == DONE:
        return Standing.BROKEN
    if control is None or control.outcome != DONE:
        return Standing.SHOWS_NOTHING
    # It can be done on this host, and here it was not refused in a way that one knows: no reason to trust.
    return Standing.COUNTS if here is not None and here.outcome == DENIED else Standing.BROKEN


def _words(seen: Seen | None) -> str:
    return NOTHING if seen is None else f"{seen.outcome}: {seen.detail}"


def counted(found: tuple[Verdict, ...]) -> int:
    """How many probes count."""
    return sum(one.standing is Standing.COUNTS for one in found)


def against(bot: str, attempts: Attempts, found: tuple[Verdict, ...]) -> list[str]:
    """Sentences that speak against the claim."""
    broken = [
        f"bot {bot}: {one.probe} was {one.here}; in the weak control {one.control}"
        for one in found
        if one.standing is Standing.BROKEN
    ]
    weaker = [
        f"bot {bot}: the process that tried had other walls than the mate: {one.name} is {one.found}, not {one.wanted}"
        for one in attempts.walls
        if not one.ok
    ]
    return broken + weaker


def passed_over(attempts: Attempts, found: tuple[Verdict, ...]) -> list[str]:
    """Probes that do not count, each with its reason."""
    return [
        f"{one.probe}: does not count, for it does not succeed in the weak control either ({reason})"
        for one in found
        if one.standing is Standing.SHOWS_NOTHING
        for reason in (attempts.absent.get(PROBES[one.probe].control) or _excuse(one),)
    ]


def _excuse(one: Verdict) -> str:
    return f"{one.control}; {MAY_SHOW_NOTHING.get(one.probe, 'no reason for it is listed')}"


def unlisted(attempts: Attempts, found: tuple[Verdict, ...]) -> tuple[str, ...]:
    """Probes that show nothing, though their control ran, and are not on the list of those that may."""
    return tuple(
        one.probe
        for one in found
        if one.standing is Standing.SHOWS_NOTHING
        and one.probe not in MAY_SHOW_NOTHING
        and PROBES[one.probe].control not in attempts.absent
    )


def table(found: tuple[Verdict, ...]) -> tuple[tuple[str, ...], ...]:
    """One row a probe."""
    return (
        ("attempt", "in the bot's container", "in the weak control", "control", "verdict", "what was tried"),
        *(
            (one.probe, one.here, one.control, PROBES[one.probe].control, one.standing.value, PROBES[one.probe].tried)
            for one in found
        ),
    )


def controls(found: tuple[Verdict, ...]) -> tuple[str, ...]:
    """A sentence a control: what it lacked, and how many probes succeeded in it."""
    return tuple(
        f"{name}: a container without {weak.without}; {succeeded} of {len(mine)} attempts succeeded in it"
        for name, weak in WEAKENINGS.items()
        for mine in ([one for one in found if PROBES[one.probe].control == name],)
        for succeeded in (sum(one.control.startswith(DONE) for one in mine),)
    )

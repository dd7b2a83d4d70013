"""What to do next for each bot: pure, one step at a time, the same answer for the same facts.

The keeper carries a step out and asks again; so whatever crashed in between, the next answer starts from what is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clawmates.node.backoff import Backoff
from clawmates.wire.codes import Trouble
from clawmates.wire.desired import BotSpec
from clawmates.wire.door import DoorSpec
from clawmates.wire.names import ItemName

PATIENT = frozenset({Trouble.RELEASE_MISSING, Trouble.RELEASE_UNSIGNED, Trouble.IMAGE_MISSING})
"""Troubles of the whole node: what runs goes on, nothing new starts."""


class Verb(StrEnum):
    """The steps there are."""

    START = "start"
    STOP = "stop"
    CHECK = "check"
    """Read the isolation of an adopted container back."""
    TICKET = "ticket"
    DOOR = "door"
    FORGET = "forget"
    """Close the door, remove the folders."""


_CHORES = frozenset({Verb.STOP, Verb.CHECK, Verb.DOOR, Verb.FORGET})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A bot that should run."""

    bot: BotSpec
    shape: str
    """Fingerprint of what needs a new container when it changes."""
    door: DoorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What is known of one bot now."""

    busy: bool = False
    """A step is under way."""
    shape: str | None = None
    """Of the running container; ``None`` when there is none."""
    checked: bool = True
    leftover: bool = False
    """A door or folders may be there."""
    door: DoorSpec | None = None
    door_instance: str = ""
    """The gateway that was told."""
    ticketed: Mapping[ItemName, int] | None = None
    starts: Backoff = field(default_factory=Backoff)
    tickets: Backoff = field(default_factory=Backoff)
    chores: Backoff = field(default_factory=Backoff)
    """Of everything else."""


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, or when to look again (monotonic seconds; infinity waits for news)."""

    verb: Verb | None = None
    look_again: float = math.inf


def decide(wanted: Wanted | Trouble | None, actual: Actual, *, gateway: str, can_start: bool, now: float) -> Step:
    """The next step of one bot.

    ``wanted`` is ``None`` for a bot that should not run, a Trouble for one that cannot; ``gateway`` is the instance
    that answers now, empty when none does; ``can_start`` says that the signed image is loaded.
    """
    if actual.busy or (isinstance(wanted, Trouble) and wanted in PATIENT):
        return Step()
    step = _step(wanted, actual, gateway=gateway, can_start=can_start, now=now)
    if step.verb in _CHORES and now < actual.chores.ready_at:
        return Step(look_again=actual.chores.ready_at)
    return step


def _step(wanted: Wanted | Trouble | None, actual: Actual, *, gateway: str, can_start: bool, now: float) -> Step:
    if not isinstance(wanted, Wanted):
        if actual.shape is not None:
            return Step(Verb.STOP)
        return Step(Verb.FORGET) if actual.leftover else Step()
    if actual.shape is None:
        return _start(actual, gateway=gateway, can_start=can_start, now=now)
    if actual.shape != wanted.shape:
        return Step(Verb.STOP) if can_start else Step()
    if not actual.checked:
        return Step(Verb.CHECK)
    return _keep(wanted, actual, gateway=gateway, now=now)


def _start(actual: Actual, *, gateway: str, can_start: bool, now: float) -> Step:
    if not gateway or not can_start:
        return Step()
    if now < actual.starts.ready_at:
        return Step(look_again=actual.starts.ready_at)
    return Step(Verb.START)


def _keep(wanted: Wanted, actual: Actual, *, gateway: str, now: float) -> Step:
    look_again = math.inf
    # The ticket goes first: by the time the mate hears of a new version, the ticket for it lies in its folder.
    if actual.ticketed is None or dict(actual.ticketed) != dict(wanted.bot.items):
        if now >= actual.tickets.ready_at:
            return Step(Verb.TICKET)
        look_again = actual.tickets.ready_at
    if gateway and (actual.door_instance != gateway or actual.door != wanted.door):
        return Step(Verb.DOOR)
    return Step(look_again=look_again)

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
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Release

PATIENT = frozenset(
    {
        Trouble.RELEASE_MISSING,
        Trouble.RELEASE_UNSIGNED,
        Trouble.IMAGE_MISSING,
        Trouble.DISK_FULL,
        Trouble.ENGINE_FAILED,
    }
)
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
    REPLACE = "replace"
    """Start the next life beside the one that runs; it asks for what that one remembers."""
    PROMOTE = "promote"
    """The life before has ended: tell the next one that it is alone."""
    ABANDON = "abandon"
    """Give up on the next life; the one that runs goes on."""
    RETIRE = "retire"
    """End a life that does not hand over to the next, which is ready."""


_CHORES = frozenset({Verb.STOP, Verb.CHECK, Verb.DOOR, Verb.FORGET, Verb.PROMOTE, Verb.ABANDON, Verb.RETIRE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A bot that should run."""

    bot: BotSpec
    shape: str
    """Fingerprint of what needs a new container when it changes."""
    door: DoorSpec
    release: Release
    """What its container and its door come from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The life that waits beside the one that runs."""

    ready: bool
    """It has all that it needs, and asks for what the one before it remembers."""
    until: float
    """Monotonic seconds: how long it has for what comes next."""


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
    channel: str = ""
    """Of the running container."""
    worth_keeping: bool = False
    """What runs is well enough to hand over what it remembers."""
    heir: Next | None = None
    successions: Backoff = field(default_factory=Backoff)


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
    if actual.busy:
        return Step()
    patient = isinstance(wanted, Trouble) and wanted in PATIENT
    if actual.heir is not None:
        step = _succeed(wanted, actual, actual.heir, gateway=gateway, patient=patient, now=now)
    elif patient:
        return Step()
    else:
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
        return _replace(wanted, actual, gateway=gateway, can_start=can_start, now=now)
    if not actual.checked:
        return Step(Verb.CHECK)
    return _keep(wanted, actual, gateway=gateway, now=now)


def _start(actual: Actual, *, gateway: str, can_start: bool, now: float) -> Step:
    if not gateway or not can_start:
        return Step()
    if now < actual.starts.ready_at:
        return Step(look_again=actual.starts.ready_at)
    return Step(Verb.START)


def _replace(wanted: Wanted, actual: Actual, *, gateway: str, can_start: bool, now: float) -> Step:
    """Another container in the place of one that is worth handing over, or simply after it.

    Ticket and door come first, so that both lives know the same.
    """
    # A console's chats end with their container, and another messenger has other people.
    same = actual.channel == wanted.bot.channel.value != ChannelKind.TERMINAL.value
    if can_start and not (same and actual.worth_keeping):
        return Step(Verb.STOP)
    step = _keep(wanted, actual, gateway=gateway, now=now)
    if step.verb is not None or not can_start or not gateway or not math.isinf(step.look_again):
        return step
    if now < actual.successions.ready_at:
        return Step(look_again=actual.successions.ready_at)
    return Step(Verb.REPLACE)


def _succeed(
    wanted: Wanted | Trouble | None, actual: Actual, heir: Next, *, gateway: str, patient: bool, now: float
) -> Step:
    """Two lives, of which one at most is on the messenger's line: until the first has ended, and no longer."""
    if not isinstance(wanted, Wanted) and not patient:
        return Step(Verb.ABANDON)
    if actual.shape is None:
        return Step(Verb.PROMOTE)
    if now >= heir.until:
        return Step(Verb.RETIRE if heir.ready else Verb.ABANDON)
    step = _keep(wanted, actual, gateway=gateway, now=now) if isinstance(wanted, Wanted) else Step()
    return step if step.verb is not None else Step(look_again=min(step.look_again, heir.until))


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

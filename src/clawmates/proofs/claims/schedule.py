"""What is said, what goes wrong and who is killed, round by round. Pure: the same bots give the same schedule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Victim(StrEnum):
    """Who is ended by ``kill -9``."""

    VAULT = "vault"
    NODE = "node"
    GATEWAY = "gateway"
    MATE = "mate"


class Planned(StrEnum):
    """What is done to bots on purpose, and hands their conversations over."""

    EXCHANGE = "exchange"
    """One container for a new one (``clawmates restart``)."""
    RELEASE = "release"
    """Every container for one of a newer image (``clawmates release install``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Talker:
    """A bot that can be talked to."""

    bot: str
    channel: str
    provider: str
    troubles: tuple[str, ...] = ()
    """The error paths on its way to channel and provider that can be provoked here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """One message."""

    talker: Talker
    number: int
    trouble: str = ""
    """What goes wrong with it, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Everybody is spoken to at once; then, while it is under way, something may happen."""

    says: tuple[Say, ...]
    kill: Victim | None = None
    of: str = ""
    """Whose mate is killed, or which bot is exchanged."""
    planned: Planned | None = None

    @property
    def calm(self) -> bool:
        """Whether nobody is killed or exchanged, so that every message must be answered."""
        return self.kill is None and self.planned is None


def schedule(talkers: Sequence[Talker], *, messages: int, kills: int, releases: int = 0) -> tuple[Round, ...]:
    """At least ``messages`` messages; each victim is killed ``kills`` times, and as many bots are exchanged.

    ``releases`` times all bots get a newer image. What happens is spread evenly; the first and the last round are
    calm. In calm rounds one bot of each provider meets the next of its troubles, so that each is met as soon and as
    often as there is room.
    """
    happenings = _happenings(kills, releases)
    rounds = max(-(-messages // len(talkers)), len(happenings) + 2)
    when = {1 + number * (rounds - 2) // max(1, len(happenings)): one for number, one in enumerate(happenings)}
    whom = cycle(talker.bot for talker in talkers)
    trouble = _troubles(talkers)
    made = []
    for number in range(rounds):
        met = {} if number in when else next(trouble)
        says = tuple(
            Say(talker=one, number=number * len(talkers) + place, trouble=met.get(one.bot, ""))
            for place, one in enumerate(talkers)
        )
        if number not in when:
            made.append(Round(says=says))
        elif isinstance(happening := when[number], Planned):
            made.append(Round(says=says, planned=happening, of=next(whom) if happening is Planned.EXCHANGE else ""))
        else:
            made.append(Round(says=says, kill=happening, of=next(whom) if happening is Victim.MATE else ""))
    return tuple(made)


def _happenings(kills: int, releases: int) -> list[Victim | Planned]:
    """In turns, the releases evenly among the rest."""
    found: list[Victim | Planned] = []
    turns = max(kills, releases)
    for turn in range(turns):
        found += [*Victim, Planned.EXCHANGE] if turn < kills else []
        found += [Planned.RELEASE] if releases * (turn + 1) // turns > releases * turn // turns else []
    return found


def _troubles(talkers: Sequence[Talker]) -> Iterator[dict[str, str]]:
    """Bot → trouble, for one calm round after the other: one bot of each provider, channels in turn.

    Providers begin at different places of their lists: a short trial meets many kinds, if not each at each.
    """
    mine: dict[str, list[tuple[str, str]]] = {}
    for name in dict.fromkeys(talker.provider for talker in talkers):
        lists = [[(one.bot, trouble) for trouble in one.troubles] for one in talkers if one.provider == name]
        mine[name] = [pair for row in zip_longest(*lists) for pair in row if pair is not None]
    turn = 0
    while True:
        met = {}
        for place, pairs in enumerate(mine.values()):
            if pairs:
                bot, trouble = pairs[(turn + place * len(pairs) // len(mine)) % len(pairs)]
                met[bot] = trouble
        yield met
        turn += 1

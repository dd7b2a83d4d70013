"""Who answers: a model, and maybe a second one for when it cannot; what a change of them means for their keys. Pure.

Every rule is one for any two changes in any order: what was sealed while another change was on its way to the vault is
applied to what that one has left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.wire.desired import Fallback
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from clawmates.control.bots.tables import Bot


class Place(StrEnum):
    """Which of the two."""

    OWN = "own"
    SPARE = "spare"

    @property
    def key(self) -> ItemName:
        """The key of who answers there."""
        return ItemName.PROVIDER_KEY if self is Place.OWN else ItemName.FALLBACK_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Minds:
    """Who answers a bot's messages."""

    provider: str
    model: str
    fallback: Fallback | None = None

    def of(self, place: Place) -> tuple[str, str]:
        """Provider and model there; empty where nobody is."""
        if place is Place.OWN:
            return self.provider, self.model
        return (self.fallback.provider, self.fallback.model) if self.fallback is not None else ("", "")

    @property
    def keyed_apart(self) -> bool:
        """Whether the second one needs a key of its own: another provider does."""
        return self.fallback is not None and self.fallback.provider != self.provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who is to answer there; an empty provider is nobody, which only the second place may be."""

    place: Place
    provider: str = ""
    model: str = ""
    firm: bool = True
    """False where a key alone was replaced: it says whose key it is, and no more about who answers."""

    def __post_init__(self) -> None:
        if not self.provider and self.place is Place.OWN:
            raise ValueError("somebody must answer")


def minds_of(bot: Bot) -> Minds:
    """Who answers as the row has it."""
    spare = None
    if bot.fallback_provider is not None and bot.fallback_model is not None:
        spare = Fallback(provider=bot.fallback_provider, model=bot.fallback_model)
    return Minds(provider=bot.provider, model=bot.model, fallback=spare)


def chosen(minds: Minds, choice: Choice) -> Minds:
    """Who answers after a choice. The second one goes where it would have no key, or would be the first again."""
    provider, _model = minds.of(choice.place)
    if not choice.firm and provider == choice.provider:
        return minds
    if choice.place is Place.SPARE:
        spare = Fallback(provider=choice.provider, model=choice.model) if choice.provider else None
        return settled(replace(minds, fallback=spare))
    spare = minds.fallback
    if spare is not None and spare.provider == minds.provider != choice.provider:
        spare = None  # it was asked with the key that has just been replaced by another provider's
    return settled(Minds(provider=choice.provider, model=choice.model, fallback=spare))


def settled(minds: Minds) -> Minds:
    """Nobody is asked twice."""
    same = minds.of(Place.SPARE) == minds.of(Place.OWN)
    return replace(minds, fallback=None) if same else minds


def needed(minds: Minds) -> frozenset[ItemName]:
    """The credentials without which such a bot cannot do what it should."""
    spare = {ItemName.FALLBACK_KEY} if minds.keyed_apart else set()
    return frozenset({ItemName.CHANNEL_TOKEN, ItemName.PROVIDER_KEY} | spare)

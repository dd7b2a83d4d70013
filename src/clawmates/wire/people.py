"""The document *people*: who may talk to a bot. Kept by the vault, opened in the mate and for its owner alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.vault import MAX_ITEM_BYTES

FORMAT = 1
MOST_PEOPLE = 2000
"""So many fit :data:`~clawmates.wire.vault.MAX_ITEM_BYTES`, whatever their numbers are."""
MOST_SPENT = 16
MOST_TOLD = 16
PERSON = re.compile(r"[1-9][0-9]{0,19}")
"""A person as a messenger numbers them: a Telegram user id, a telephone number."""
_LANGUAGE = re.compile(r"(?:[A-Za-z0-9-]{1,40})?")


class PeopleFullError(ValueError):
    """No more people fit the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """``owner`` is the first who was admitted, and one of ``people``; empty while nobody is."""

    format: int = FORMAT
    owner: str = ""
    language: str = ""
    """The owner's, as an IETF tag: what they are told is told in it."""
    people: tuple[str, ...] = ()
    spent: tuple[str, ...] = ()
    """Salts of the codes that were used, the newest last."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What the bot was when its owner last heard of it: names and versions, never content."""

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError("a list of people in a format that this version does not know")
        if any(not PERSON.fullmatch(person) for person in self.people):
            raise ValueError("a person is a number of 1 to 20 digits")
        if len(self.people) > MOST_PEOPLE or len(self.spent) > MOST_SPENT or len(self.told) > MOST_TOLD:
            raise ValueError("more than fits a list of people")
        if self.owner and self.owner not in self.people:
            raise ValueError("the owner is not one of the people")
        if not _LANGUAGE.fullmatch(self.language):
            raise ValueError("not a language")

    def admit(self, *persons: str, language: str = "") -> People:
        """With these people too; the first of all becomes the owner. Raises :class:`PeopleFullError`."""
        people = tuple(dict.fromkeys((*self.people, *persons)))
        if len(people) > MOST_PEOPLE:
            raise PeopleFullError
        if self.owner or not persons:
            return replace(self, people=people)
        return replace(self, people=people, owner=persons[0], language=language, told={})

    def remove(self, *persons: str) -> People:
        """Without these people; the next who is admitted succeeds an owner who leaves."""
        people = tuple(person for person in self.people if person not in persons)
        if self.owner in people:
            return replace(self, people=people)
        return replace(self, people=people, owner="", language="", told={})

    def spend(self, salt: str) -> People:
        """With one more code that is used."""
        return replace(self, spent=(*(one for one in self.spent if one != salt), salt)[-MOST_SPENT:])


def load(text: Secret[str]) -> People:
    """Reads a document; raises ``ShapeError``, which quotes nothing of it."""
    try:
        return decode_json(People, text.reveal().encode(), MAX_ITEM_BYTES)
    except UnicodeEncodeError:
        raise ShapeError("", "not valid JSON") from None


def dump(people: People) -> Secret[str]:
    """The document."""
    return Secret(encode_json(people).decode())

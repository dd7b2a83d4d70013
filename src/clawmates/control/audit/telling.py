"""An entry of either chain as a sentence for the person whom it concerns: the key of a text, and its fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from clawmates.wire import deeds, vault_deeds
from clawmates.wire.deeds import Deed, Looked, Moved
from clawmates.wire.names import NOBODY
from clawmates.wire.vault_deeds import Assigned, Kept, Origin, Resumed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.wire.audit import Entry

ID_SHOWN = 10
"""Characters of a bot's id, where its name is gone with it."""
UNREADABLE = "activity.unreadable"
_PLAIN, _WORDS = ("bot", "node", "version", "sessions"), ("item", "way", "what", "wish")
"""Fields of details: those that are shown as they are, and those that have a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """``key`` is a text's; of ``fields`` the ones in ``words`` are keys of texts themselves.

    ``by`` is who says so: *vault*, *control*, or *operator* for one of the operator's looks.
    """

    at: datetime
    by: str
    key: str
    fields: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    """How often it happened on that day; ``at`` is the last time."""


def tell(entry: Entry, names: Mapping[str, str]) -> Told:
    """``names`` are bots by id. Raises ``ValueError`` for a moment that is none."""
    at = datetime.fromisoformat(entry.at)
    by = entry.tag.partition(".")[0]
    grammar = vault_deeds.detail_of if by == "vault" else deeds.detail_of
    try:
        detail = grammar(entry.tag, entry.detail)
    except ValueError:
        return Told(at=at, by="control", key=UNREADABLE)
    key = f"activity.{entry.tag}"
    fields = {name: str(getattr(detail, name)) for name in _PLAIN if hasattr(detail, name)}
    words = {name: f"activity.{name}.{getattr(detail, name).value}" for name in _WORDS if hasattr(detail, name)}
    if "bot" in fields:
        fields["bot"] = names.get(fields["bot"], fields["bot"][:ID_SHOWN])
    match detail:
        case Assigned(node=node) if node == NOBODY:
            key = "activity.vault.bot.fenced"
        case Kept(origin=Origin.MATE):
            key = "activity.vault.item.born"
        case Moved(origin=origin):
            fields["origin"] = origin
        case Looked():
            by, key = "operator", f"{key}{'-at-you' if entry.subject else ''}"
        case Resumed():
            by = "operator"
        case _ if entry.tag == Deed.BACKUP_MADE.value:
            by = "operator"
    return Told(at=at, by=by, key=key, fields=fields, words=words)


def gathered(found: Iterable[Told]) -> list[Told]:
    """The newest first; what the operator looked at several times in a day stands once, with how often."""
    kept: list[Told] = []
    looks: dict[tuple[object, ...], int] = {}
    for one in sorted(found, key=lambda told: told.at, reverse=True):
        mark = (one.at.date(), one.key, tuple(sorted(one.words.items())))
        if one.by == "operator" and mark in looks:
            place = looks[mark]
            kept[place] = replace(kept[place], times=kept[place].times + 1)
            continue
        if one.by == "operator":
            looks[mark] = len(kept)
        kept.append(one)
    return kept

"""Who may talk (OpenClaw's documentation, *Telegram access control*). What is not surely open is a list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clawmates.selfhost.openclaw.words import GROUPS, Lost
from clawmates.wire.desired import Access
from clawmates.wire.people import MOST_PEOPLE, PERSON, People

if TYPE_CHECKING:
    from clawmates.selfhost.openclaw.routes import Account

_PREFIX = re.compile(r"(?:telegram|tg):", re.IGNORECASE)
EVERYBODY = "*"


def whom(account: Account, lost: list[Lost]) -> tuple[Access, People]:
    """Of one account; the first who is listed is its owner. ``lost`` gains what could not be taken over."""
    holder = account.where("allowFrom")
    entries = [_PREFIX.sub("", str(one).strip()) for one in holder.listed("allowFrom") or ()]
    persons = tuple(dict.fromkeys(one for one in entries if PERSON.fullmatch(one)))[:MOST_PEOPLE]
    others = sum(one != EVERYBODY and one not in persons for one in entries)
    if others:
        sentence = f"{others} of its entries, no numbers of people; `clawmates bot people NAME --admit` takes numbers."
        lost.append(Lost(holder.at("allowFrom"), sentence))
    bounds = account.channel.listed("allowFrom")
    wide = EVERYBODY in entries and (bounds is None or EVERYBODY in (str(one) for one in bounds))
    stands = account.where("dmPolicy")
    account.channel.text("dmPolicy")
    policy = stands.text("dmPolicy") or "pairing"
    _groups(account, policy)
    people = People(owner=persons[0], people=persons) if persons else People()
    match policy:
        case "open" if wide:
            return Access.OPEN, people
        case "pairing":
            return Access.PAIRED, people
        case "allowlist":
            return Access.LIST, people
        case "disabled":
            return Access.LIST, People()
    lost.append(Lost(stands.at("dmPolicy"), "not surely open to everybody, so here it answers whom it lists."))
    return Access.LIST, people


def _groups(account: Account, policy: str) -> None:
    """A bot here answers in a group those who may talk to it, when they speak to it."""
    for section in (account.own, account.channel):
        section.is_ours("groupPolicy", "allowlist")
        if policy == "disabled":
            section.is_ours("groupPolicy", policy)
        section.is_ours("groups", GROUPS)
        section.is_ours("linkPreview", value=False)
        section.is_ours("configWrites", value=False)

"""How a bot is, in one word and a sentence: from its rows, without asking anybody. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from clawmates.control.bots.errands import DELETING, DRAFT, NO_NODE
from clawmates.control.bots.minds import minds_of, needed
from clawmates.wire.names import ItemName
from clawmates.wire.status import BotState as State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.control.bots.tables import Bot, BotItem
    from clawmates.control.texts.catalogue import Words

SILENT_FOR = timedelta(minutes=3)
"""A node that is there says so every few seconds."""
LATE_AFTER = timedelta(seconds=15)
"""Whoever waits for a bot to start is told sooner: three reports of its node did not come."""
HOST_AWAY = "bots.why.host-away"
KINDS = {
    State.STARTING: "busy",
    State.LIVE: "live",
    State.DEGRADED: "bad",
    State.BACKING_OFF: "bad",
    State.REFUSED: "bad",
    State.PAUSED: "paused",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What a node said last of a bot (empty: nothing yet), and when the node that has the bot now was last heard of."""

    node: str
    state: str
    code: str
    username: str
    heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """``kind`` is *live*, *busy*, *paused* or *bad*; ``word`` and ``why`` are keys of texts, ``why`` may be empty."""

    kind: str
    word: str
    why: str = ""


def standing(  # noqa: PLR0911 - one line a stage of life
    bot: Bot,
    items: Sequence[BotItem],
    said: Said | None,
    waiting: tuple[int, str],
    now: datetime,
    *,
    stopped: bool = False,
) -> Standing:
    """``waiting``: how many errands of the bot are left, and the code that the first has met.

    ``stopped``: its account was cancelled.
    """
    if bot.stage == DELETING:
        return Standing("busy", "bots.state.deleting", _trouble(waiting[1]))
    if bot.stage == DRAFT:
        return Standing("paused", "bots.state.draft", "bots.why.draft")
    if stopped:
        return Standing("paused", "bots.state.stopped", "bots.why.stopped")
    vital = needed(minds_of(bot))
    refused = next((item for item in items if item.trouble and item.kept < item.version), None)
    # Without a list of people, or with the second key of who does not answer yet, it can be what it was.
    if refused is not None and not refused.kept and ItemName(refused.name) in vital | {ItemName.PROMPT}:
        return Standing("bad", "bots.state.refused-item", f"bots.refusal.{refused.trouble}")
    missing = any(not item.kept for item in items if ItemName(item.name) in vital)
    if waiting[0] and (missing or bot.node is None):
        return Standing("busy", "bots.state.handing-over", _trouble(waiting[1]))
    if bot.paused:
        return Standing("paused", "bots.state.paused")
    silence = now - said.heard_at if said is not None and said.heard_at is not None else timedelta()
    starting = Standing("busy", "bots.state.starting", HOST_AWAY if silence > LATE_AFTER else _trouble(waiting[1]))
    if said is None or said.node != bot.node:
        return starting
    if silence > SILENT_FOR:
        return Standing("bad", "bots.state.silent", "bots.why.silent")
    state = State(said.state)
    if state is State.PAUSED or (state is State.STARTING and silence > LATE_AFTER):  # it was, and is being started
        return starting
    return Standing(KINDS[state], f"bots.state.{state.value}", f"bots.code.{said.code}" if _tells(state, said) else "")


REMEDIES = {
    "bad-token": "token",
    "second-poller": "token",
    "bad-key": "key",
    "item-missing": "key",
    "unknown-model": "edit",
    "over-quota": "edit",
    "unknown-provider": "provider",
    "region-not-allowed": "provider",
    "people-unreadable": "people",
}
"""By a code: the page below the bot's own on which its owner mends it."""


def remedy(why: str) -> str:
    """The page that helps against :attr:`Standing.why`, or empty."""
    return REMEDIES.get(why.removeprefix("bots.code."), "") if why.startswith("bots.code.") else ""


def sentence(texts: Words, key: str) -> str:
    """The text of :attr:`Standing.why`; a refusal that has none of its own has one in common, an unknown code none."""
    if not key or texts.has(key):
        return texts(key) if key else ""
    return texts("bots.refusal.other") if key.startswith("bots.refusal.") else ""


def _tells(state: State, said: Said) -> bool:
    return bool(said.code) and said.code != state.value and state is not State.LIVE


def _trouble(code: str) -> str:
    if not code:
        return ""
    return f"bots.why.{code}" if code in {NO_NODE, "vault-down"} else "bots.why.waiting"

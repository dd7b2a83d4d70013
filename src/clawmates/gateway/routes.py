"""Whom a caller from outside means: a bot by its hook's label, control by the platform's own name, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.door import HOOK


class Callee(StrEnum):
    """Whom a caller reaches."""

    BOT = "bot"
    CONTROL = "control"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes; ``label`` is the bot's hook."""

    callee: Callee
    label: str = ""


NOWHERE = Route(Callee.NOBODY)


def route(name: str, domain: str) -> Route:
    """``<label>.hooks.<domain>`` is a bot, ``<domain>`` is control. One spelling a name; unknown means nobody."""
    if name == domain:
        return Route(Callee.CONTROL)
    label, dot, rest = name.partition(".")
    if dot and rest == f"hooks.{domain}" and HOOK.fullmatch(label):
        return Route(Callee.BOT, label)
    return NOWHERE

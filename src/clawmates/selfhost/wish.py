"""What somebody said of a bot, on top of what it is already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.secret import Secret
from clawmates.selfhost.draft import BotError, Draft, Tuning
from clawmates.wire.desired import Access, Fallback, Limits
from clawmates.wire.names import ChannelKind, ItemName

if TYPE_CHECKING:
    from clawmates.wire.desired import BotSpec

DEFAULT_NAME = "home"
T = TypeVar("T")


class Nothing(Enum):
    """Said to be none; not to have said anything is ``None``."""

    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was said; what is ``None``, or not in a mapping, was not spoken of."""

    name: str = DEFAULT_NAME
    channel: ChannelKind | None = None
    provider: str | None = None
    model: str | None = None
    temperature: float | Nothing | None = None
    max_output_tokens: int | Nothing | None = None
    fallback: Fallback | Nothing | None = None
    access: Access | None = None
    paused: bool = False
    """It does not run where it comes from, so it does not here until somebody lets it."""
    limits: Mapping[str, int | str | Nothing] = field(default_factory=dict)
    """By the names of :class:`Limits`."""
    secrets: Mapping[ItemName, Secret[str]] = field(default_factory=dict)
    """An empty document is one that the bot should no longer have."""

    @property
    def silent(self) -> bool:
        """Whether nothing was said but a name."""
        return self == Wish(name=self.name)


def fill(wish: Wish, before: BotSpec | None) -> Draft:
    """The bot as it should be: as it was, but for what was said. Raises :class:`BotError`."""
    channel = wish.channel or (before.channel if before else None)
    provider = wish.provider or (before.provider if before else None)
    model = wish.model or (before.model if before and before.provider == provider else None)
    if channel is None or provider is None or model is None:
        missing = [
            f"--{name}"
            for name, value in (("channel", channel), ("provider", provider), ("model", model))
            if value is None
        ]
        raise BotError(f"also give {', '.join(missing)}.")
    emptied = frozenset(name for name, secret in wish.secrets.items() if name.is_document and not secret)
    draft = Draft(
        name=wish.name,
        channel=channel,
        provider=provider,
        model=model,
        secrets={name: secret for name, secret in wish.secrets.items() if name not in emptied},
        limits=_limits(wish, before.limits if before else Limits()),
        tuning=_tuning(wish, before),
        access=wish.access,
        paused=wish.paused,
    )
    stale = _stale(draft, before) if before else frozenset[ItemName]()
    held = frozenset(before.items) - stale - emptied if before else frozenset[ItemName]()
    return replace(draft, dropped=emptied | stale, held=held)


def _stale(draft: Draft, before: BotSpec) -> frozenset[ItemName]:
    """What was sealed for hosts that the bot no longer talks to."""
    fallback = draft.tuning.fallback if draft.tuning is not None else None
    spare = fallback.provider if fallback is not None else None
    had = before.fallback.provider if before.fallback is not None else None
    gone = {
        ItemName.CHANNEL_TOKEN: draft.channel is not before.channel,
        ItemName.PROVIDER_KEY: draft.provider != before.provider,
        ItemName.FALLBACK_KEY: spare != had or spare == draft.provider,
    }
    return frozenset(name for name, is_gone in gone.items() if is_gone and name in before.items)


def _limits(wish: Wish, before: Limits) -> Limits:
    said = {name: None if value is Nothing.NONE else value for name, value in wish.limits.items()}
    try:
        return replace(before, **said)  # type: ignore[arg-type] # by the command line's own types
    except ValueError as error:
        raise BotError(f"{error}.") from None


def _tuning(wish: Wish, before: BotSpec | None) -> Tuning:
    had = Tuning()
    if before is not None:
        had = Tuning(
            temperature=before.temperature, max_output_tokens=before.max_output_tokens, fallback=before.fallback
        )
    return Tuning(
        temperature=_said(wish.temperature, had.temperature),
        max_output_tokens=_said(wish.max_output_tokens, had.max_output_tokens),
        fallback=_said(wish.fallback, had.fallback),
    )


def _said(wished: T | Nothing | None, before: T | None) -> T | None:
    if isinstance(wished, Nothing):
        return None
    return before if wished is None else wished

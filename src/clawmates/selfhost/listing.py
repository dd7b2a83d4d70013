"""``clawmates bot list``: what each bot should be, beside how it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

from clawmates.wire.codes import REMEDY
from clawmates.wire.desired import Access, Fallback, Limits
from clawmates.wire.names import ChannelKind, ItemName

if TYPE_CHECKING:
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.status import BotStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bot. ``state`` is empty where no platform runs that could tell."""

    id: str
    channel: ChannelKind
    provider: str
    model: str
    items: Mapping[ItemName, int]
    limits: Limits
    temperature: float | None
    max_output_tokens: int | None
    fallback: Fallback | None
    access: Access
    paused: bool
    state: str = ""
    code: str = ""
    remedy: str = ""

    @classmethod
    def of(cls, spec: BotSpec, status: BotStatus | None) -> Self:
        """From what should be and what is."""
        code = status.code if status is not None else ""
        return cls(
            id=spec.id,
            channel=spec.channel,
            provider=spec.provider,
            model=spec.model,
            items=spec.items,
            limits=spec.limits,
            temperature=spec.temperature,
            max_output_tokens=spec.max_output_tokens,
            fallback=spec.fallback,
            access=spec.access,
            paused=spec.paused,
            state=status.state.value if status is not None else "",
            code=code,
            remedy=REMEDY.get(code, ""),
        )


def row_text(row: Row) -> str:
    """One line, and a second for what is not as usual."""
    state = row.state or ("paused" if row.paused else "")
    lines = [f"{row.id:<12} {row.channel.value:<9} {row.provider} {row.model}  {state}".rstrip()]
    more = [f"{one.name.replace('_', ' ')} {getattr(row.limits, one.name)}" for one in fields(row.limits)]
    more = [text for text in more if not text.endswith(" None")]
    if row.channel is not ChannelKind.TERMINAL:
        more.insert(0, f"people {row.access.value}")
    if row.fallback is not None:
        more.append(f"fallback {row.fallback.provider}/{row.fallback.model}")
    if row.temperature is not None:
        more.append(f"temperature {row.temperature:g}")
    if row.max_output_tokens is not None:
        more.append(f"at most {row.max_output_tokens} tokens an answer")
    if more:
        lines.append(f"{'':<12} {', '.join(more)}")
    if row.remedy:
        lines.append(f"{'':<12} {row.code}: {row.remedy}")
    return "\n".join(lines)

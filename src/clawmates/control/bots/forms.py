"""What a person may write into the forms of a bot: fields in, values or the keys of sentences out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.control.bots.offers import offer
from clawmates.wire.desired import Access, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from clawmates.wire.release import Model, Release

LONGEST_NAME = 60
HOTTEST = 2.0
MOST = 1_000_000_000
LIMITS = ("messages_per_day", "messages_per_month", "tokens_per_day", "tokens_per_month")


@dataclass(slots=True)
class Errors:
    """By the field's name: the key of a sentence below ``bots.error``."""

    found: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, key: str) -> None:
        """The first of a field counts."""
        self.found.setdefault(name, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A bot to be, before its secrets."""

    name: str
    provider: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a bot answers, whom, and how much."""

    name: str
    model: str
    temperature: float | None
    max_output_tokens: int | None
    limits: Limits
    access: Access


def read_wish(form: Mapping[str, str], release: Release, regions: tuple[str, ...], today: date) -> Wish | Errors:
    """The first page of the way."""
    errors = Errors()
    name, provider = _name(form, errors), form.get("provider", "")
    if offer(release, provider, today) is None:
        errors.add("provider", "provider")
    region = form.get("region", regions[0] if len(regions) == 1 else "")
    if region not in regions:
        errors.add("region", "region")
    return errors if errors.found else Wish(name=name, provider=provider, region=region)


def read_manner(form: Mapping[str, str], release: Release, provider: str) -> Manner | Errors:
    """Model and the rest: in the launch, and whenever it is edited."""
    errors = Errors()
    name = _name(form, errors)
    chosen = release.provider(provider)
    model = chosen.model(form.get("model", "")) if chosen is not None else None
    if model is None:
        errors.add("model", "model")
    access = next((one for one in Access if one.value == form.get("access")), None)
    if access is None:
        errors.add("access", "access")
    temperature = _temperature(form.get("temperature", "").strip(), model, errors)
    tokens = _count(form, "max_output_tokens", errors)
    if tokens is not None and model is not None and not 1 <= tokens <= model.output_tokens:
        errors.add("max_output_tokens", "max-output-tokens")
    day, month, day_tokens, month_tokens = (_count(form, one, errors) for one in LIMITS)
    limits = Limits(
        messages_per_day=day,
        messages_per_month=month,
        tokens_per_day=day_tokens,
        tokens_per_month=month_tokens,
    )
    if errors.found or model is None or access is None:
        return errors
    return Manner(
        name=name,
        model=model.id,
        temperature=temperature,
        max_output_tokens=tokens,
        limits=limits,
        access=access,
    )


def _name(form: Mapping[str, str], errors: Errors) -> str:
    name = " ".join(form.get("name", "").split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        errors.add("name", "name")
    return name


def _temperature(text: str, model: Model | None, errors: Errors) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 <= value <= HOTTEST:
        errors.add("temperature", "temperature")
    elif model is not None and not model.temperature:
        errors.add("temperature", "no-temperature")
    return value


def _count(form: Mapping[str, str], name: str, errors: Errors) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MOST):
        errors.add(name, "count")
        return None
    return int(text)

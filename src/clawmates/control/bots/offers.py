"""What the signed release offers to somebody who makes a bot in a browser. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from clawmates.control.bots.minds import Place
from clawmates.wire.door import OLLAMA_HOST
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.control.bots.minds import Minds
    from clawmates.wire.release import Release

VERIFIED_FOR = timedelta(days=180)
"""A statement about a provider that nobody has looked up for longer reads *unverified*."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider, and whether what is said of it was looked up lately."""

    provider: Provider
    verified: bool


def offers(release: Release, today: date) -> tuple[Offer, ...]:
    """All but those that live on a host of one's own."""
    return tuple(
        Offer(provider, is_verified(provider.verified, today))
        for provider in release.providers
        if provider.hosts != (OLLAMA_HOST,) and provider.models
    )


def is_verified(day: str, today: date) -> bool:
    """Whether an ISO 8601 day is not longer ago than :data:`VERIFIED_FOR`; what is no day never was."""
    try:
        return today - date.fromisoformat(day) <= VERIFIED_FOR
    except ValueError:
        return False


def offer(release: Release, provider: str, today: date) -> Offer | None:
    """The one of that id."""
    return next((one for one in offers(release, today) if one.provider.id == provider), None)


def hosts(release: Release, channel: str, minds: Minds) -> Mapping[ItemName, tuple[str, ...]]:
    """Where each item of such a bot may be sent: credentials to the catalogue's hosts, documents nowhere."""
    found = release.channel(ChannelKind(channel))

    def of(place: Place) -> tuple[str, ...]:
        provider = release.provider(minds.of(place)[0])
        return provider.hosts if provider is not None else ()

    spare = {ItemName.FALLBACK_KEY: of(Place.SPARE)} if minds.keyed_apart else {}
    return {
        ItemName.CHANNEL_TOKEN: found.hosts if found else (),
        ItemName.PROVIDER_KEY: of(Place.OWN),
        **spare,
        ItemName.PROMPT: (),
        ItemName.PEOPLE: (),
    }

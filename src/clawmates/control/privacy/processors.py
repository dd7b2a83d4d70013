"""Who else processes anything: from the signed release's hosts and the configuration. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clawmates.wire.door import OLLAMA_HOST

if TYPE_CHECKING:
    from clawmates.base.settings import Settings
    from clawmates.wire.release import Release

_HERE = frozenset({"", "localhost", "127.0.0.1", "::1"})


class Part(StrEnum):
    """What somebody else does."""

    PROVIDER = "provider"
    MESSENGER = "messenger"
    MAIL = "mail"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """One of them. ``chosen``: a bot's owner decides whether it gets anything."""

    part: Part
    name: str
    hosts: tuple[str, ...] = ()
    region: str = ""
    """Where a provider computes, as the release says it."""
    keeps: str = ""
    keeps_de: str = ""
    source: str = ""
    verified: str = ""

    @property
    def chosen(self) -> bool:
        """By the owner of a bot, and for that bot alone."""
        return self.part in {Part.PROVIDER, Part.MESSENGER}

    def kept(self, language: str) -> str:
        """What it keeps, in the reader's language where that is known."""
        return (self.keeps_de if language == "de" else "") or self.keeps


def processors(settings: Settings, release: Release | None) -> tuple[Processor, ...]:
    """Those that this platform may send anything to; whoever is on this machine is nobody else."""
    found = []
    if release is not None:
        found += [
            Processor(
                part=Part.PROVIDER,
                name=one.name,
                hosts=one.hosts,
                region=one.inference_region,
                keeps=one.keeps,
                keeps_de=one.keeps_de,
                source=one.source,
                verified=one.verified,
            )
            for one in release.providers
            if one.hosts != (OLLAMA_HOST,)
        ]
        found += [
            Processor(part=Part.MESSENGER, name=one.kind.value.capitalize(), hosts=one.hosts)
            for one in release.channels
            if one.hosts
        ]
    if settings.hosted:
        mail = settings.control.smtp.host.rpartition(":")[0].strip("[]")
        database = urlsplit(settings.control.database).hostname or ""
        found += [
            Processor(part=part, name=host, hosts=(host,))
            for part, host in ((Part.MAIL, mail), (Part.DATABASE, database))
            if host not in _HERE
        ]
    return tuple(found)

"""The record of processing activities (GDPR, article 30): from inventory, configuration and release. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.control.privacy.processors import Part, Processor, processors
from clawmates.inventory import words
from clawmates.inventory.files import BACKUPS
from clawmates.inventory.whole import INVENTORY

if TYPE_CHECKING:
    from clawmates.base.settings import Settings
    from clawmates.inventory.datum import Datum
    from clawmates.wire.release import Release

FILL_IN = "to be filled in: [control] {} in clawmates.toml"
MEASURES = (
    "Conversations are processed in the memory of a bot's own container alone, and are written to no disk.",
    "Tokens, API keys, prompts and lists of people are encrypted before they leave the browser or the command line.",
    "They are encrypted at rest (AES-256-GCM) under keys that are destroyed with them.",
    "TLS 1.3 on every hop that the platform terminates or originates.",
    "One container a bot: own namespaces, no network, no capabilities, read-only root.",
    "Operators see ids, counts and states; each look is in an audit chain that two processes countersign.",
    "`clawmates prove` checks these on the running platform.",
)
"""Article 30(1)(g): the general description of technical measures."""
_WORK = {
    Part.PROVIDER: "answers the messages of bots whose owners chose it",
    Part.MESSENGER: "carries the messages of bots",
    Part.MAIL: "sends mails: addresses, links to sign in",
    Part.DATABASE: "holds the database of the web service",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One datum as article 30 wants it."""

    id: str
    data: str
    purpose: str
    basis: str
    subjects: str
    kept: str
    seen_by: tuple[str, ...]
    where: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient."""

    name: str
    does: str
    hosts: tuple[str, ...]
    region: str
    keeps: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The whole of it. What the configuration does not say is :data:`FILL_IN`."""

    controller: str
    representative: str
    hosting: str
    mode: str
    region: str
    domain: str
    activities: tuple[Activity, ...]
    recipients: tuple[Recipient, ...]
    backups_kept: str
    measures: tuple[str, ...]


def record(settings: Settings, release: Release | None) -> Record:
    """Of what is about somebody; ``release`` is ``None`` where none can be believed."""
    return Record(
        controller=settings.control.controller or FILL_IN.format("controller"),
        representative=settings.control.representative or FILL_IN.format("representative"),
        hosting=settings.control.hosting or FILL_IN.format("hosting"),
        mode=settings.platform.mode.value,
        region=settings.platform.region,
        domain=settings.platform.domain,
        activities=tuple(_activity(one) for one in INVENTORY if one.about_a_person and _here(one, settings)),
        recipients=tuple(_recipient(one) for one in processors(settings, release)),
        backups_kept=words.length(BACKUPS).en,
        measures=MEASURES,
    )


def markdown(found: Record) -> str:
    """For people: to be kept, printed and signed."""
    lines = [
        "# Record of processing activities (GDPR, article 30)",
        "",
        *(f"- {name}: {text}" for name, text in _head(found)),
        "",
        "| data | purpose | legal basis | kept | seen by | where |",
        "|---|---|---|---|---|---|",
        *(
            _cells(one.data, one.purpose, one.basis, one.kept, ", ".join(one.seen_by), ", ".join(one.where))
            for one in found.activities
        ),
        "",
        "## Recipients",
        "",
        "| who | does | hosts | where | keeps |",
        "|---|---|---|---|---|",
        *(
            _cells(one.name, one.does, ", ".join(one.hosts), one.region or "-", one.keeps or "-")
            for one in found.recipients
        ),
        "",
        "## Technical and organisational measures",
        "",
        *(f"- {one}" for one in found.measures),
    ]
    return "\n".join(lines)


def _cells(*texts: str) -> str:
    return f"| {' | '.join(text.replace('|', '/') for text in texts)} |"


def _head(found: Record) -> tuple[tuple[str, str], ...]:
    return (
        ("Controller, contact", found.controller),
        ("Representative, data protection officer", found.representative),
        ("Where the machines are, and who rents them out", found.hosting),
        ("Platform", f"{found.mode}, region {found.region}, {found.domain}"),
        ("Data subjects", "owners of accounts and bots; people who are let in to talk to a bot"),
        ("Transfers to third countries", "see the regions of the recipients"),
        ("Backups", f"sealed, kept for {found.backups_kept} at most"),
    )


def _here(datum: Datum, settings: Settings) -> bool:
    """Without control there is no account and nothing that control keeps; without self-host none of its files."""
    if settings.hosted:
        return datum.id != "selfhost-bots"
    return any(one.value != "control" for one in datum.stores)


def _activity(datum: Datum) -> Activity:
    return Activity(
        id=datum.id,
        data=datum.what.en,
        purpose=datum.why.en,
        basis=words.BASIS[datum.basis].en,
        subjects="people who are let in to a bot" if datum.id == "people" else "owners of accounts and bots",
        kept=words.end(datum).en,
        seen_by=tuple(one.value for one in datum.seen_by),
        where=tuple(words.STORE[one].en for one in datum.stores),
        columns=datum.columns,
    )


def _recipient(one: Processor) -> Recipient:
    return Recipient(
        name=one.name, does=_WORK[one.part], hosts=one.hosts, region=one.region, keeps=one.keeps, source=one.source
    )

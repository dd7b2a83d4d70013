"""What the agreement says: clauses of the catalogue, annexes of declaration, release, settings, claims. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING

from clawmates.base.settings import Settings
from clawmates.control.agreement.document import Block, Document, Kind
from clawmates.control.agreement.party import Party, Role
from clawmates.control.privacy.processors import Part, processors
from clawmates.control.privacy.telling import row_of
from clawmates.control.promises.telling import promises
from clawmates.control.texts.catalogue import Words, words
from clawmates.inventory import words as inventory_words
from clawmates.inventory.claims import Claim
from clawmates.inventory.files import BACKUPS
from clawmates.inventory.whole import INVENTORY
from clawmates.wire.release import Release

if TYPE_CHECKING:
    from collections.abc import Iterator


WORDS = "1"
"""The edition of the clauses: raised with every change of what they mean."""
CLAUSES = (
    *("subject", "data", "instructions", "confidentiality", "security", "subprocessors", "rights"),
    *("assistance", "breach", "end", "audits", "transfers", "limits", "form"),
)
"""GDPR, article 28(3): its first sentence, its letters (a) to (h), and what is honest to add."""
_SELF_HOST = "selfhost-bots"
_NO_MEASURE = frozenset({Claim.SELF_HOST})
"""What nobody does for the first party."""


@dataclass(frozen=True, slots=True)
class Terms:
    """One agreement: who, on which day, on which platform, in which language."""

    party: Party
    day: date
    language: str
    settings: Settings
    release: Release | None


def edition() -> str:
    """Of the words, and of the software whose declaration they quote: ``1, clawmates 0.1.0``."""
    return f"{WORDS}, clawmates {version('clawmates')}"


def missing(settings: Settings) -> tuple[str, ...]:
    """What the operator must have said first: names of keys in ``[control]``."""
    return tuple(name for name in ("controller", "hosting") if not getattr(settings.control, name).strip())


def agreement(terms: Terms) -> Document:
    """The whole of it. The configuration must say who operates the platform: see :func:`missing`."""
    t = words(terms.language)
    return Document(
        language=terms.language,
        title=t("agreement.paper.title"),
        day=terms.day.isoformat(),
        page_of=t("agreement.paper.page"),
        blocks=(
            *_parties(terms, t),
            *_clauses(terms, t),
            *_signatures(terms, t),
            *_data(terms, t),
            *_others(terms, t),
            *_measures(terms, t),
        ),
    )


def _parties(terms: Terms, t: Words) -> Iterator[Block]:
    control, party = terms.settings.control, terms.party
    yield _text(t("agreement.paper.law"))
    yield _text(f"{t('agreement.paper.edition')}: {edition()}\n{t('agreement.paper.day')}: {terms.day.isoformat()}")
    yield Block(kind=Kind.HEADING, text=t("agreement.paper.parties"))
    yield _text(f"{party.company}\n{party.address}\n{party.signer}\n{party.email}")
    yield _text(t(f"agreement.paper.role.{party.role.value}"))
    yield _text(f"{control.controller}\n{control.origin}")
    if control.representative:
        yield _text(f"{t('agreement.paper.representative')}: {control.representative}")
    yield _text(t("agreement.paper.operator"))


def _clauses(terms: Terms, t: Words) -> Iterator[Block]:
    span = inventory_words.length(BACKUPS).to(terms.language)
    for number, key in enumerate(CLAUSES, 1):
        yield Block(kind=Kind.HEADING, text=f"{number}. {t(f'agreement.clause.{key}.title')}")
        for said in t(f"agreement.clause.{key}.text", span=span, origin=terms.settings.control.origin).split("\n"):
            yield _text(said)
    if terms.party.role is Role.PROCESSOR:
        yield _text(t("agreement.paper.chain"))


def _signatures(terms: Terms, t: Words) -> Iterator[Block]:
    yield Block(kind=Kind.HEADING, text=t("agreement.paper.signatures"))
    yield _text(t("agreement.paper.signed", day=terms.day.isoformat()))
    rows = (
        (t("agreement.paper.for-you"), t("agreement.paper.for-us")),
        (f"{terms.party.company}\n{terms.party.signer}", terms.settings.control.controller),
        (t("agreement.paper.line"), t("agreement.paper.line")),
    )
    yield Block(kind=Kind.TABLE, rows=rows, widths=(1, 1))


def _data(terms: Terms, t: Words) -> Iterator[Block]:
    yield Block(kind=Kind.HEADING, text=t("agreement.annex.data"))
    yield _text(t("agreement.annex.data-text"))
    rows = [row_of(one, terms.language) for one in INVENTORY if one.about_a_person and one.id != _SELF_HOST]
    head = (t("stored.what"), t("stored.why"), t("stored.until"), t("stored.who"), t("stored.where"))
    told = ((one.what, one.why, one.end, one.who, f"{one.where}{', ' if one.form else ''}{one.form}") for one in rows)
    yield Block(kind=Kind.TABLE, rows=(head, *told), widths=(4, 4, 3, 3, 3))


def _others(terms: Terms, t: Words) -> Iterator[Block]:
    found = processors(terms.settings, terms.release)
    yield Block(kind=Kind.HEADING, text=t("agreement.annex.others"))
    yield _text(t("agreement.annex.others-text"))
    yield Block(kind=Kind.ITEM, text=f"{terms.settings.control.hosting}: {t('agreement.annex.hosting')}")
    for one in found:
        if not one.chosen:
            # Where the database is, is nobody's business but the operator's and an auditor's.
            name = t("processors.database") if one.part is Part.DATABASE else one.name
            yield Block(kind=Kind.ITEM, text=f"{name}: {t(f'processors.part.{one.part.value}')}")
    yield _text(t("agreement.annex.chosen-text"))
    for one in found:
        if one.chosen:
            where = t("bots.place.global") if one.region == "global" else one.region
            kept = one.kept(terms.language)
            parts = (f"{one.name} ({', '.join(one.hosts)})", t(f"processors.part.{one.part.value}"), where, kept)
            yield Block(kind=Kind.ITEM, text="; ".join(part for part in parts if part))


def _measures(terms: Terms, t: Words) -> Iterator[Block]:
    yield Block(kind=Kind.HEADING, text=t("agreement.annex.measures"))
    yield _text(t("agreement.annex.measures-text", origin=terms.settings.control.origin))
    facts = {
        "region": terms.settings.platform.region,
        "count": len(INVENTORY),
        "span": inventory_words.length(BACKUPS).to(terms.language),
    }
    for one in promises(terms.language):
        if one.id not in _NO_MEASURE:
            yield _text(one.meaning)
            yield Block(kind=Kind.ITEM, text=t(f"privacy.claim.{one.id}.kept", **facts))
            yield Block(kind=Kind.ITEM, text=f"{t('privacy.check')}: {', '.join(one.checks)}")


def _text(said: str) -> Block:
    return Block(kind=Kind.TEXT, text=said)

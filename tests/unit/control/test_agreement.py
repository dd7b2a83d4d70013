"""The data processing agreement: what it says, that it can be printed again, and that nothing typed is kept."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from html import unescape
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from pypdf import PdfReader
from sqlalchemy import select
from tests.support.catalogue import RELEASE
from tests.support.control import NOON, a_place, database_bytes, deeds, signed_in

from clawmates.base.settings import Control, Mode, Platform, Settings, Smtp
from clawmates.base.shape import encode_json
from clawmates.control.agreement import pages, party, press
from clawmates.control.agreement.document import LETTERS, Document, printable
from clawmates.control.agreement.party import Party, Role, Unfit
from clawmates.control.agreement.printing import PrintingError, printed
from clawmates.control.agreement.tables import Agreement
from clawmates.control.agreement.terms import CLAUSES, Terms, agreement, edition
from clawmates.control.promises.telling import promises
from clawmates.control.rooms import ROOMS
from clawmates.control.texts.catalogue import words
from clawmates.inventory.whole import INVENTORY

SETTINGS = Settings(
    platform=Platform(mode=Mode.HOSTED, region="eu-test"),
    control=Control(
        origin="https://localhost:8443",
        controller="Beispiel GmbH, Musterstraße 1, Frankfurt",
        hosting="Rechenzentrum AG, Frankfurt",
        smtp=Smtp(host="mail.example.net:465", sender="a@example.org"),
        database="postgresql://clawmates@db.internal.example:5432/clawmates",
    ),
)
NAMED = replace(SETTINGS, control=replace(SETTINGS.control, database=""))
FORM = {
    "company": "  Łódź  Größe & Söhne KG ",
    "address": "Canary Street 7\r\n\r\n90-001 Łódź",
    "signer": "Ada Canary, Geschäftsführerin",
    "role": "controller",
}
PARTY = party.read(FORM, "ada@example.org")
WRONG = pytest.mark.parametrize(
    ("field", "said", "unfit"),
    [
        ("company", " \n ", Unfit.EMPTY),
        ("company", "A" * 121, Unfit.TOO_LONG),
        ("company", "one\ntwo", Unfit.LINES),
        ("address", "1\n2\n3\n4\n5\n6\n7", Unfit.LINES),
        ("signer", "愛", Unfit.LETTERS),
        ("signer", "a\x00b", Unfit.LETTERS),
        ("role", "friend", Unfit.ROLE),
    ],
)


def terms(language: str) -> Document:
    assert isinstance(PARTY, Party)
    return agreement(Terms(PARTY, date(2026, 11, 30), language, SETTINGS, RELEASE))


def wanted(language: str) -> list[str]:
    """What must be found in it: both sides, the letters of article 28(3), the data, the others, the measures."""
    t = words(language)
    return [
        *("Łódź Größe & Söhne KG", "90-001 Łódź", "Ada Canary, Geschäftsführerin", "ada@example.org"),
        *(SETTINGS.control.controller, SETTINGS.control.hosting, "2026-11-30", edition()),
        *(t(f"agreement.clause.{key}.title") for key in CLAUSES),
        *(one.what.to(language) for one in INVENTORY if one.about_a_person and one.id != "selfhost-bots"),
        *(one.name for one in RELEASE.providers if one.hosts != ("ollama",)),
        *("mail.example.net", t("processors.database")),
        *(check for one in promises(language) if one.id != "self-host" for check in one.checks),
    ]


def squeezed(text: str) -> str:
    """Without blanks: cells of tables break words and lines."""
    return "".join(text.split())


@pytest.mark.no_database
async def test_the_paper_says_all_that_article_28_wants_and_is_the_same_when_printed_again() -> None:
    document = terms("en")
    paper = await printed(document)
    pdf = PdfReader(io.BytesIO(paper))
    assert str(pdf.root_object["/Lang"]) == "en"
    assert pdf.metadata is not None
    assert pdf.metadata.title == document.title
    text = squeezed(" ".join(page.extract_text() for page in pdf.pages))
    assert [one for one in wanted("en") if squeezed(one) not in text] == []
    assert "db.internal.example" not in text
    assert await printed(terms("en")) == paper


@pytest.mark.parametrize("language", ["en", "de"])
def test_it_says_the_same_in_both_languages_in_letters_that_the_fonts_have(language: str) -> None:
    document = terms(language)
    said = [text for block in document.blocks for text in (block.text, *(cell for row in block.rows for cell in row))]
    assert [one for one in said if not printable(one)] == []
    assert [one for one in wanted(language) if squeezed(one) not in squeezed(" ".join(said))] == []


@pytest.mark.no_database
async def test_a_document_that_cannot_be_printed_is_an_error_and_not_half_a_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(PrintingError):
        await printed(terms("en"))


async def not_really(wanted: Document) -> bytes:
    """Printing takes a second; what is kept of it does not depend on how it looks."""
    return b"%PDF-" + encode_json(wanted)


@pytest.mark.sqlite_alone
async def test_that_it_was_made_is_kept_and_nothing_that_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "printed", not_really)
    async with a_place(tmp_path, *ROOMS, settings=NAMED) as place, place.browser() as ada:
        await signed_in(place, ada)
        assert 'name="company"' in (await ada.get("/account/agreement")).text
        answers = [await ada.post("/account/agreement", data=FORM) for _ in range(2)]
        assert [one.headers["content-type"] for one in answers] == ["application/pdf"] * 2
        assert answers[0].headers["content-disposition"] == 'attachment; filename="clawmates-agreement-2026-11-30.pdf"'
        assert answers[0].content == answers[1].content
        digest = hashlib.sha256(answers[0].content).hexdigest()
        async with place.database.reading() as session:
            (row,) = await session.scalars(select(Agreement))
        assert (row.digest, row.version, row.language, row.made_at) == (digest, edition(), "en", NOON)
        for address in ("/account/agreement", "/account/data"):
            assert digest in (await ada.get(address)).text
        assert (await deeds(place)).count("agreement.made") == 2
        assert words("en")("activity.control.agreement.made") in (await ada.get("/activity")).text
        typed = [b"Canary Street", b"Ada Canary", "Söhne KG".encode()]
        kept = database_bytes(tmp_path)
        assert b"ada@example.org" in kept
        assert [one for one in typed if one in kept] == []
        # Seeded: a control that keeps whom it was for.
        monkeypatch.setattr(pages, "edition", lambda: FORM["signer"])
        await ada.post("/account/agreement", data=FORM | {"address": "elsewhere"})
        assert [one for one in typed if one in database_bytes(tmp_path)] == [b"Ada Canary"]


@pytest.mark.no_database
@pytest.mark.parametrize("language", ["en", "de"])
async def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_stays(language: str, tmp_path: Path) -> None:
    async with (
        a_place(tmp_path, *ROOMS, settings=NAMED) as place,
        place.browser(**{"Accept-Language": language}) as ada,
    ):
        await signed_in(place, ada)
        answer = await ada.post("/account/agreement", data=FORM | {"company": "愛 Inc", "role": "friend"})
        assert answer.status_code == 422
        for key in ("letters", "role"):
            assert words(language)(f"agreement.unfit.{key}") in unescape(answer.text)
        assert 'value="愛 Inc"' in answer.text


@pytest.mark.no_database
async def test_an_operator_who_has_not_said_who_they_are_is_told_the_remedy(tmp_path: Path) -> None:
    silent = replace(NAMED, control=Control(origin=NAMED.control.origin))
    async with a_place(tmp_path, *ROOMS, settings=silent) as place, place.browser() as ada:
        await signed_in(place, ada)
        for answer in (await ada.get("/account/agreement"), await ada.post("/account/agreement", data=FORM)):
            assert "fill in controller, hosting below [control] in clawmates.toml" in answer.text
            assert 'name="company"' not in answer.text


@pytest.mark.no_database
async def test_without_a_printer_there_is_no_agreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_wanted: Document) -> bytes:
        raise PrintingError

    monkeypatch.setattr(pages, "printed", away)
    async with a_place(tmp_path, *ROOMS, settings=NAMED) as place, place.browser() as ada:
        await signed_in(place, ada)
        assert [(await ada.post("/account/agreement", data=FORM)).status_code for _ in range(11)] == [503] * 10 + [429]
        assert "agreement.made" not in await deeds(place)


@WRONG
def test_a_party_is_read_strictly(field: str, said: str, unfit: Unfit) -> None:
    assert party.read(FORM | {field: said}, "ada@example.org") == {field: unfit}


def test_a_party_is_read_as_it_is_printed() -> None:
    wanted = Party(
        company="Łódź Größe & Söhne KG",
        address="Canary Street 7\n90-001 Łódź",
        signer="Ada Canary, Geschäftsführerin",
        role=Role.CONTROLLER,
        email="ada@example.org",
    )
    assert wanted == PARTY
    nothing: Mapping[str, str] = {}
    assert set(json.loads(json.dumps(party.read(nothing, "")))) == {"company", "address", "signer", "role"}


def test_the_fonts_have_every_letter_that_is_let_through() -> None:
    wanted = {code for low, high in LETTERS for code in range(low, high + 1)}
    for font in press.FONTS.glob("*.ttf"):
        assert wanted - TTFont(font).getBestCmap().keys() == set(), font.name

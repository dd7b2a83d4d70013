"""The pages of promises say what the one list of claims says, all of it, and name checks that are there."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import click
import httpx2
import pytest
from tests.support.control import Place, a_place

from clawmates.cli.main import clawmates
from clawmates.control.accounts import familiar, links, sessions, way
from clawmates.control.pages.render import LANGUAGE_COOKIE
from clawmates.control.promises.questions import QUESTIONS
from clawmates.control.promises.telling import promises
from clawmates.control.rooms import ROOMS
from clawmates.control.texts.catalogue import words
from clawmates.inventory.claims import Claim, known
from clawmates.proofs.mission import exists

pytestmark = pytest.mark.no_database
ROOT = Path(__file__).resolve().parents[3]
CONTROL = ROOT / "src/clawmates/control"
LANGUAGES = pytest.mark.parametrize("language", ["en", "de"])


async def read(folder: Path, address: str, language: str) -> str:
    async with a_place(folder, *ROOMS) as place, place.browser(**{"Accept-Language": language}) as nobody:
        answer = await nobody.get(address)
    assert answer.status_code == 200
    return unescape(answer.text)


def there(check: str) -> bool:
    """Whether a command can be typed: a test file, ``make`` and a proof as the list knows them, else of our own."""
    if check.startswith(("pytest ", "make ", "clawmates prove")):
        return exists(check.removeprefix("pytest "), ROOT)
    command: click.Command | None = clawmates
    name, *rest = check.split()
    for part in rest:
        command = command.get_command(click.Context(command), part) if isinstance(command, click.Group) else None
    return name == "clawmates" and command is not None


@LANGUAGES
async def test_every_sentence_of_the_list_stands_on_the_page_with_its_checks(language: str, tmp_path: Path) -> None:
    text, texts = await read(tmp_path, "/privacy", language), words(language)
    table = known()
    quoted = re.findall(r"<blockquote>(.*?)</blockquote>", text)
    said = [one.says_de if language == "de" else one.reads or one.says for one in table.statements]
    assert quoted == said
    entries = text.split("<blockquote>")[1:]
    for entry, one in zip(entries, table.statements, strict=True):
        honestly = one.honestly_de if language == "de" else one.honestly
        assert honestly in entry
        assert all(f">{check}</code>" in entry for check in one.checks)
        state = "beyond" if one.beyond else "not-yet"
        if one.shown_by:
            state = "partly" if one.beyond or one.not_yet is not None else "wholly"
        assert texts(f"privacy.shown.{state}") in entry
    assert re.findall(r'<section class="card promise" id="([a-z0-9-]+)"', text) == list(Claim)
    for promise in promises(language):
        assert promise.checks
        assert all(f">{check}</code>" in text for check in promise.checks)
    assert "eu-test" in text


@LANGUAGES
async def test_every_question_stands_on_the_page_with_its_answer(language: str, tmp_path: Path) -> None:
    text, texts = await read(tmp_path, "/faq", language), words(language)
    for one in QUESTIONS:
        assert texts(f"faq.ask.{one.key}.question") in text
        assert texts(f"faq.ask.{one.key}.answer") in text
        assert all(f">{check}</code>" in text for check in one.checks)


async def test_the_answer_about_cookies_counts_all_that_there_are(tmp_path: Path) -> None:
    """Each is set somewhere in control's source under a name; the answer has each with its age, in both languages."""
    found = {
        (path.stem, name)
        for path in CONTROL.rglob("*.py")
        for name in re.findall(r"\.set_cookie\(\s*([A-Z_]+),", path.read_text())
    }
    own, languages = ("sessions", "way", "familiar"), ("language", "settings", "entry")
    known_places = {(one, "COOKIE") for one in own} | {(one, "LANGUAGE_COOKIE") for one in languages}
    assert found == known_places
    ages = {
        sessions.COOKIE: ("30 days", "30 Tage"),
        way.COOKIE: ("15 minutes", "15 Minuten"),
        familiar.COOKIE: ("a year", "ein Jahr"),
        LANGUAGE_COOKIE: ("a year", "ein Jahr"),
    }
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        seen = {}
        for answer in (
            await browser.get("/account"),
            await browser.post("/language", data={"language": "en", "back": "/"}),
            await entered(place, browser),
        ):
            for line in answer.headers.get_list("set-cookie"):
                if age := re.search(r"Max-Age=([1-9]\d*)", line):
                    seen[line.partition("=")[0]] = int(age[1])
    assert seen == {
        sessions.COOKIE: 30 * 86_400,
        way.COOKIE: 15 * 60,
        familiar.COOKIE: 365 * 86_400,
        LANGUAGE_COOKIE: 365 * 86_400,
    }
    for number, (language, many) in enumerate((("en", "Four cookies"), ("de", "Vier Cookies"))):
        told = words(language)("faq.ask.cookies.answer")
        assert told.startswith(many)
        expected = sorted(one[number] for one in ages.values())
        assert sorted(re.findall("|".join(sorted(set(expected))), told)) == expected


async def entered(place: Place, browser: httpx2.AsyncClient) -> httpx2.Response:
    async with place.database.writing() as session:
        code = await links.make(session, place.context, links.Purpose.SIGN_IN, "ada@example.org")
    return await browser.post("/enter", data={"code": code})


def test_every_check_that_a_page_names_is_there() -> None:
    checks = {check for one in promises("en") for check in one.checks} | {one for q in QUESTIONS for one in q.checks}
    assert {check for check in checks if not there(check)} == set()
    assert not there("clawmates admin believe")
    assert not there("clawmates prove --claim coffee")

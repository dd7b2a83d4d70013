from __future__ import annotations

import asyncio
import logging
import os
import pty
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.control import Counted, StandingClock, a_place, database_bytes
from tests.support.mail import CODE, Box, Broken, Server, Trust, smtp, worker

from clawmates.base.settings import Control, Settings, Smtp
from clawmates.control.accounts.links import Purpose, address, read, shown
from clawmates.control.accounts.tables import Link
from clawmates.control.mail.choosing import post_of
from clawmates.control.mail.errands import Wanted, ask
from clawmates.control.mail.letters import Letter, letter
from clawmates.control.mail.post import Post, PostError, Terminal
from clawmates.control.outbox.tables import Errand
from clawmates.control.texts.catalogue import LANGUAGES, words

ADA = "canary-ada@example.org"
CANARY = "canary-7f3a"
PLAIN = "ABCDEFGHJK0123456789"


def a_letter() -> Letter:
    return letter(words("de"), Purpose.SIGN_IN, ADA, "https://bots.example", PLAIN)


def mailbox(server: Server, trust: Trust, **changed: object) -> Post:
    smtp = Smtp(host=f"localhost:{server.port}", sender="Our bots <bots@bots.example>", authority=str(trust.authority))
    settings = Settings(control=Control(origin="https://bots.example", smtp=replace(smtp, **changed)))  # type: ignore[arg-type]
    return post_of(settings, StandingClock(), Counted())


@pytest.mark.no_database
@pytest.mark.parametrize("starttls", [False, True])
async def test_a_mail_goes_over_tls_13_and_says_what_it_should(starttls: bool, tmp_path: Path) -> None:  # noqa: FBT001
    trust = Trust(tmp_path)
    async with smtp(trust, starttls=starttls) as server:
        await mailbox(server, trust, starttls=starttls).send(a_letter())
    assert server.versions == ["TLSv1.3"]
    assert server.taken[0].rcpt_tos == [ADA]
    assert server.taken[0].mail_from == "bots@bots.example"
    message = server.message()
    assert message.get_content_type() == "text/plain"
    assert message["subject"] == "Dein Link zu ClawMates"
    assert message["auto-submitted"] == "auto-generated"
    assert message["message-id"].endswith("@bots.example>")
    text = message.get_content().replace("\r\n", "\n")
    assert "https://bots.example/enter#ABCDE-FGHJK-01234-56789\n" in text
    assert "\nABCDE-FGHJK-01234-56789\n" in text
    assert text.count("https://") == 2 == text.count("https://bots.example/enter")


@pytest.mark.no_database
@pytest.mark.parametrize("starttls", [False, True])
async def test_a_server_of_tls_12_gets_nothing(starttls: bool, tmp_path: Path) -> None:  # noqa: FBT001
    trust = Trust(tmp_path)
    async with smtp(trust, starttls=starttls, newest=ssl.TLSVersion.TLSv1_2) as server:
        with pytest.raises(PostError, match="mail-unreachable"):
            await mailbox(server, trust, starttls=starttls).send(a_letter())
    assert not server.taken


@pytest.mark.no_database
async def test_the_weaker_context_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def weak(*, authority: str | None) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=authority)

    monkeypatch.setattr("clawmates.control.mail.smtp.client_context", weak)
    trust = Trust(tmp_path)
    async with smtp(trust, newest=ssl.TLSVersion.TLSv1_2) as server:
        await mailbox(server, trust).send(a_letter())
    assert server.versions == ["TLSv1.2"]


@pytest.mark.no_database
async def test_a_server_without_starttls_or_with_a_foreign_certificate_gets_nothing(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("ours", "other", "name")]
    for folder in folders:
        await asyncio.to_thread(folder.mkdir)
    ours, other, name = Trust(folders[0]), Trust(folders[1]), Trust(folders[2], "elsewhere.example")
    async with smtp(ours, plain=True) as plain, smtp(other) as foreign, smtp(name) as misnamed:
        for post in (
            mailbox(plain, ours, starttls=True),
            mailbox(plain, ours),
            mailbox(foreign, ours),
            mailbox(misnamed, name),
        ):
            with pytest.raises(PostError):
                await post.send(a_letter())
    assert not plain.taken + foreign.taken + misnamed.taken


@pytest.mark.no_database
async def test_the_password_is_read_for_every_letter_and_only_where_nobody_else_reads_it(tmp_path: Path) -> None:
    trust, file = Trust(tmp_path), tmp_path / "password"
    async with smtp(trust, starttls=True, bots="right") as server:
        post = mailbox(server, trust, starttls=True, user="bots", password_file=str(file))
        for content, mode, code in (
            ("", None, "password-file-missing"),
            ("right", 0o640, "password-file-open"),
            ("wrong", 0o600, "password-refused"),
        ):
            if mode is not None:
                file.write_text(content)
                file.chmod(mode)
            with pytest.raises(PostError, match=code):
                await post.send(a_letter())
        file.write_text("right\n")
        await post.send(a_letter())
    assert len(server.taken) == 1


@pytest.mark.no_database
@pytest.mark.parametrize(("said", "final"), [(f"550 {CANARY} {ADA}", True), (f"451 {CANARY} {ADA}", False)])
async def test_what_a_server_says_is_not_repeated(
    said: str,
    final: bool,  # noqa: FBT001
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trust = Trust(tmp_path)
    caplog.set_level(logging.DEBUG, logger="aiosmtplib")
    async with smtp(trust) as server:
        server.refuses = said
        with pytest.raises(PostError) as refused:
            await mailbox(server, trust).send(a_letter())
    assert (refused.value.code, refused.value.final) == ("address-refused", final)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert ADA not in str(refused.value) + repr(a_letter()) + caplog.text


@pytest.mark.no_database
async def test_without_a_server_a_link_is_shown_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        await post_of(Settings(), StandingClock(), Counted(), terminal=theirs).send(a_letter())
        said = os.read(ours, 4096).decode()
        assert address("https://bots.example", PLAIN) in said
    finally:
        os.close(ours)
        os.close(theirs)
    log = tmp_path / "log"
    with log.open("wb") as file:
        for post in (Terminal(file.fileno()), Terminal(-1), post_of(Settings(), StandingClock(), Counted())):
            with pytest.raises(PostError, match="no-terminal"):
                await post.send(a_letter())
    assert log.read_bytes() == b""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("purpose", Purpose)
def test_every_mail_is_there_in_every_language(purpose: Purpose, language: str) -> None:
    found = letter(words(language), purpose, ADA, "https://bots.example", PLAIN)
    assert found.subject
    assert [one.replace("-", "") for one in CODE.findall(found.text)] == [PLAIN]
    assert "{" not in found.text


@pytest.mark.parametrize("typed", ["abcde-fghjk-oi234-56789", " ABCDE FGHJK 0L234 56789 ", "ABCDEFGHJK0123456789"])
def test_a_code_is_read_as_it_is_typed(typed: str) -> None:
    assert read(typed) == PLAIN
    assert shown(read(typed)) == "ABCDE-FGHJK-01234-56789"


@pytest.mark.parametrize("typed", ["", "ABCDE", "U" * 20, PLAIN + "0", "é" * 20, "A" * 100_000])
def test_what_is_no_code_is_none(typed: str) -> None:
    assert read(typed) == ""


@pytest.mark.raw
async def test_the_code_is_born_when_the_mail_leaves_and_is_never_in_the_database(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        # A code that nothing else is like: PostgreSQL has files that are called 000000010000000000000001.
        place.context = replace(place.context, random=os.urandom)
        async with place.database.writing() as database:
            await ask(database, place.context, Wanted(purpose=Purpose.SIGN_IN, email=ADA, language="en"))
        async with place.database.reading() as database:
            assert not (await database.scalars(select(Link))).all()
        assert ADA.encode() in database_bytes(tmp_path)
        box = Box()
        await worker(place, box).round()
        code = box.code()
        async with place.database.reading() as database:
            assert not (await database.scalars(select(Errand))).all()
            kept = (await database.scalars(select(Link))).one()
        assert (kept.email, kept.purpose) == (ADA, "sign-in")
        for form in (code, read(code)):
            assert form.encode() not in database_bytes(tmp_path)


async def test_a_mail_that_does_not_get_out_leaves_no_link_and_is_tried_for_a_quarter_of_an_hour(
    tmp_path: Path,
) -> None:
    async with a_place(tmp_path) as place:

        async def rows() -> tuple[int, int, str]:
            async with place.database.reading() as database:
                errands = (await database.scalars(select(Errand))).all()
                return (
                    len(errands),
                    len((await database.scalars(select(Link))).all()),
                    "".join(e.trouble for e in errands),
                )

        async def want() -> None:
            async with place.database.writing() as database:
                await ask(database, place.context, Wanted(purpose=Purpose.SIGN_IN, email=ADA, language="en"))

        await want()
        later = worker(place, Broken("mail-unreachable", final=False))
        await later.round()
        assert await rows() == (1, 0, "mail-unreachable")
        place.clock.forward(minutes=14)
        await later.round()
        assert (await rows())[0] == 1
        place.clock.forward(minutes=1)
        await later.round()
        assert await rows() == (0, 0, "")
        await want()
        await worker(place, Broken("address-refused", final=True)).round()
        assert await rows() == (0, 0, "")

"""Control's chain: written with what it records, by replicas side by side, and changed by nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.control import NOON, Place, a_place

from clawmates.base.paths import State
from clawmates.control.accounts.tables import Account
from clawmates.control.audit import chain
from clawmates.control.audit.chain import note, pseudonym, pseudonym_of
from clawmates.control.audit.tables import AuditEntry, AuditWitness
from clawmates.control.store.database import open_database
from clawmates.wire.audit import EMPTY, GENESIS, KEPT_WORDS, Entry, chained
from clawmates.wire.deeds import DETAILS, Deed, Look, Looked, OfNode, Plain, Revoked, detail_of
from clawmates.wire.vault_deeds import OfBot

WHO = "0123456789abcdef" * 2


async def all_of(place: Place) -> tuple[Entry, ...]:
    async with place.database.reading() as session:
        return await chain.entries(session, 0)


def test_the_grammar_has_one_form_for_each_deed_and_none_for_a_text() -> None:
    assert set(DETAILS) == set(Deed)
    assert {deed.value.split(".")[0] for deed in Deed} == {"control"}
    assert max(len(deed.value) for deed in Deed) <= 40
    assert detail_of("control.session.revoked", '{"sessions":2}') == Revoked(sessions=2)
    for tag, detail in (
        ("control.bot.renamed", "{}"),
        ("control.session.revoked", '{"sessions": 2}'),
        ("control.account.opened", '{"email":"ada@example.org"}'),
        ("control.bot.created", '{"bot":"Ada Lovelace"}'),
        ("vault.bot.frozen", '{"bot":"b-1"}'),
    ):
        with pytest.raises(ValueError, match=r"."):
            detail_of(tag, detail)


async def test_entries_follow_from_each_other_and_come_with_what_they_record(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        async with place.database.writing() as session:
            session.add(account())
            note(session, NOON, Deed.ACCOUNT_OPENED, Plain(), WHO)
            note(session, NOON, Deed.NODE_JOINED, OfNode(node="node-1"))
        with pytest.raises(IntegrityError):
            await twice(place)
        async with place.database.writing() as session:
            note(session, NOON, Deed.ADMIN_LOOKED, Looked(what=Look.BOTS))
            assert await chain.head(session) != EMPTY
        first, second, third = await all_of(place)
        assert (first.subject, first.tag, first.detail) == (WHO, "control.account.opened", "{}")
        assert first.hash == chained(GENESIS, 1, first.at, first.tag, "{}", WHO).hex()
        assert first.hash != chained(GENESIS, 1, first.at, first.tag, "{}").hex()
        assert third.hash == chained(bytes.fromhex(second.hash), 3, third.at, third.tag, third.detail).hex()
        async with place.database.reading() as session:
            assert (await chain.head(session)).number == 3
            assert await chain.head_at(session, 0) == EMPTY
            assert await chain.head_at(session, 4) is None
            assert (await chain.entries(session, 2)) == (third,)


def account() -> Account:
    return Account(
        id="a-1", email="ada@example.org", language="en", plan="free", created_at=NOON, pseudonym_key=b"k" * 32
    )


async def twice(place: Place) -> None:
    async with place.database.writing() as session:
        note(session, NOON, Deed.ACCOUNT_OPENED, Plain(), WHO)
        session.add(account())


async def test_what_cannot_be_written_down_does_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_session: AsyncSession) -> None:
        raise OSError("no space left")

    async with a_place(tmp_path) as place:
        with monkeypatch.context() as patched:
            patched.setattr(chain, "head", full)
            with pytest.raises(OSError, match="no space"):
                await twice(place)
        async with place.database.reading() as session:
            assert (await session.scalars(select(Account))).all() == []


async def test_only_a_transaction_that_writes_can_note_and_only_what_is_in_the_grammar(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        async with place.database.reading() as session:
            with pytest.raises(LookupError):
                note(session, NOON, Deed.ACCOUNT_OPENED, Plain(), WHO)
        async with place.database.writing() as session:
            with pytest.raises(ValueError, match="another detail"):
                note(session, NOON, Deed.BOT_CREATED, Plain(), WHO)
            with pytest.raises(ValueError, match="pseudonym"):
                note(session, NOON, Deed.ACCOUNT_OPENED, Plain(), "ada@example.org")
        assert await all_of(place) == ()


async def test_replicas_side_by_side_write_one_chain(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        # Another process would open the database just so.
        other = open_database(place.context.settings.control, State(tmp_path))

        async def write(number: int) -> None:
            database = (place.database, other)[number % 2]
            async with database.writing() as session:
                note(session, NOON, Deed.BOT_CREATED, OfBot(bot=f"b-{number}"), WHO)
                # Whatever else a request does happens before the chain is locked.
                await asyncio.sleep(0)
                note(session, NOON, Deed.BOT_EDITED, OfBot(bot=f"b-{number}"), WHO)

        try:
            await asyncio.gather(*(write(number) for number in range(12)))
        finally:
            await other.close()
        found = await all_of(place)
        assert [entry.number for entry in found] == list(range(1, 25))
        previous = GENESIS
        for entry in found:
            previous = chained(previous, entry.number, entry.at, entry.tag, entry.detail, entry.subject)
            assert entry.hash == previous.hex()
        pairs = zip(found[::2], found[1::2], strict=True)
        assert all(one.detail == two.detail for one, two in pairs)


@pytest.mark.parametrize(
    "hand",
    [
        "UPDATE audit_entries SET at = at",
        "UPDATE audit_entries SET subject = ''",
        "DELETE FROM audit_entries",
        "UPDATE audit_witnesses SET body = ''",
        "DELETE FROM audit_witnesses",
    ],
)
async def test_the_database_itself_refuses_to_change_the_chain(tmp_path: Path, hand: str) -> None:
    async with a_place(tmp_path) as place:
        async with place.database.writing() as session:
            note(session, NOON, Deed.ACCOUNT_OPENED, Plain(), WHO)
            session.add(AuditWitness(chain="vault", number=1, at="", body="1"))
        with pytest.raises(DBAPIError, match="only added to"):
            await execute(place, hand)
        assert len(await all_of(place)) == 1


async def execute(place: Place, statement: str) -> None:
    async with place.database.writing() as session:
        await session.execute(text(statement))


async def test_of_the_countersignatures_the_oldest_may_go(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place:
        async with place.database.writing() as session:
            rows = [{"chain": "vault", "number": n, "at": "", "body": ""} for n in (1, KEPT_WORDS + 1)]
            await session.execute(insert(AuditWitness), rows)
            await session.execute(delete(AuditWitness).where(AuditWitness.number == 1))
        with pytest.raises(DBAPIError, match="only added to"):
            await execute(place, "DELETE FROM audit_witnesses")


async def test_a_pseudonym_is_kept_by_its_key_and_by_nothing_else(tmp_path: Path) -> None:
    assert pseudonym("a-1", b"k" * 32) != pseudonym("a-1", b"l" * 32)
    assert pseudonym("a-1", b"k" * 32) != pseudonym("a-2", b"k" * 32)
    async with a_place(tmp_path) as place, place.database.writing() as session:
        session.add(account())
        await session.flush()
        assert await pseudonym_of(session, "a-1") == pseudonym("a-1", b"k" * 32)
        await session.execute(delete(Account))
        assert await pseudonym_of(session, "a-1") == ""
        assert (await session.scalars(select(AuditEntry))).all() == []

"""What comes back to an owner, and what a mate may keep."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.unit.vault.conftest import Events, FakeClock, House

from clawmates.base.secret import Secret
from clawmates.vault import sessions as sessions_module
from clawmates.vault.service import Vault
from clawmates.vault.store import RefusedError, Store
from clawmates.wire.documents import ReadBack, SealedDocument
from clawmates.wire.names import ItemName
from clawmates.wire.reading import Reader, ReadingError
from clawmates.wire.vault import MAX_ITEM_BYTES, Assignment, Redemption, SessionItem, TicketRequest, VaultRefusal

PROMPT, PEOPLE, KEY, TOKEN = ItemName.PROMPT, ItemName.PEOPLE, ItemName.PROVIDER_KEY, ItemName.CHANNEL_TOKEN
INGRESS = ItemName.INGRESS_KEY
TEXT = "speak like a pirate, ünïcode"


@pytest.fixture
def bot(house: House) -> str:
    house.assign("b1")
    house.put("b1", PROMPT, 1, "old")
    house.put("b1", PROMPT, 2, TEXT)
    house.put("b1", KEY, 1, "sk-one")
    house.put("b1", TOKEN, 1, "424242:AA")
    return "b1"


def reader(name: ItemName = PROMPT, bot: str = "b1", tenant: str = "acme", region: str = "local") -> Reader:
    return Reader(region=region, tenant=tenant, bot=bot, name=name)


async def test_the_newest_version_comes_back_to_the_key_that_asked(vault: Vault, bot: str, events: Events) -> None:
    mine = reader()
    document = await vault.read_back(bot, PROMPT, mine.request)
    assert document.version == 2
    assert mine.open(document).reveal() == TEXT
    assert TEXT.encode() not in b64decode(document.sealed)
    assert events.seen == [("document-read", bot)]
    (entry,) = (await vault.audit.entries(0)).entries
    assert (entry.tag, entry.detail) == ("vault.document.read", '{"bot":"b1","item":"prompt","version":2}')


@pytest.mark.parametrize("other", [{"bot": "b2"}, {"tenant": "self"}, {"region": "eu"}, {"name": PEOPLE}])
async def test_what_was_sealed_for_one_reading_opens_for_no_other(
    vault: Vault, bot: str, other: dict[str, str]
) -> None:
    mine = reader()
    document = await vault.read_back(bot, PROMPT, mine.request)
    for wrong in (reader(), replace(mine, **other)):  # type: ignore[arg-type]
        with pytest.raises(ReadingError):
            wrong.open(document)
    for bad in (replace(document, version=1), replace(document, sealed="!"), SealedDocument(version=2, sealed="")):
        with pytest.raises(ReadingError):
            mine.open(bad)


@pytest.mark.parametrize("name", [KEY, TOKEN, INGRESS])
async def test_credentials_never_come_back(
    vault: Vault, house: House, bot: str, name: ItemName, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name is INGRESS:
        house.store.keep_born(sessions_module.Holder(bot, "node-1"), INGRESS, 1, "-----KEY", house.clock.now())
    mine = reader(name)
    with pytest.raises(RefusedError, match="not-allowed"):
        await vault.read_back(bot, name, mine.request)
    monkeypatch.setattr(ItemName, "is_document", True)  # the seeded defect
    assert mine.open(await vault.read_back(bot, name, mine.request)).reveal() in {"sk-one", "424242:AA", "-----KEY"}


async def test_what_is_not_there_is_not_read(vault: Vault, bot: str) -> None:
    with pytest.raises(RefusedError, match="unknown-item"):
        await vault.read_back(bot, PEOPLE, reader().request)
    with pytest.raises(RefusedError, match="unknown-bot"):
        await vault.read_back("b9", PROMPT, reader().request)


@pytest.mark.parametrize("public", ["", "!", b64encode(b"short").decode(), b64encode(bytes(32)).decode()])
async def test_a_key_that_is_none_gets_nothing(vault: Vault, bot: str, public: str) -> None:
    with pytest.raises(ValueError, match="not a reader's key"):
        await vault.read_back(bot, PROMPT, ReadBack(public=public))


def test_every_reader_has_a_key_of_its_own_and_does_not_show_it() -> None:
    one, two = reader(), reader()
    assert one.request != two.request
    assert isinstance(one._private, X25519PrivateKey)
    assert "_private" not in repr(one)


async def redeem(vault: Vault, generation: int = 1, *, session: bool = True) -> Secret[str] | None:
    ticket = await vault.ticket("node-1", TicketRequest(bot="b1", generation=generation, items={KEY: 1}))
    return (await vault.redeem(Redemption(bot="b1", ticket=ticket.ticket, session=session))).session


def item(session: Secret[str] | None, version: int = 1, value: str = "people") -> SessionItem:
    assert session is not None
    return SessionItem(bot="b1", session=session, version=version, value=Secret(value))


async def refusal(vault: Vault, name: ItemName, given: SessionItem) -> VaultRefusal:
    with pytest.raises(RefusedError) as caught:
        await vault.put_in_session(name, given)
    return caught.value.refusal


async def test_a_session_is_given_to_who_asks_and_keeps_what_was_born(
    vault: Vault, house: House, bot: str, events: Events
) -> None:
    assert await redeem(vault, session=False) is None
    session = await redeem(vault)
    await vault.put_in_session(PEOPLE, item(session))
    await vault.put_in_session(INGRESS, item(session, value="-----KEY"))
    assert house.open(bot, (PEOPLE, 1), (INGRESS, 1)) == ["people", "-----KEY"]
    assert not any(b"people-of" in raw or b"-----KEY" in raw for raw in house.raw().values())
    assert events.seen == [("item-kept", bot)] * 2
    house.reopen()
    assert house.open(bot, (PEOPLE, 1)) == ["people"]


async def test_versions_go_up_by_one_and_the_same_again_is_no_error(vault: Vault, house: House, bot: str) -> None:
    session = await redeem(vault)
    for version in (1, 2, 3):
        for _ in range(2):
            await vault.put_in_session(PEOPLE, item(session, version, f"people-{version}"))
    assert house.store.records.versions(bot, PEOPLE) == (2, 3)
    for version, value in ((1, "people-1"), (2, "people-2"), (3, "other"), (5, "people")):
        assert await refusal(vault, PEOPLE, item(session, version, value)) is VaultRefusal.VERSION_EXISTS
    assert len((await vault.audit.entries(0)).entries) == 4


async def test_what_is_too_large_is_not_kept(vault: Vault, bot: str) -> None:
    session = await redeem(vault)
    assert await refusal(vault, PEOPLE, item(session, 1, "ü" * (MAX_ITEM_BYTES // 2) + "x")) is VaultRefusal.TOO_LARGE
    await vault.put_in_session(PEOPLE, item(session, 1, "ü" * (MAX_ITEM_BYTES // 2)))


@pytest.mark.parametrize("name", [KEY, TOKEN, PROMPT])
async def test_a_session_puts_no_other_name(
    vault: Vault, house: House, bot: str, name: ItemName, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, before = await redeem(vault), house.store.records.versions(bot, name)
    assert await refusal(vault, name, item(session, before[-1] + 1)) is VaultRefusal.NOT_ALLOWED
    monkeypatch.setattr(sessions_module, "BORN_INSIDE", frozenset(ItemName))  # the seeded defect
    await vault.put_in_session(name, item(session, before[-1] + 1))


async def test_a_session_dies_with_freeze_move_newer_life_and_destruction(
    vault: Vault, house: House, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def freeze() -> None:
        ticket = await vault.ticket("node-1", TicketRequest(bot=bot, generation=1, items={KEY: 1}))
        shown = Redemption(bot=bot, ticket=ticket.ticket)
        await vault.redeem(shown)
        with pytest.raises(RefusedError):
            await vault.redeem(shown)
        await vault.unfreeze(bot)

    async def move() -> None:
        await vault.assign(bot, Assignment(tenant="acme", node="node-2"))
        await vault.assign(bot, Assignment(tenant="acme", node="node-1"))

    async def newer() -> None:
        await vault.ticket("node-1", TicketRequest(bot=bot, generation=2, items={KEY: 1}))

    async def destroy() -> None:
        await vault.destroy(bot)
        house.assign(bot)
        house.put(bot, KEY, 1, "sk-one")

    for end in (freeze, move, newer, destroy):
        generation = 3 if end is destroy else 1
        session = await redeem(vault, generation)
        await end()
        assert await refusal(vault, PEOPLE, item(session)) is VaultRefusal.SESSION_UNKNOWN
    monkeypatch.setattr(sessions_module.SessionBook, "end", lambda _self, _bot: None)  # the seeded defect
    for end in (freeze, move, destroy):
        session = await redeem(vault, 4)
        await end()
        newest = house.store.records.versions(bot, PEOPLE)
        await vault.put_in_session(PEOPLE, item(session, newest[-1] + 1 if newest else 1))


async def test_a_freeze_or_the_leases_end_behind_the_books_back_is_seen_inside(
    vault: Vault, house: House, bot: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await redeem(vault)
    house.store.freeze(bot, frozen=True)
    assert await refusal(vault, PEOPLE, item(session)) is VaultRefusal.FROZEN
    house.store.freeze(bot, frozen=False)
    house.assign(bot, node="node-2")
    assert await refusal(vault, PEOPLE, item(session)) is VaultRefusal.NOT_ASSIGNED
    await vault.assign(bot, Assignment(tenant="acme", node="node-1", lease_seconds=60))
    session = await redeem(vault)
    clock.pass_(60)
    assert await refusal(vault, PEOPLE, item(session)) is VaultRefusal.LEASE_ENDED
    monkeypatch.setattr(Store, "check", lambda *_: None)  # the seeded defect
    await vault.put_in_session(PEOPLE, item(session))


async def test_a_session_dies_with_the_vault(
    vault: Vault, house: House, bot: str, clock: FakeClock, events: Events
) -> None:
    session = await redeem(vault)
    another = Vault(house.store, region="local", clock=clock, random=bytes, events=events)
    assert await refusal(another, PEOPLE, item(session)) is VaultRefusal.SESSION_UNKNOWN


async def test_a_ticket_for_what_a_mate_keeps_opens_the_newest_and_for_all_else_exactly_what_it_names(
    vault: Vault, house: House, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put(bot, KEY, 2, "sk-two")
    session = await redeem(vault)
    for version in (1, 2, 3):
        await vault.put_in_session(PEOPLE, item(session, version, f"people-{version}"))
    assert house.open(bot, (PEOPLE, 1), (KEY, 1)) == ["people-3", "sk-one"]
    assert house.open(bot, (PEOPLE, 3), (KEY, 2)) == ["people-3", "sk-two"]
    with pytest.raises(RefusedError, match="unknown-item"):
        house.open(bot, (PEOPLE, 4))
    with pytest.raises(RefusedError, match="unknown-item"):
        house.open(bot, (KEY, 3))
    house.put(bot, KEY, 3, "sk-three")
    with pytest.raises(RefusedError, match="unknown-item"):
        house.open(bot, (KEY, 1))
    monkeypatch.setattr(ItemName, "is_born_inside", True)  # the seeded defect
    assert house.open(bot, (KEY, 1)) == ["sk-three"]


async def test_what_was_kept_after_the_ticket_was_given_is_in_the_release(vault: Vault, house: House, bot: str) -> None:
    session = await redeem(vault)
    await vault.put_in_session(PEOPLE, item(session, 1, "people-1"))
    ticket = await vault.ticket("node-1", TicketRequest(bot=bot, generation=1, items={PEOPLE: 1}))
    await vault.put_in_session(PEOPLE, item(session, 2, "people-2"))
    (opened,) = (await vault.redeem(Redemption(bot=bot, ticket=ticket.ticket))).items
    assert (opened.version, opened.value.reveal()) == (2, "people-2")


async def test_the_owners_version_and_the_mates_never_take_one_number_twice(
    vault: Vault, house: House, bot: str
) -> None:
    session = await redeem(vault)
    await vault.put_in_session(PEOPLE, item(session, 1, "by the mate"))
    with pytest.raises(RefusedError, match="version-exists"):
        house.put(bot, PEOPLE, 1, "by its owner")
    house.put(bot, PEOPLE, 2, "by its owner")
    assert await refusal(vault, PEOPLE, item(session, 2, "by the mate")) is VaultRefusal.VERSION_EXISTS
    assert house.open(bot, (PEOPLE, 1)) == ["by its owner"]

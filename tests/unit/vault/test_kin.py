"""What containers of one bot know each other by: the same for all of them, nobody else's, and gone with the bot."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from clawmates.base.secret import Secret
from clawmates.base.shape import encode_json
from clawmates.vault.envelope import kin_of
from clawmates.vault.tickets import Grant
from clawmates.wire.names import ItemName
from clawmates.wire.upkeep import RotationRequest
from clawmates.wire.vault import Redemption, Release, TicketRequest
from clawmates.wire.vault_deeds import KeyKind

if TYPE_CHECKING:
    from tests.unit.vault.conftest import Events, House

    from clawmates.vault.service import Vault

KEY, TOKEN = ItemName.PROVIDER_KEY, ItemName.CHANNEL_TOKEN


@pytest.fixture
def lived_in(house: House) -> House:
    for bot in ("b1", "b2"):
        house.assign(bot)
        house.put(bot, TOKEN, 1, "123456:the very same token")
        house.put(bot, KEY, 1, "sk-one")
    return house


def kin(house: House, bot: str = "b1", generation: int = 1, *items: tuple[ItemName, int]) -> str:
    found = house.store.kin(Grant(bot, "node-1", generation, items or ((TOKEN, 1),)))
    return found.reveal() if found is not None else ""


def test_every_life_of_a_bot_has_the_same_also_after_a_restart_and_rotations(lived_in: House) -> None:
    before = kin(lived_in)
    assert len(bytes.fromhex(before)) == 32
    assert kin(lived_in, "b1", 7, (TOKEN, 1), (KEY, 1)) == before
    lived_in.reopen()
    lived_in.store.begin_rotation(RotationRequest(kind=KeyKind.TENANT, tenant="acme"), lived_in.clock.now())
    lived_in.store.begin_rotation(RotationRequest(kind=KeyKind.INTAKE), lived_in.clock.now())
    lived_in.work()
    assert kin(lived_in) == before


def test_no_other_bot_has_it_not_even_with_the_same_token(lived_in: House) -> None:
    assert kin(lived_in, "b1") != kin(lived_in, "b2")


def test_another_token_is_another_kin(lived_in: House) -> None:
    before = kin(lived_in)
    lived_in.put("b1", TOKEN, 2, "123456:the very same token")
    assert kin(lived_in, "b1", 1, (TOKEN, 2)) != before


def test_a_bot_without_a_channel_token_has_none(lived_in: House) -> None:
    assert kin(lived_in, "b1", 1, (KEY, 1)) == ""
    assert kin(lived_in, "b1", 1, (TOKEN, 9)) == ""


def test_it_is_gone_with_the_bot_for_good(lived_in: House) -> None:
    before = kin(lived_in)
    lived_in.destroy("b1")
    lived_in.assign("b1")
    lived_in.put("b1", TOKEN, 1, "123456:the very same token")
    assert kin(lived_in) != before
    assert not [name for name, raw in lived_in.raw().items() if before.encode() in raw or bytes.fromhex(before) in raw]


def test_a_record_whose_key_was_destroyed_has_none(lived_in: House) -> None:
    lived_in.store.keys.destroy("b1", (TOKEN.value, 1))
    assert kin(lived_in) == ""


def test_it_is_bound_to_what_it_is_for_and_says_nothing_of_the_key() -> None:
    key = Secret(os.urandom(32))
    assert kin_of(key, b"one") == kin_of(key, b"one") != kin_of(key, b"other")
    assert key.reveal().hex() not in kin_of(key, b"one").reveal()


async def test_only_who_asks_is_told_and_nobody_is_told_in_a_log(
    vault: Vault, lived_in: House, events: Events, capfd: pytest.CaptureFixture[str]
) -> None:
    async def released(*, asked: bool) -> Release:
        ticket = await vault.ticket("node-1", TicketRequest(bot="b1", generation=1, items={TOKEN: 1}))
        return await vault.redeem(Redemption(bot="b1", ticket=ticket.ticket, kin=asked))

    plain, told = await released(asked=False), await released(asked=True)
    assert plain.kin is None
    assert "kin" not in json.loads(encode_json(plain.plain())), "a mate of before this was built would refuse it"
    assert told.kin is not None
    assert told.kin.reveal() == kin(lived_in)
    assert json.loads(encode_json(told.plain()))["kin"] == kin(lived_in)
    assert kin(lived_in) not in repr(told) + repr(events.seen) + "".join(capfd.readouterr())
    asked = Redemption(bot="b1", ticket=Secret("t"), kin=True)
    assert asked.plain() == {"bot": "b1", "ticket": "t", "kin": True}

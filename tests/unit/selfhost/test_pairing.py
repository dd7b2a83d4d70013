from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawmates.base.paths import State
from clawmates.selfhost import bots, people
from clawmates.selfhost.draft import Draft
from clawmates.selfhost.pairing import PairingError, issue
from clawmates.selfhost.people import PeopleError
from clawmates.wire import pairing
from clawmates.wire.desired import Access, BotSpec
from clawmates.wire.names import ChannelKind, ItemName

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
SPEC = BotSpec(id="home", tenant="self", channel=ChannelKind.TELEGRAM, provider="openai", model="m1", items={})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "ROUNDS", 10)


def test_a_bot_is_as_strict_as_can_be_unless_somebody_said_otherwise() -> None:
    assert SPEC.access is Access.PAIRED


def test_a_code_opens_what_was_written_and_is_not_in_it() -> None:
    spec, issued = issue(SPEC, NOW, username="home_bot")
    code = issued.code.reveal()
    (pending,) = spec.pairings
    assert pairing.find("home", pairing.read(issued.grouped), spec.pairings) == pending
    assert (issued.ends, pending.ends) == ("2026-11-28T11:00:00Z", "2026-11-28T11:00:00Z")
    assert issued.link.reveal() == f"https://t.me/home_bot?start={code}"
    assert code not in repr(spec)
    assert code not in repr(issued)
    assert issue(SPEC, NOW)[1].link.reveal() == ""


def test_codes_differ_and_so_do_their_salts() -> None:
    made = [issue(SPEC, NOW) for _ in range(50)]
    assert len({issued.code.reveal() for _spec, issued in made}) == 50
    assert len({spec.pairings[0].salt for spec, _issued in made}) == 50


def test_a_fourth_is_refused_until_one_is_used_voided_or_over() -> None:
    spec = SPEC
    for _ in range(3):
        spec, _issued = issue(spec, NOW)
    with pytest.raises(PairingError, match=r"3 codes of 'home' are pending.*--replace"):
        issue(spec, NOW)
    assert len(issue(spec, NOW, void_others=True)[0].pairings) == 1
    assert len(issue(spec, NOW, spent=[spec.pairings[0].salt])[0].pairings) == 3
    assert len(issue(spec, NOW + timedelta(hours=1))[0].pairings) == 1


def test_where_codes_let_nobody_in_none_is_made() -> None:
    with pytest.raises(PairingError, match="clawmates chat"):
        issue(replace(SPEC, channel=ChannelKind.TERMINAL), NOW)
    with pytest.raises(PairingError, match="--admit"):
        issue(replace(SPEC, access=Access.LIST), NOW)
    assert issue(replace(SPEC, access=Access.OPEN), NOW)[0].pairings


def test_codes_that_have_ended_are_dropped_at_every_write(tmp_path: Path) -> None:
    state, now = State(tmp_path), datetime.now(UTC)
    old, _issued = issue(SPEC, now - timedelta(hours=2))
    both, _issued = issue(replace(SPEC, id="work"), now)
    bots.put(state, old)
    bots.put(state, both)
    assert [len(bot.pairings) for bot in bots.read(state).bots] == [0, 1]


@pytest.mark.parametrize("bad", ["", "ada", "@ada", "-100", "1 2", "1" * 21, "0"])
def test_what_is_no_number_of_a_person_is_refused_and_not_repeated(bad: str) -> None:
    with pytest.raises(PeopleError) as error:
        people.check(["7", bad])
    assert not bad or bad not in str(error.value) or bad == "0"
    assert people.check([" 7\n", "8"]) == ("7", "8")


@pytest.mark.parametrize("channel", list(ChannelKind))
def test_a_list_of_people_goes_with_a_messenger(channel: ChannelKind) -> None:
    draft = Draft(name="home", channel=channel, provider="p", model="m", secrets={})
    assert draft.keeps(ItemName.PEOPLE) is (channel is not ChannelKind.TERMINAL)

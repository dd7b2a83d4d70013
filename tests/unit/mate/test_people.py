from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from clawmates.base.secret import Secret
from clawmates.mate.errors import BootError, MateError, StaleError
from clawmates.mate.people import LONGEST_PAUSE, Handed, Register
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName
from clawmates.wire.people import MOST_PEOPLE, People, PeopleFullError, dump, load
from clawmates.wire.vault import OpenItem


def opened(people: People, version: int) -> OpenItem:
    return OpenItem(name=ItemName.PEOPLE, version=version, hosts=(), value=dump(people))


@dataclass
class Vault:
    """Keeps exactly the next version, for one session at a time."""

    kept: list[People] = field(default_factory=list)
    knows: bool = True
    away: int = 0
    loses_answers: int = 0
    asked: int = 0
    rests: list[float] = field(default_factory=list)
    register: Register = field(init=False)

    def __post_init__(self) -> None:
        self.register = Register(self.put, self.renew, lambda: 1.0, sleep=self.sleep)

    async def put(self, version: int, text: Secret[str]) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise BootError(Code.VAULT_UNREACHABLE)
        if not self.knows or version not in {len(self.kept), len(self.kept) + 1}:
            raise StaleError(Code.TICKET_REFUSED)
        if version == len(self.kept):
            if self.kept[-1] != load(text):
                raise StaleError(Code.TICKET_REFUSED)
            return
        self.kept.append(load(text))
        if self.loses_answers:
            self.loses_answers -= 1
            raise BootError(Code.VAULT_UNREACHABLE)

    async def renew(self) -> None:
        if self.away:
            self.away -= 1
            raise BootError(Code.VAULT_UNREACHABLE)
        self.knows = True
        self.register.take(opened(self.kept[-1], len(self.kept)) if self.kept else None)

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def running(vault: Vault) -> AsyncIterator[Register]:
    task = asyncio.create_task(vault.register.run())
    try:
        async with asyncio.timeout(10):
            yield vault.register
    finally:
        task.cancel()
        await asyncio.wait([task])


def admit(register: Register, person: str) -> None:
    register.change(lambda people: people.admit(person))


async def test_who_is_admitted_is_in_at_once_and_soon_at_the_vault() -> None:
    vault = Vault()
    async with running(vault) as register:
        admit(register, "7")
        admit(register, "8")
        assert register.people.people == ("7", "8")
        await register.kept(5)
        assert (vault.kept, register.version) == ([People().admit("7", "8")], 1)
        admit(register, "9")
        await register.kept(5)
    assert (vault.kept[-1].people, register.version) == (("7", "8", "9"), 2)


async def test_nothing_to_keep_is_not_waited_for_and_nothing_is_asked() -> None:
    vault = Vault()
    async with running(vault) as register:
        await register.kept(5)
    assert vault.asked == 0


async def test_while_the_vault_is_away_a_person_is_in_and_the_put_is_tried_again_later_and_later() -> None:
    vault = Vault(away=12)
    async with running(vault) as register:
        admit(register, "7")
        await register.kept(0)
        assert register.people.owner == "7"
        assert vault.kept == []
        await register.kept(5)
    assert vault.kept == [People().admit("7")]
    assert vault.rests == sorted(vault.rests)
    assert (vault.rests[0], vault.rests[-1]) == (1.0, LONGEST_PAUSE)


async def test_a_vault_that_was_restarted_is_told_again_with_a_new_ticket() -> None:
    vault = Vault()
    async with running(vault) as register:
        admit(register, "7")
        await register.kept(5)
        vault.knows = False
        admit(register, "8")
        await register.kept(5)
    assert vault.kept[-1].people == ("7", "8")
    assert vault.rests == [], "the first time at once"


async def test_an_edit_of_the_owners_at_the_same_time_is_merged_and_neither_is_lost() -> None:
    vault = Vault()
    async with running(vault) as register:
        admit(register, "7")
        await register.kept(5)
        vault.kept.append(People().admit("7", "5"))
        admit(register, "8")
        await register.kept(5)
        assert register.people.people == ("7", "5", "8")
        vault.kept.append(vault.kept[-1].remove("7"))
        admit(register, "9")
        await register.kept(5)
    assert vault.kept[-1].people == ("5", "8", "9")
    assert register.version == len(vault.kept)


async def test_an_answer_that_was_lost_is_no_loss() -> None:
    vault = Vault(loses_answers=1)
    async with running(vault) as register:
        admit(register, "7")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        admit(register, "8")
        await register.kept(5)
    assert vault.kept[-1].people == ("7", "8")


async def test_a_ticket_that_fails_is_tried_again() -> None:
    vault = Vault(knows=False)
    async with running(vault) as register:
        vault.away = 0
        renew, failures = register.renew, [BootError(Code.TICKET_REFUSED)] * 3

        async def failing() -> None:
            if failures:
                raise failures.pop()
            await renew()

        register.renew = failing
        admit(register, "7")
        await register.kept(5)
    assert vault.kept[-1].owner == "7"
    assert vault.rests == [1.0, 2.0, 4.0]


async def test_what_a_ticket_opens_replaces_the_list_and_keeps_what_is_not_kept_yet() -> None:
    register = Vault().register
    register.take(opened(People().admit("7"), 4))
    assert (register.people.owner, register.version) == ("7", 4)
    admit(register, "8")
    register.take(opened(People().admit("6"), 5))
    assert (register.people.people, register.version) == (("6", "8"), 5)
    register.take(None)
    assert register.version == 5
    full = People().admit(*(str(number) for number in range(10, 10 + MOST_PEOPLE)))
    register.take(opened(full, 6))
    assert register.people == full
    with pytest.raises(PeopleFullError):
        admit(register, "5")


async def test_a_list_that_cannot_be_read_admits_nobody_and_is_never_written_over() -> None:
    vault = Vault()
    async with running(vault) as register:
        admit(register, "7")
        await register.kept(5)
        for text in ("", "{", '{"format":2}'):
            with pytest.raises(MateError) as error:
                register.take(OpenItem(name=ItemName.PEOPLE, version=2, hosts=(), value=Secret(text)))
            assert error.value.code is Code.PEOPLE_UNREADABLE
        admit(register, "8")
        await register.kept(0)
        assert register.people == People()
        asked = vault.asked
        register.take(opened(People().admit("5"), 3))
        assert register.people.people == ("5",)
    assert vault.asked == asked


async def test_at_a_terminal_nothing_is_kept() -> None:
    vault = Vault()
    vault.register.keeps = False
    async with running(vault) as register:
        register.take(opened(People().admit("7"), 1))
        admit(register, "8")
        await register.kept(5)
    assert register.people.people == ("8",)
    assert vault.asked == 0


async def test_seeded_a_register_that_forgets_its_edits_loses_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Register, item: OpenItem | None) -> None:
        assert item is not None
        self.version, self.people = item.version, load(item.value)

    monkeypatch.setattr(Register, "take", forgetful)
    vault = Vault(kept=[People().admit("7")])
    async with running(vault) as register:
        admit(register, "8")
        await register.kept(5)
    assert vault.kept[-1].people != ("7", "8")


async def test_what_a_life_could_not_keep_its_next_life_keeps() -> None:
    before, after = Vault(), Vault(kept=[People().admit("7")])
    for vault in (before, after):
        vault.register.take(opened(People().admit("7"), 1))
    assert before.register.hand() == Handed(version=1, kept=People().admit("7"))
    before.register.change(lambda people: replace(people.admit("8").spend("salt"), told={"model": "m"}))
    handed = before.register.hand()
    assert (handed.unkept.people, handed.unkept.spent) == (("8",), ("salt",))
    async with running(after) as register:
        register.inherit(Handed())
        assert after.asked == 0
        register.inherit(handed)
        await register.kept(5)
    assert (after.kept[-1].people, after.kept[-1].spent) == (("7", "8"), ("salt",))
    assert after.kept[-1].told == {"model": "m"}


async def test_what_was_kept_after_the_next_life_opened_its_list_is_known_to_it() -> None:
    """Between its ticket and the hand-over somebody was let in, or sent away."""
    old, new = Vault(kept=[People().admit("7", "9")]), Vault(kept=[People().admit("7", "9")])
    for vault in (old, new):
        vault.register.take(opened(People().admit("7", "9"), 1))
    old.register.take(opened(People().admit("7", "8"), 2))
    new.register.inherit(old.register.hand())
    assert (new.register.people.people, new.register.version) == (("7", "8"), 2)
    assert new.asked == 0, "the vault has it already"


async def test_an_older_list_is_no_news() -> None:
    old, new = Vault(), Vault()
    old.register.take(opened(People().admit("7", "9"), 1))
    new.register.take(opened(People().admit("7"), 2))
    new.register.inherit(old.register.hand())
    assert new.register.people.people == ("7",), "who was sent away stays away"


def test_a_list_that_cannot_be_read_is_not_handed_over() -> None:
    vault = Vault()
    vault.register.readable = False
    assert vault.register.hand() == Handed()
    with pytest.raises(ValueError, match="version"):
        Handed(version=-1)

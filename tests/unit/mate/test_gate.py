"""Who may talk: every rule, with the defect that would break it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from clawmates.base.secret import Secret
from clawmates.mate import gate as gates
from clawmates.mate import texts
from clawmates.mate.gate import Gate
from clawmates.mate.messages import Inbound, Media, MediaKind, Text
from clawmates.mate.people import Register
from clawmates.wire import pairing
from clawmates.wire.desired import Access, Pairing
from clawmates.wire.door import MateConfig
from clawmates.wire.names import ChannelKind
from clawmates.wire.people import MOST_PEOPLE, People

CODE, OTHER = "ABCD2345", "WXYZ6789"
WORDS = texts.of("en")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "ROUNDS", 10)


def made(code: str = CODE, salt: str = "ab", ends: str = "2026-11-28T11:00:00Z", bot: str = "home") -> Pairing:
    return Pairing(salt=salt * 32, digest=pairing.digest(bot, salt * 32, code), ends=ends)


def config(access: Access, *pairings: Pairing) -> MateConfig:
    return MateConfig(
        revision=1,
        channel=ChannelKind.TELEGRAM,
        channel_hosts=(),
        provider="openai",
        provider_hosts=(),
        model="m",
        context_tokens=1,
        output_tokens=1,
        access=access,
        pairings=pairings,
    )


@dataclass
class World:
    config: MateConfig
    now: float = 1000.0
    moment: str = "2026-11-28T10:00:00Z"
    wakes: int = 0
    coming: list[MateConfig] = field(default_factory=list)
    """What the configuration becomes when somebody waits for it."""
    kept: list[str] = field(default_factory=list)
    gate: Gate = field(init=False)
    register: Register = field(init=False)

    def __post_init__(self) -> None:
        self.register = Register(self._put, self._renew, lambda: 1.0)
        self.reborn()

    def reborn(self) -> None:
        """The mate restarts: what it had in RAM is gone, the list is what the vault gave back."""
        self.gate = Gate(
            "home", lambda: self.config, self.register, lambda: self.now, lambda: self.moment, self._wake, self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        if self.coming and seconds:
            self.config = self.coming.pop()
        await asyncio.sleep(0)

    async def _put(self, version: int, text: Secret[str]) -> None:
        raise AssertionError("nothing runs that would put")

    async def _renew(self) -> None:
        raise AssertionError("nothing runs that would renew")

    def _wake(self) -> None:
        self.wakes += 1

    async def says(self, person: str, text: str, *, private: bool = True, language: str = "") -> str | None:
        chat = person if private else "-1"
        return await self.gate.ask(
            Inbound("t", chat, 1, (Text(text),), person=person, private=private, language=language)
        )


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "KEPT_SECONDS", 0)


async def test_a_stranger_gets_one_line_and_then_silence() -> None:
    world = World(config(Access.PAIRED))
    assert await world.says("7", "hello", language="de") == texts.of("de").stranger_code
    for text in ("hello?", "/start", "/help", "/new", "/model", "/usage", "/stop", "x" * 10_000):
        assert await world.says("7", text) == ""
    assert await world.says("8", "/start") == WORDS.stranger_code
    assert await world.says("9", "/help") == WORDS.stranger_code
    assert await world.gate.ask(Inbound("t", "5", 1, (Media(MediaKind.IMAGE, "x"),), person="5")) is not None
    world.reborn()
    assert await world.says("7", "hello") == WORDS.stranger_code, "once in a life of the mate"


async def test_a_stranger_may_ask_once_what_is_kept_of_them() -> None:
    world = World(config(Access.LIST))
    assert await world.says("7", "/privacy") == WORDS.stranger_privacy
    assert await world.says("7", "/privacy") == ""
    assert await world.says("7", "hello") == WORDS.stranger


async def test_in_a_group_strangers_are_passed_over_and_no_code_is_taken() -> None:
    world = World(config(Access.PAIRED, made()))
    for text in ("hello", "/privacy", CODE, f"/start {CODE}"):
        assert await world.says("7", text, private=False) == ""
    assert world.register.people == People()
    assert await world.says("7", CODE) == WORDS.welcome_owner
    assert await world.says("7", "hello", private=False) is None


async def test_who_has_no_number_is_nobody() -> None:
    world = World(config(Access.PAIRED, made()))
    assert await world.says("", "hello") == ""
    assert await world.says("", CODE) == ""


async def test_what_is_remembered_of_strangers_is_bounded() -> None:
    world = World(config(Access.PAIRED, made()))
    for number in range(1, gates.STRANGERS + 200):
        await world.says(str(number), "hello")
        world.now += gates.ALL_TRY_SECONDS
        await world.says(str(number), OTHER)
    assert len(world.gate._told) <= gates.STRANGERS
    assert len(world.gate._tries) <= gates.STRANGERS


@pytest.mark.parametrize("text", [CODE, "abcd-2345", f"/start {CODE}", f"/start@home_bot {CODE}"])
async def test_a_code_admits_and_the_first_is_the_owner(text: str) -> None:
    world = World(config(Access.PAIRED, made(), made(OTHER, "cd")))
    assert await world.says("7", "hello") is not None
    assert await world.says("7", text, language="de") == texts.of("de").welcome_owner
    assert (world.register.people.owner, world.register.people.language) == ("7", "de")
    assert await world.says("7", "hello") is None
    assert await world.says("8", OTHER) == WORDS.welcome
    assert (world.register.people.owner, world.register.people.people) == ("7", ("7", "8"))
    assert world.wakes == 2


async def test_a_code_is_good_once_also_after_a_restart() -> None:
    world = World(config(Access.PAIRED, made()))
    assert await world.says("7", CODE) == WORDS.welcome_owner
    assert await world.says("8", CODE) == WORDS.code_wrong
    world.reborn()
    assert await world.says("8", CODE) == WORDS.code_wrong
    assert world.register.people.people == ("7",)
    # The seeded defect: a list that does not remember what is spent.
    world.register.people = replace(world.register.people, spent=())
    assert await world.says("8", CODE) == WORDS.welcome


async def test_two_who_send_the_same_code_at_once_are_not_both_let_in() -> None:
    world = World(config(Access.PAIRED, made()))
    said = await asyncio.gather(world.says("7", CODE), world.says("8", CODE))
    assert sorted(str(one) for one in said) == sorted([WORDS.welcome_owner, WORDS.code_wrong])
    assert len(world.register.people.people) == 1


async def test_who_is_in_does_not_use_a_code_up_and_it_goes_to_no_provider() -> None:
    world = World(config(Access.PAIRED, made(), made(OTHER, "cd")))
    await world.says("7", CODE)
    assert await world.says("7", OTHER) == WORDS.code_known
    assert await world.says("7", CODE) == WORDS.code_known, "as after a crash between the admission and its reply"
    assert await world.says("7", "remember") is None, "a word that looks like one"
    assert await world.says("8", OTHER) == WORDS.welcome


@pytest.mark.parametrize(
    "pairings",
    [
        (),
        (made(ends="2026-11-28T10:00:00Z"),),
        (made(bot="work"),),
        (replace(made(), digest="0" * 64),),
    ],
    ids=["none", "ended", "another bot's", "another digest"],
)
async def test_a_code_that_fits_nothing_admits_nobody_and_says_so(pairings: tuple[Pairing, ...]) -> None:
    world = World(config(Access.PAIRED, *pairings))
    assert await world.says("7", "/start") == WORDS.stranger_code
    assert await world.says("7", CODE) == WORDS.code_wrong
    assert world.register.people == People()


async def test_a_code_that_is_quicker_than_its_hash_is_taken_when_it_comes() -> None:
    world = World(config(Access.PAIRED), coming=[config(Access.PAIRED, made())])
    assert await world.says("7", CODE) == WORDS.welcome_owner


async def test_tries_of_one_person_are_bounded_and_come_back() -> None:
    world = World(config(Access.PAIRED, made()))
    for _ in range(gates.TRIES):
        world.now += gates.ALL_TRY_SECONDS
        assert await world.says("7", OTHER) == WORDS.code_wrong
    assert await world.says("7", CODE) == WORDS.code_later
    assert await world.says("7", CODE) == ""
    assert await world.says("8", OTHER) == WORDS.code_wrong, "others still may"
    world.now += gates.TRY_SECONDS
    assert await world.says("7", CODE) == WORDS.welcome_owner


async def test_tries_of_all_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    find = pairing.find

    def counted(bot: str, code: str, pairings: tuple[Pairing, ...]) -> Pairing | None:
        compared.append(code)
        return find(bot, code, pairings)

    monkeypatch.setattr(pairing, "find", counted)
    world = World(config(Access.PAIRED, made()))
    for number in range(1, 200):
        await world.says(str(number), OTHER)
    assert len(compared) == gates.ALL_TRIES
    world.now += gates.ALL_TRY_SECONDS
    assert await world.says("777", CODE) == WORDS.welcome_owner


async def test_without_a_pending_code_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "digest", lambda *_: pytest.fail("computed"))
    world = World(config(Access.PAIRED))
    assert await world.says("7", CODE) == WORDS.code_wrong
    world.config = config(Access.OPEN)
    assert await world.says("7", CODE) is None


async def test_a_list_takes_no_codes() -> None:
    world = World(config(Access.LIST, made()))
    assert await world.says("7", CODE) == WORDS.stranger
    world.register.people = People().admit("7")
    assert await world.says("7", CODE) is None
    assert await world.says("8", "hello") == WORDS.stranger


async def test_an_open_bot_answers_everybody_and_a_code_finds_its_owner() -> None:
    world = World(config(Access.OPEN, made()))
    assert await world.says("7", "hello") is None
    assert await world.says("7", "hello", private=False) is None
    assert await world.says("7", OTHER) is None
    assert await world.says("7", "/start") is None
    assert await world.says("7", CODE) == WORDS.welcome_owner
    for _ in range(20):
        assert await world.says("8", OTHER) is None, "too many tries are no reason not to answer"


async def test_a_full_list_says_so() -> None:
    world = World(config(Access.PAIRED, made()))
    world.register.people = People().admit(*(str(number) for number in range(10, 10 + MOST_PEOPLE)))
    assert await world.says("7", CODE) == WORDS.people_full
    assert not world.gate.admits(Inbound("t", "7", 1, (), person="7"))


async def test_a_list_that_cannot_be_read_lets_nobody_in() -> None:
    world = World(config(Access.PAIRED, made()))
    world.register.readable = False
    assert await world.says("7", CODE) == WORDS.code_wrong
    assert await world.says("7", "hello") == WORDS.stranger_code


async def test_who_was_removed_is_a_stranger_at_once() -> None:
    world = World(config(Access.PAIRED, made()))
    await world.says("7", CODE)
    world.register.people = world.register.people.remove("7")
    assert await world.says("7", "hello") == WORDS.stranger_code
    assert await world.says("7", CODE) == WORDS.code_wrong


async def test_the_owners_language_follows_the_owner() -> None:
    world = World(config(Access.PAIRED, made(), made(OTHER, "cd")))
    await world.says("7", CODE, language="en")
    await world.says("8", OTHER, language="fr")
    for person, language, expected in (("8", "fr", "en"), ("7", "", "en"), ("7", "de", "de")):
        assert await world.says(person, "hello", language=language) is None
        assert world.register.people.language == expected


Defect = Callable[[pytest.MonkeyPatch], None]


def everybody_is_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Gate, "admits", lambda *_: True)


def any_code_fits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pairing, "find", lambda _bot, _code, pairings: pairings[0])


def codes_never_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pairing, "pends", lambda *_: True)


@pytest.mark.parametrize("defect", [everybody_is_in, any_code_fits, codes_never_end])
async def test_seeded_each_defect_lets_a_stranger_in(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    async def comes_in() -> bool:
        world = World(config(Access.PAIRED, made(ends="2026-11-28T09:00:00Z"), made("EFGH2345", "cd")))
        for text in ("hello", OTHER, CODE, "hello"):
            await world.says("7", text)
        return await world.says("7", "hello") is None

    assert not await comes_in()
    defect(monkeypatch)
    assert await comes_in()

"""Every sentence of the catalogue, met as a new user would meet it: in a chat at the stand-in for Telegram.

Only the AI provider is played by a script; the channel, the formatting and the messenger's own checks are real.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.standins import TOKEN, StandIns, credentials, stand_ins_within

from clawmates.mate import composing, texts
from clawmates.mate.brain import Brain
from clawmates.mate.channels.telegram.api import TelegramApi
from clawmates.mate.channels.telegram.channel import Telegram
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.commands import Command
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ProviderError
from clawmates.mate.providers.base import Delta, Finished
from clawmates.mate.providers.scripted import ScriptedProvider
from clawmates.mate.relay import Relay
from clawmates.mate.texts import LANGUAGES, Texts
from clawmates.simulator.model import Service, User
from clawmates.wire.codes import Code
from clawmates.wire.door import TurnAnswer, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from clawmates.mate.providers.base import Prompt
    from clawmates.wire.codes import Event
    from clawmates.wire.door import TurnEnd

SECONDS = 60.0
MODEL = "a-model"
ELSEWHERE: dict[str, str] = (
    dict.fromkeys(
        ("stranger", "stranger_code", "stranger_privacy", "code_wrong", "welcome_owner", "welcome"),
        "integration/test_people.py",
    )
    | dict.fromkeys(("code_later", "code_known", "people_full"), "unit/mate/test_gate.py")
    | dict.fromkeys(("changed", "changed_by_whom", "changes", "taken_away", "accesses"), "unit/mate/test_notices.py")
)
"""Sentences that need more than a chat to be met, by the test file that meets them, below ``tests``."""


class Pausing(ScriptedProvider):
    """Waits behind its first word when told to, until it is stopped."""

    pausing = False

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        if not self.pausing:
            async for piece in super().answer(prompt):
                yield piece
            return
        yield Delta("a beginning")
        await asyncio.Event().wait()


@dataclass
class Turns:
    """A gateway that says what it is told to."""

    answer: TurnAnswer = field(default_factory=lambda: TurnAnswer(verdict=Verdict.GO))
    deaths: int = 0

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        assert turn
        assert chat
        return self.answer

    async def end(self, end: TurnEnd) -> None:
        assert end.turn

    async def say(self, event: Event) -> None:
        assert event.code

    async def died(self, since: int) -> bool:
        return self.deaths != since


@dataclass
class Visit:
    """A person of one language with a bot; every message comes from a new chat, as from a new user."""

    there: StandIns
    language: str
    turns: Turns
    provider: Pausing
    relay: Relay
    people: count[int] = field(default_factory=lambda: count(1000))

    @property
    def words(self) -> Texts:
        return texts.of(self.language)

    async def ask(self, text: str = "hello") -> str:
        person = next(self.people)
        user = User(id=person, first_name="Alex", language_code=self.language)
        await self.there.simulator.say(TOKEN, person, text, user=user)
        return await self.hear(person)

    async def show(self, photo: str) -> str:
        person = next(self.people)
        sender = {"id": person, "is_bot": False, "first_name": "Alex", "language_code": self.language}
        chat = {"id": person, "type": "private", "first_name": "Alex"}
        message = {"message_id": 1, "from": sender, "chat": chat, "date": 1, "photo": [{"file_id": photo}]}
        await self.there.simulator.push(TOKEN, "message", json.dumps(message))
        return await self.hear(person)

    async def stop(self) -> str:
        person = next(self.people)
        user = User(id=person, first_name="Alex", language_code=self.language)
        self.provider.pausing = True
        last = (await self.there.simulator.status()).last_telegram
        await self.there.simulator.say(TOKEN, person, "hello", user=user)
        await self.there.simulator.wait_call(
            Service.TELEGRAM, "sendMessageDraft", after=last, finished=True, timeout=SECONDS
        )
        await self.there.simulator.press_stop(TOKEN, person)
        self.provider.pausing = False
        return await self.hear(person)

    async def hear(self, person: int) -> str:
        return (await self.there.simulator.wait_reply(TOKEN, person, timeout=SECONDS)).text


@asynccontextmanager
async def visiting(language: str) -> AsyncIterator[Visit]:
    async with stand_ins_within() as there:
        await there.simulator.add_bot(TOKEN, "test_bot")
        turns, held, provider = Turns(), credentials(), Pausing()
        channel = Telegram(TelegramApi(there.web(), held), turns.say, lambda: 1.0)
        brain = Brain(provider, MODEL, "", 1000, 100)
        relay = Relay(channel, turns, Memory(asyncio.get_running_loop().time), lambda: brain, held.pseudonym)
        task = asyncio.create_task(relay.run())
        try:
            async with asyncio.timeout(100):
                await there.simulator.wait_call(Service.TELEGRAM, "getUpdates", timeout=SECONDS)
                yield Visit(there, language, turns, provider, relay)
        finally:
            task.cancel()
            await asyncio.wait([task])


def plain(markdown: str) -> str:
    """As it stands in a chat."""
    return render(markdown).text


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_sentence_is_met(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    met: set[str] = set()

    def meet(name: str, said: str, expected: str) -> None:
        assert said == plain(expected), name
        met.add(name)

    async with visiting(language) as visit:
        words = visit.words
        meet("start", await visit.ask("/start"), words.start)
        menu = "\n".join(f"/{one}: {words.menu[one.value]}" for one in Command)
        meet("help", await visit.ask("/help"), f"{words.help}\n\n{menu}")
        meet("new", await visit.ask("/new"), words.new)
        meet("nothing_to_stop", await visit.ask("/stop"), words.nothing_to_stop)
        meet("privacy", await visit.ask("/privacy"), words.privacy)
        meet("model", await visit.ask("/model"), words.model.format(model=f"`{MODEL}`", host="`provider.example`"))
        usage = words.usage.format(messages=0, input_tokens=0, output_tokens=0)
        meet("usage", await visit.ask("/usage"), usage)
        meet("text_only", await visit.show("file"), words.text_only)
        visit.provider.script = [["  "]]
        meet("empty_answer", await visit.ask(), words.empty_answer)
        meet("stopped", await visit.stop(), f"a beginning\n\n{words.stopped}")
        monkeypatch.setattr(composing, "MOST_CHARACTERS", 3)
        meet("cut_at_length", await visit.ask("far too much"), f"You said: far too much{words.cut_at_length}")
        monkeypatch.undo()
        visit.turns.answer = TurnAnswer(verdict=Verdict.GO, met=True)
        meet("forgotten", await visit.ask("again"), f"You said: again\n\n{words.forgotten}")
        await codes_are_met(visit, monkeypatch)
        met |= {"codes", "otherwise"}
        await menu_is_met(visit)
        met.add("menu")
    assert met | set(ELSEWHERE) == {one.name for one in fields(Texts)}, "a sentence that nobody has met"
    for name, path in ELSEWHERE.items():
        assert name in (Path(__file__).parents[1] / path).read_text(), path


async def codes_are_met(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts = {Code.OVER_QUOTA: Verdict.OVER, Code.GAVE_UP: Verdict.GIVE_UP}
    for code, sentence in {**visit.words.codes, Code.INTERNAL: visit.words.otherwise}.items():
        visit.turns.answer = TurnAnswer(verdict=verdicts.get(code, Verdict.GO))
        visit.provider.script = [ProviderError(code)]
        if code is Code.TIMED_OUT:
            monkeypatch.setattr(visit.relay, "turn_seconds", 0.05)
            visit.provider.pausing = True
        assert await visit.ask() == plain(sentence), code
        visit.provider.pausing = False
        visit.provider.script = []
        monkeypatch.undo()
    visit.turns.answer = TurnAnswer(verdict=Verdict.GO)


async def menu_is_met(visit: Visit) -> None:
    wanted = {} if visit.language == LANGUAGES[0] else {"language_code": visit.language}
    set_menus = await visit.there.simulator.journal(Service.TELEGRAM, method="setMyCommands")
    (shown,) = [
        call.parameters["commands"]
        for call in set_menus
        if call.parameters.get("language_code") == wanted.get("language_code")
    ]
    assert shown == [{"command": one.value, "description": visit.words.menu[one.value]} for one in Command]

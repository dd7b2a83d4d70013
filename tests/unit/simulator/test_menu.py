"""Commands, descriptions, drafts with a stop button, and flood control of the Bot API stand-in."""

from __future__ import annotations

from typing import Any

import pytest

from clawmates.simulator.client import SimulatorError
from clawmates.simulator.control import SetLimits
from clawmates.simulator.model import Draft, Service, User
from clawmates.simulator.telegram.bot import Bot
from clawmates.simulator.telegram.errors import BadRequestError
from clawmates.simulator.telegram.flood import Flood

TOKEN = "123456:" + "A" * 35
CHAT = 77
START = {"command": "start", "description": "Begin"}
ANFANG = {"command": "start", "description": "Anfang", "is_ephemeral": True}


@pytest.fixture
async def chat(bench: Any) -> int:
    await bench.control.say(TOKEN, CHAT, "hello", user=User(id=CHAT))
    return CHAT


async def test_commands_are_kept_by_scope_and_language(bench: Any) -> None:
    private = {"type": "all_private_chats"}
    await bench.result("setMyCommands", commands=[START])
    await bench.result("setMyCommands", commands=[ANFANG], scope=private, language_code="de")
    assert await bench.result("getMyCommands") == [START]
    assert await bench.result("getMyCommands", scope={"type": "default"}) == [START]
    assert await bench.result("getMyCommands", scope=private, language_code="de") == [ANFANG]
    assert await bench.result("getMyCommands", scope=private) == []
    assert await bench.result("getMyCommands", scope={"type": "chat", "chat_id": 5}) == []
    await bench.result("setMyCommands", commands=[])
    await bench.result("deleteMyCommands", scope=private, language_code="de")
    assert await bench.result("getMyCommands") == []
    assert await bench.result("getMyCommands", scope=private, language_code="de") == []


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ({}, "unsupported type specified"),
        ({"type": "world"}, "unsupported type specified"),
        ({"type": "default", "chat_id": 5}, "chat_id is not expected"),
        ({"type": "chat"}, "chat_id is required"),
        ({"type": "chat", "chat_id": 5, "user_id": 6}, "user_id is not expected"),
        ({"type": "chat_member", "chat_id": 5}, "user_id is required"),
    ],
)
async def test_scopes_are_checked(bench: Any, scope: dict[str, object], reason: str) -> None:
    for method, fields in (("setMyCommands", {"commands": [START]}), ("getMyCommands", {}), ("deleteMyCommands", {})):
        assert (
            await bench.refusal(method, scope=scope, **fields) == f"Bad Request: can't parse BotCommandScope: {reason}"
        )


async def test_what_a_bot_says_about_itself(bench: Any) -> None:
    for kind, longest in (("Description", 512), ("ShortDescription", 120)):
        field = "description" if kind == "Description" else "short_description"
        await bench.result(f"setMy{kind}", **{field: "x" * longest})
        await bench.result(f"setMy{kind}", language_code="de", **{field: "Hallo"})
        assert await bench.result(f"getMy{kind}") == {field: "x" * longest}
        assert await bench.result(f"getMy{kind}", language_code="de") == {field: "Hallo"}
        await bench.result(f"setMy{kind}", language_code="de")
        assert await bench.result(f"getMy{kind}", language_code="de") == {field: "x" * longest}
        refused = await bench.refusal(f"setMy{kind}", **{field: "x" * (longest + 1)})
        assert refused == f"Bad Request: {field} is too long"
        refused = await bench.refusal(f"setMy{kind}", language_code="deu")
        assert refused == "Bad Request: invalid language code specified"


async def test_a_draft_is_seen_until_the_message_is_sent(bench: Any, chat: int) -> None:
    assert await bench.control.draft(TOKEN, chat) is None
    await bench.result("sendMessageDraft", chat_id=chat, draft_id=5, text="<b>one</b>", parse_mode="HTML")
    await bench.result("sendMessageDraft", chat_id=chat, draft_id=5, text="one two")
    draft = await bench.control.draft(TOKEN, chat)
    assert (draft.draft_id, draft.text, draft.can_stop, draft.stopped) == (5, "one two", False, False)
    await bench.result("sendMessage", chat_id=chat, text="one two three")
    assert await bench.control.draft(TOKEN, chat) is None


@pytest.mark.parametrize("keep", [False, True])
async def test_the_reader_stops_a_draft(bench: Any, chat: int, *, keep: bool) -> None:
    draft = {"chat_id": chat, "draft_id": 5, "can_stop": True, "keep_on_stop": keep}
    await bench.result("sendMessageDraft", text="one", **draft)
    update_id = await bench.control.press_stop(TOKEN, chat)
    (update,) = await bench.result("getUpdates", offset=update_id)
    assert update["stopped_message_generation"] == {
        "chat": {"id": chat, "type": "private", "first_name": "Ada"},
        "draft_id": 5,
    }
    shown = await bench.control.draft(TOKEN, chat)
    assert (shown is not None and shown.stopped) is keep
    with pytest.raises(SimulatorError):
        await bench.control.press_stop(TOKEN, chat)
    # Further drafts of the same number are answered, and not shown; a new one is.
    await bench.result("sendMessageDraft", text="one two", **draft)
    shown = await bench.control.draft(TOKEN, chat)
    assert (shown.text if shown is not None else "") == ("one" if keep else "")
    await bench.result("sendMessageDraft", text="new", **(draft | {"draft_id": 6, "message_thread_id": 9}))
    assert (await bench.control.draft(TOKEN, chat)).text == "new"
    update_id = await bench.control.press_stop(TOKEN, chat)
    (update,) = await bench.result("getUpdates", offset=update_id)
    assert update["stopped_message_generation"]["message_thread_id"] == 9


async def test_there_must_be_a_button_to_press(bench: Any, chat: int) -> None:
    for draft in ({}, {"can_stop": False}):
        await bench.result("sendMessageDraft", chat_id=chat, draft_id=5, text="x", **draft)
        with pytest.raises(SimulatorError):
            await bench.control.press_stop(TOKEN, chat)
    with pytest.raises(SimulatorError):
        await bench.control.press_stop(TOKEN, 78)


async def test_a_bot_that_does_not_want_to_know_is_not_told(bench: Any, chat: int) -> None:
    await bench.result("getUpdates", allowed_updates=["message"])
    await bench.result("sendMessageDraft", chat_id=chat, draft_id=5, text="x", can_stop=True)
    assert await bench.control.press_stop(TOKEN, chat) == 0


def test_a_draft_lives_thirty_seconds(clock: Any) -> None:
    bot = Bot(1, "test_bot", clock)
    bot.hear(CHAT, "hello", User(id=CHAT))
    draft = Draft(draft_id=1, chat_id=CHAT, text="x", can_stop=True, stopped=False, received=clock.monotonic())
    bot.chat(CHAT).write(draft, keep_on_stop=False)
    clock.move(29.9)
    assert bot.drafted(CHAT) == draft
    clock.move(0.1)
    assert bot.drafted(CHAT) is None
    with pytest.raises(BadRequestError):
        bot.stop(CHAT)


def test_flood_control_counts_chats_groups_and_the_bot() -> None:
    one_a_second = SetLimits(chat_per_second=1)
    flood = Flood()
    assert [flood.take(one_a_second, CHAT, now) for now in (0.0, 0.1, 0.9, 1.0, 1.5)] == [0, 1, 1, 0, 1]
    assert flood.take(one_a_second, 78, 1.5) == 0
    bursts = SetLimits(chat_per_second=1, burst=3)
    flood = Flood()
    assert [flood.take(bursts, CHAT, 0.0) for _ in range(4)] == [0, 0, 0, 1]
    group = SetLimits(chat_per_second=1, group_per_minute=20)
    flood = Flood()
    assert [flood.take(group, -5, 0.0) for _ in range(21)] == [0] * 20 + [3]
    everything = SetLimits(bot_per_second=30)
    flood = Flood()
    assert [flood.take(everything, chat_id, 0.0) for chat_id in range(1, 32)] == [0] * 30 + [1]
    assert all(Flood().take(SetLimits(), CHAT, 0.0) == 0 for _ in range(100))


def test_a_refused_message_does_not_count() -> None:
    flood, limits = Flood(), SetLimits(chat_per_second=1)
    assert flood.take(limits, CHAT, 0.0) == 0
    assert [flood.take(limits, CHAT, 0.5) for _ in range(10)] == [1] * 10
    assert flood.take(limits, CHAT, 1.0) == 0


async def test_flood_control_on_the_wire(bench: Any, chat: int) -> None:
    await bench.control.set_limits(chat_per_second=0.01)
    sent = await bench.result("sendMessage", chat_id=chat, text="one")
    for method, fields in (
        ("sendMessage", {"text": "two"}),
        ("editMessageText", {"message_id": sent["message_id"], "text": "two"}),
    ):
        status, answer = await bench.telegram(method, chat_id=chat, **fields)
        assert (status, answer["parameters"]["retry_after"]) == (429, 100)
        assert answer["description"] == "Too Many Requests: retry after 100"
    assert [one.text for one in await bench.control.sent(TOKEN, chat)] == ["one"]
    await bench.result("sendMessageDraft", chat_id=chat, draft_id=1, text="drafts are not counted")
    await bench.result("sendChatAction", chat_id=chat, action="typing")
    await bench.control.set_limits()
    await bench.result("sendMessage", chat_id=chat, text="two")


async def test_limits_end_with_a_reset(bench: Any) -> None:
    await bench.control.set_limits(chat_per_second=0.01)
    await bench.control.reset()
    await bench.control.add_bot(TOKEN, "test_bot")
    await bench.control.say(TOKEN, CHAT, "hello")
    for text in ("one", "two"):
        await bench.result("sendMessage", chat_id=CHAT, text=text)


async def test_ports_keys_and_styles_are_of_one_service(bench: Any) -> None:
    assert len({bench.ports.of(service) for service in Service}) == len(Service)
    for service in (Service.ANTHROPIC, Service.GOOGLE, Service.OLLAMA):
        assert (await bench.control.status()).last[service] == 0
    with pytest.raises(SimulatorError):
        await bench.control.add_key("x", Service.TELEGRAM)
    await bench.control.set_style(words=3, service=Service.GOOGLE)
    styles = {service: provider.style.words for service, provider in bench.world.providers.items()}
    assert styles == {Service.OPENAI: 0, Service.ANTHROPIC: 0, Service.GOOGLE: 3, Service.OLLAMA: 0}

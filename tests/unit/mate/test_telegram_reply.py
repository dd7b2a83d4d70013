"""A reply against a Bot API that does what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.mate.channels.telegram import reply as reply_module
from clawmates.mate.channels.telegram.api import (
    CALL_SECONDS,
    GarbledError,
    MovedError,
    RefusedError,
    TelegramApi,
    UnchangedError,
    _result,
)
from clawmates.mate.channels.telegram.flood import Flood
from clawmates.mate.channels.telegram.outbox import LONGEST_PAUSE, Outbox, Place, pause
from clawmates.mate.channels.telegram.reply import TelegramReply
from clawmates.mate.channels.telegram.styled import Span, Style, Styled
from clawmates.mate.errors import ChannelError
from clawmates.wire.codes import Code

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED = RefusedError(Code.CHANNEL_ERROR, 400)
AWAY = ChannelError(Code.CHANNEL_UNREACHABLE)
BLOCKED = ChannelError(Code.PERSON_UNREACHABLE, 403)
Behave = Callable[[str, dict[str, Any]], Exception | None]


@dataclass
class ScriptedApi(TelegramApi):
    """Notes every call; ``script`` holds what the next calls of a method raise, ``gate`` holds calls back."""

    web: Any = None
    credentials: Any = None
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    script: dict[str, list[Exception]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def call(self, method: str, parameters: Mapping[str, Any], *, seconds: float = CALL_SECONDS) -> Any:
        assert seconds > 0
        async with self.changed:
            self.calls.append((method, dict(parameters)))
            self.changed.notify_all()
        if method in self.gates:
            await self.gates[method].wait()
        if failures := self.script.get(method):
            raise failures.pop(0)
        return {"message_id": len(self.calls)} if method == "sendMessage" else True

    def of(self, method: str) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.calls if name == method]

    async def until(self, method: str, count: int = 1) -> dict[str, Any]:
        async with self.changed, asyncio.timeout(10):
            await self.changed.wait_for(lambda: len(self.of(method)) >= count)
        return self.of(method)[count - 1]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("THINKING_SECONDS", "DRAFT_PAUSE", "DRAFT_LIFE", "EDIT_PAUSE"):
        monkeypatch.setattr(reply_module, name, getattr(reply_module, name) / 100)


def reply(api: ScriptedApi, place: Place = Place(7), *, drafts: bool = True) -> TelegramReply:  # noqa: B008 - frozen
    clock = iter(range(0, 10_000_000, 1000))
    outbox = Outbox(api, Flood(lambda: float(next(clock))), lambda: 0.001)
    return TelegramReply(outbox, place, 5, drafts=drafts)


async def test_a_short_answer_is_typing_and_a_message() -> None:
    api = ScriptedApi()
    async with reply(api) as writing:
        await api.until("sendChatAction")
        await writing.send("**hello** https://x.example")
    assert api.calls == [
        ("sendChatAction", {"chat_id": 7, "action": "typing"}),
        (
            "sendMessage",
            {
                "chat_id": 7,
                "text": "hello https://x.example",
                "entities": [{"type": "bold", "offset": 0, "length": 5}],
                "link_preview_options": {"is_disabled": True},
            },
        ),
    ]


async def test_a_long_wait_shows_a_draft_with_a_stop_button_before_the_first_word() -> None:
    api = ScriptedApi()
    async with reply(api):
        draft = await api.until("sendMessageDraft")
        assert draft == {"chat_id": 7, "draft_id": 5, "can_stop": True, "keep_on_stop": True, "text": ""}
        await api.until("sendMessageDraft", 3)


async def test_drafts_grow_with_their_styles() -> None:
    api = ScriptedApi()
    async with reply(api) as writing:
        writing.show("one **two**")
        assert (await api.until("sendMessageDraft"))["entities"] == [{"type": "bold", "offset": 4, "length": 3}]
        writing.show("one **two** three")
        assert (await api.until("sendMessageDraft", 2))["text"] == "one two three"
        await writing.send("one **two** three")
    assert [method for method, _ in api.calls][-1] == "sendMessage"


async def test_a_draft_of_a_long_answer_shows_its_newest_piece() -> None:
    api = ScriptedApi()
    async with reply(api) as writing:
        writing.show("a" * 4090 + "\n\n" + "b" * 10)
        assert (await api.until("sendMessageDraft"))["text"] == "b" * 10
        writing.show("word " * 100_000)
        assert 0 < len((await api.until("sendMessageDraft", 2))["text"]) <= 4096


async def test_no_draft_arrives_behind_the_message_it_announced() -> None:
    api = ScriptedApi(gates={"sendMessageDraft": asyncio.Event()})
    async with reply(api) as writing:
        writing.show("half")
        await api.until("sendMessageDraft")
        sending = asyncio.create_task(writing.send("half and half"))
        api.gates["sendMessageDraft"].set()
        await sending
    assert [method for method, _ in api.calls][-2:] == ["sendMessageDraft", "sendMessage"]


async def test_a_draft_that_hangs_does_not_hold_the_message_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply_module, "IN_FLIGHT_SECONDS", 0.01)
    api = ScriptedApi(gates={"sendMessageDraft": asyncio.Event()})
    async with reply(api) as writing, asyncio.timeout(5):
        writing.show("half")
        await api.until("sendMessageDraft")
        await writing.send("whole")
    assert api.of("sendMessage")[0]["text"] == "whole"


async def test_a_chat_that_takes_no_drafts_gets_a_message_that_grows_and_ends_as_the_answer() -> None:
    api = ScriptedApi(script={"sendMessageDraft": [REFUSED]})
    async with reply(api) as writing:
        writing.show("one")
        first = await api.until("sendMessage")
        assert (first["text"], first["link_preview_options"]) == ("one", {"is_disabled": True})
        writing.show("one *two*")
        grown = await api.until("editMessageText")
        assert (grown["text"], grown["link_preview_options"]) == ("one two", {"is_disabled": True})
        await writing.send("one *two* three")
    assert api.calls[-1][0] == "editMessageText"
    assert api.calls[-1][1]["text"] == "one two three"
    assert len(api.of("sendMessage")) == 1


async def test_a_group_gets_no_draft_and_a_reply_to_the_message() -> None:
    api = ScriptedApi()
    async with reply(api, Place(-100, 12, 3), drafts=False) as writing:
        writing.show("one")
        first = await api.until("sendMessage")
        assert first["reply_parameters"] == {"message_id": 3, "allow_sending_without_reply": True}
        assert first["message_thread_id"] == 12
        await writing.send("a" * 4096 + "b")
    assert not api.of("sendMessageDraft")
    edit, rest = api.of("editMessageText")[-1], api.of("sendMessage")[-1]
    assert (edit["text"], rest["text"]) == ("a" * 4096, "b")
    assert "reply_parameters" not in rest
    assert "message_thread_id" not in edit


async def test_a_group_that_is_answered_at_once_gets_one_message() -> None:
    api = ScriptedApi()
    async with reply(api, Place(-100, 0, 3), drafts=False) as writing:
        await writing.send("one")
    assert api.of("sendMessage")[0]["reply_parameters"]["message_id"] == 3
    assert not api.of("editMessageText")


async def test_a_growing_message_that_somebody_deleted_is_sent_anew() -> None:
    api = ScriptedApi()
    async with reply(api, Place(-100), drafts=False) as writing:
        writing.show("one")
        await api.until("sendMessage")
        api.script["editMessageText"] = [REFUSED, REFUSED]
        await writing.send("one two")
    assert [sent["text"] for sent in api.of("sendMessage")] == ["one", "one two"]


async def test_an_edit_that_changes_nothing_is_an_edit_made() -> None:
    api = ScriptedApi()
    async with reply(api, Place(-100), drafts=False) as writing:
        writing.show("one")
        await api.until("sendMessage")
        api.script["editMessageText"] = [UnchangedError(Code.CHANNEL_ERROR, 400)]
        await writing.send("one")
    assert len(api.of("sendMessage")) == 1


async def test_what_telegram_cannot_parse_goes_as_plain_text() -> None:
    api = ScriptedApi(script={"sendMessage": [REFUSED]})
    async with reply(api, Place(-100, 12, 3), drafts=False) as writing:
        await writing.send("**a**")
    assert api.of("sendMessage")[1] == {
        "chat_id": -100,
        "message_thread_id": 12,
        "text": "a",
        "link_preview_options": {"is_disabled": True},
    }


async def test_what_telegram_refuses_even_plain_is_given_up() -> None:
    api = ScriptedApi(script={"sendMessage": [REFUSED, REFUSED]})
    async with reply(api) as writing:
        with pytest.raises(RefusedError):
            await writing.send("**a**")
    assert len(api.of("sendMessage")) == 2


@pytest.mark.parametrize(
    "failure",
    [
        AWAY,
        GarbledError(Code.CHANNEL_UNREACHABLE, 200),
        ChannelError(Code.CHANNEL_ERROR, 502),
        ChannelError(Code.BAD_TOKEN, 401),
    ],
)
async def test_a_message_is_tried_until_it_arrives(failure: ChannelError) -> None:
    api = ScriptedApi(script={"sendMessage": [failure] * 5})
    async with reply(api) as writing, asyncio.timeout(5):
        await writing.send("a")
    assert [sent["text"] for sent in api.of("sendMessage")] == ["a"] * 6


async def test_who_has_blocked_the_bot_is_not_tried_again() -> None:
    api = ScriptedApi(script={"sendMessage": [BLOCKED]})
    async with reply(api) as writing:
        with pytest.raises(ChannelError) as error:
            await writing.send("a")
    assert error.value.code is Code.PERSON_UNREACHABLE
    assert len(api.of("sendMessage")) == 1


async def test_a_group_that_became_a_supergroup_is_followed() -> None:
    api = ScriptedApi(script={"sendMessage": [MovedError(-1009)]})
    async with reply(api, Place(-100), drafts=False) as writing:
        await writing.send("a")
    assert [sent["chat_id"] for sent in api.of("sendMessage")] == [-100, -1009]


async def test_a_failing_preview_is_only_left_out() -> None:
    api = ScriptedApi(script={"sendChatAction": [AWAY] * 99, "sendMessageDraft": [AWAY] * 99})
    async with reply(api) as writing:
        writing.show("a")
        await api.until("sendMessageDraft", 3)
        await writing.send("a")
    assert len(api.of("sendMessage")) == 1


async def test_an_answer_of_nothing_visible_is_still_a_message() -> None:
    api = ScriptedApi()
    async with reply(api) as writing:
        await writing.send("\u200b\u200b")
    assert api.of("sendMessage")[0]["text"] == "…"


async def test_a_reply_given_up_leaves_no_call_behind() -> None:
    api = ScriptedApi(gates={"sendChatAction": asyncio.Event()})
    before = len(asyncio.all_tasks())
    async with reply(api):
        api.gates["sendChatAction"].set()
    assert len(asyncio.all_tasks()) == before


def test_pauses_grow_and_never_undercut_what_telegram_asks() -> None:
    away = [pause(AWAY, failures, 1.0) for failures in range(1, 10)]
    assert away[:4] == [0.5, 1, 2, 4]
    assert max(away) == LONGEST_PAUSE
    limited = ChannelError(Code.CHANNEL_RATE_LIMITED, 7)
    assert pause(limited, 1, 0.8) == 7
    assert pause(limited, 1, 1.2) == pytest.approx(8.4)
    assert pause(limited, 10, 1.0) == LONGEST_PAUSE


@pytest.mark.parametrize(
    ("answer", "kind", "code", "number"),
    [
        (b'{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}', ChannelError, "person", 400),
        (b'{"ok":false,"error_code":400,"description":"message is not modified: x"}', UnchangedError, "channel-e", 400),
        (b'{"ok":false,"error_code":400,"parameters":{"migrate_to_chat_id":-5}}', MovedError, "channel-e", 400),
        (b'{"ok":false,"error_code":400}', RefusedError, "channel-e", 400),
        (b'{"ok":false,"error_code":403}', ChannelError, "person", 403),
        (b'{"ok":false,"error_code":429,"parameters":{"retry_after":9}}', ChannelError, "channel-r", 9),
        (b'{"ok":false,"error_code":429,"parameters":[]}', ChannelError, "channel-r", 1),
        (b'{"ok":false,"error_code":429,"parameters":{"retry_after":1e99}}', ChannelError, "channel-r", 1),
        (b'{"ok":false,"error_code":1e999}', GarbledError, "channel-u", 418),
        (b'{"ok":false}', GarbledError, "channel-u", 418),
        (b'{"ok":true}', GarbledError, "channel-u", 418),
        (b"<html>", GarbledError, "channel-u", 418),
        (b"[" * 100_000, GarbledError, "channel-u", 418),
        (b"\xff", GarbledError, "channel-u", 418),
        (b"null", GarbledError, "channel-u", 418),
    ],
)
def test_what_an_answer_means(answer: bytes, kind: type[ChannelError], code: str, number: int) -> None:
    with pytest.raises(ChannelError) as error:
        _result(418, answer)
    assert type(error.value) is kind
    assert error.value.code.value.startswith(code)
    assert error.value.number == number


def test_entities_beyond_a_hundred_are_left_out() -> None:
    spans = tuple(Span(Style.BOLD, at, at + 1) for at in range(0, 400, 2))
    assert len(Styled("a" * 400, spans).entities()) == 100

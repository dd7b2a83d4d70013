"""The Bot API stand-in, called as a bot calls it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from clawmates.simulator.model import Failure, Fault, FaultKind, Service, User
from clawmates.simulator.telegram.errors import KNOWN

if TYPE_CHECKING:
    from clawmates.base.http.client import Connection

TOKEN = "123456:" + "A" * 35
CHAT = 77


@pytest.fixture
async def chat(bench: Any) -> int:
    """A chat that a person has begun; its message 1 is theirs, update 700000001."""
    await bench.control.say(TOKEN, CHAT, "hello", user=User(id=CHAT, first_name="Ada"))
    return CHAT


async def raw(connection: Connection, method: str, target: str, body: bytes = b"", kind: str = "") -> tuple[int, Any]:
    headers = [("Content-Type", kind)] if kind else []
    response = await connection.request(method, target, headers=headers, body=body)
    return response.status, json.loads(await response.read(1 << 20))


async def test_get_me(bench: Any) -> None:
    me = await bench.result("getMe")
    assert me["id"] == 123456
    assert me["is_bot"] is True
    assert me["username"] == "test_bot"


async def test_a_wrong_token_is_401(bench: Any) -> None:
    status, answer = await bench.telegram("getMe", token="123456:" + "B" * 35)
    assert (status, answer) == (401, {"ok": False, "error_code": 401, "description": "Unauthorized"})


@pytest.mark.parametrize("path", ["/botnonsense/getMe", "/bot0123:abc/getMe", "/", "/bot", f"/bot{TOKEN}", "/x/getMe"])
async def test_a_malformed_token_or_path_is_404(bench: Any, path: str) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        status, answer = await raw(connection, "GET", path)
    assert (status, answer) == (404, {"ok": False, "error_code": 404, "description": "Not Found"})


async def test_an_undocumented_method_is_404(bench: Any) -> None:
    assert await bench.refusal("sendTelepathy") == "Not Found: method not found"


async def test_method_names_know_no_case(bench: Any) -> None:
    assert (await bench.result("GETME"))["username"] == "test_bot"
    (call,) = await bench.control.journal(Service.TELEGRAM)
    assert call.method == "getMe"


async def test_another_http_method_is_refused(bench: Any) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        status, answer = await raw(connection, "PUT", f"/bot{TOKEN}/getMe")
    assert (status, answer["ok"]) == (400, False)


async def test_another_host_is_misdirected(bench: Any) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        connection.host = "api.openai.com"
        status, answer = await raw(connection, "GET", f"/bot{TOKEN}/getMe")
    assert (status, answer["error_code"]) == (421, 421)


async def test_parameters_come_as_query_form_or_json(bench: Any, chat: int) -> None:
    fields = {"chat_id": str(chat), "text": "a b&ü", "link_preview_options": '{"is_disabled": true}'}
    async with bench.connect(Service.TELEGRAM) as connection:
        target = f"/bot{TOKEN}/sendMessage"
        answers = [
            await raw(connection, "GET", f"{target}?{urlencode(fields)}"),
            await raw(
                connection, "POST", target, urlencode(fields).encode(), "application/x-www-form-urlencoded; charset=x"
            ),
            await raw(connection, "POST", target, json.dumps(fields).encode(), "application/json"),
        ]
    assert [answer["result"]["text"] for status, answer in answers if status == 200] == ["a b&ü"] * 3
    sent = await bench.control.sent(TOKEN, chat)
    assert [one.preview_disabled for one in sent] == [True] * 3


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"{", "application/json", "can't parse request body as JSON object"),
        (b"[1]", "application/json", "request body must be a JSON object"),
        (b"text=%C3\xff", "application/x-www-form-urlencoded", "strings must be encoded in UTF-8"),
        (b"x", "text/plain", "the stand-in does not read request bodies of type text/plain"),
    ],
)
async def test_bodies_that_cannot_be_read(bench: Any, body: bytes, kind: str, reason: str) -> None:
    async with bench.connect(Service.TELEGRAM) as connection:
        status, answer = await raw(connection, "POST", f"/bot{TOKEN}/getMe", body, kind)
    assert (status, answer["description"]) == (400, f"Bad Request: {reason}")


@pytest.mark.parametrize(
    ("method", "fields", "reason"),
    [
        ("getMe", {"x": 1}, 'the reference has no parameter "x"'),
        ("sendMessage", {"txt": "x"}, 'the reference has no parameter "txt"'),
        ("getUpdates", {"offset": "soon"}, 'parameter "offset" must be an Integer'),
        ("getUpdates", {"limit": True}, 'parameter "limit" must be an Integer'),
        ("getUpdates", {"limit": 1.5}, 'parameter "limit" must be an Integer'),
        ("getUpdates", {"allowed_updates": "message"}, "can't parse allowed_updates JSON object"),
        ("getUpdates", {"allowed_updates": {}}, 'parameter "allowed_updates" must be an Array'),
        ("getUpdates", {"allowed_updates": ["gossip"]}, "the reference has no update 'gossip'"),
        ("sendMessage", {"text": 5}, 'parameter "text" must be a String'),
        ("sendMessage", {"text": "\ud83d"}, "strings must be encoded in UTF-8"),
        ("sendMessage", {"protect_content": "perhaps"}, 'parameter "protect_content" must be a Boolean'),
        ("sendMessage", {"reply_markup": "[]"}, 'parameter "reply_markup" must be an Object'),
        ("sendMessage", {"text": "x"}, "chat_id is empty"),
        ("sendMessage", {"chat_id": 5, "text": "x"}, "chat not found"),
        ("sendMessage", {"chat_id": CHAT}, "message text is empty"),
        ("sendMessage", {"chat_id": CHAT, "text": "x" * 4097}, "message is too long"),
        (
            "sendMessage",
            {"chat_id": CHAT, "text": "a.b", "parse_mode": "MarkdownV2"},
            "can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'",
        ),
        (
            "sendMessage",
            {"chat_id": CHAT, "text": "<b>x", "parse_mode": "HTML"},
            "can't parse entities: Can't find end tag corresponding to start tag \"b\"",
        ),
        (
            "sendMessage",
            {"chat_id": CHAT, "text": "x", "link_preview_options": {"disabled": True}},
            'the reference has no parameter "link_preview_options.disabled"',
        ),
        (
            "sendMessage",
            {"chat_id": CHAT, "text": "x", "link_preview_options": {"is_disabled": 1}},
            'parameter "link_preview_options.is_disabled" must be a Boolean',
        ),
        (
            "sendMessage",
            {"chat_id": CHAT, "text": "x", "reply_parameters": {"message_id": 9}},
            "message to be replied not found",
        ),
        (
            "sendMessage",
            {"chat_id": CHAT, "text": "x", "reply_parameters": {}},
            "message identifier is not specified",
        ),
        ("sendChatAction", {"chat_id": CHAT, "action": "dancing"}, "wrong parameter action in request"),
        ("sendChatAction", {"chat_id": CHAT}, "wrong parameter action in request"),
        ("sendMessageDraft", {"chat_id": CHAT, "draft_id": 0, "text": "x"}, "draft_id must be non-zero"),
        ("sendMessageDraft", {"chat_id": CHAT, "text": "x"}, 'parameter "draft_id" is required'),
        ("sendMessageDraft", {"chat_id": CHAT, "draft_id": 1, "text": "x" * 4097}, "message is too long"),
        ("sendMessageDraft", {"chat_id": "@me", "draft_id": 1}, 'parameter "chat_id" must be an Integer'),
        ("editMessageText", {"chat_id": CHAT, "text": "x"}, "message identifier is not specified"),
        ("editMessageText", {"chat_id": CHAT, "message_id": 1, "text": "x"}, "message to edit not found"),
        ("setMyCommands", {}, 'parameter "commands" is required'),
        ("setMyCommands", {"commands": [{"command": "Start", "description": "x"}]}, "BOT_COMMAND_INVALID"),
        ("setMyCommands", {"commands": [{"command": "a", "description": ""}]}, "BOT_COMMAND_DESCRIPTION_INVALID"),
        ("setMyCommands", {"commands": ["start"]}, "can't parse BotCommand: expected an Object"),
        (
            "setMyCommands",
            {"commands": [{"command": "a", "description": "x"}] * 101},
            "BOT_COMMANDS_TOO_MUCH",
        ),
        (
            "setMyCommands",
            {"commands": [], "scope": {"type": "world"}},
            "can't parse BotCommandScope: unsupported type specified",
        ),
        ("setMyCommands", {"commands": [], "language_code": "deu"}, "invalid language code specified"),
    ],
)
async def test_bad_requests(bench: Any, chat: int, method: str, fields: dict[str, object], reason: str) -> None:
    assert await bench.refusal(method, **fields) == f"Bad Request: {reason}"
    assert await bench.control.sent(TOKEN, chat) == ()


async def test_updates_by_the_wire(bench: Any, chat: int) -> None:
    (update,) = await bench.result("getUpdates", timeout=50)
    assert update["message"]["text"] == "hello"
    assert await bench.result("getUpdates", offset=update["update_id"] + 1, timeout=0) == []


async def test_a_waiting_poll_is_answered_when_somebody_writes(bench: Any, chat: int) -> None:
    async with asyncio.TaskGroup() as group:
        poll = group.create_task(bench.result("getUpdates", offset=700_000_002, timeout=50))
        await bench.control.wait_call(Service.TELEGRAM, "getUpdates", timeout=5)
        update_id = await bench.control.say(TOKEN, chat, "again")
    assert [one["update_id"] for one in poll.result()] == [update_id]
    (call,) = await bench.control.wait_call(Service.TELEGRAM, "getUpdates", finished=True, timeout=5)
    assert call.updates == (update_id,)
    assert call.received < call.answered


async def test_a_second_poll_ends_the_first(bench: Any) -> None:
    async with asyncio.TaskGroup() as group:
        first = group.create_task(bench.telegram("getUpdates", offset=1, timeout=50))
        await bench.control.wait_call(Service.TELEGRAM, "getUpdates", timeout=5)
        second = group.create_task(bench.telegram("getUpdates", offset=2, timeout=50))
        await bench.control.wait_call(Service.TELEGRAM, "getUpdates", count=2, timeout=5)
        await bench.control.say(TOKEN, 5, "hello")
    status, answer = first.result()
    assert (status, answer["error_code"]) == (409, 409)
    assert answer["description"].startswith("Conflict: terminated by other getUpdates request")
    assert len(second.result()[1]["result"]) == 1


async def test_allowed_updates_are_kept_between_calls(bench: Any) -> None:
    await bench.result("getUpdates", offset=1, allowed_updates=["callback_query"])
    assert await bench.control.say(TOKEN, 5, "hello") == 0
    assert await bench.control.push(TOKEN, "callback_query", '{"id": "1"}') > 0
    (update,) = await bench.result("getUpdates")
    assert update["callback_query"] == {"id": "1"}


async def test_the_chat_of_a_pushed_update_exists(bench: Any) -> None:
    for body in ("[]", '{"chat": {"id": "x"}}', '{"chat": {"id": 99}, "message_id": 41, "text": "x"}'):
        await bench.control.push(TOKEN, "message", body)
    assert (await bench.result("sendMessage", chat_id=99, text="x"))["message_id"] == 42


async def test_send_message(bench: Any, chat: int) -> None:
    message = await bench.result(
        "sendMessage",
        chat_id=chat,
        text="<b>x</b> y",
        parse_mode="HTML",
        link_preview_options={"is_disabled": True},
        reply_parameters={"message_id": 1},
    )
    assert (message["message_id"], message["text"], message["chat"]["id"]) == (2, "x y", chat)
    assert message["entities"] == [{"type": "bold", "offset": 0, "length": 1}]
    assert message["from"]["is_bot"] is True
    (sent,) = await bench.control.sent(TOKEN, chat)
    assert (sent.message_id, sent.text, sent.entities, sent.preview_disabled, sent.reply_to) == (
        2,
        "x y",
        ("bold",),
        True,
        1,
    )


async def test_a_reply_may_go_without_its_message(bench: Any, chat: int) -> None:
    reply = {"message_id": 9, "allow_sending_without_reply": True}
    await bench.result("sendMessage", chat_id=chat, text="x", reply_parameters=reply)
    assert [one.reply_to for one in await bench.control.sent(TOKEN, chat)] == [0]


async def test_drafts_are_for_private_chats(bench: Any, chat: int) -> None:
    assert await bench.result("sendMessageDraft", chat_id=chat, draft_id=1, text="x", can_stop=True) is True
    assert await bench.result("sendMessageDraft", chat_id=chat, draft_id=1) is True
    assert await bench.control.sent(TOKEN, chat) == ()
    await bench.control.say(TOKEN, -5, "hello")
    reason = await bench.refusal("sendMessageDraft", chat_id=-5, draft_id=1, text="x")
    assert reason == "Bad Request: message drafts can be sent to private chats only"


async def test_chat_action_commands_and_webhook(bench: Any, chat: int) -> None:
    assert await bench.result("sendChatAction", chat_id=chat, action="typing") is True
    commands = [{"command": "start", "description": "Begin"}]
    scope = {"type": "all_private_chats"}
    assert await bench.result("setMyCommands", commands=commands, scope=scope, language_code="de") is True
    assert await bench.result("deleteWebhook") is True
    assert len(await bench.result("getUpdates")) == 1
    assert await bench.result("deleteWebhook", drop_pending_updates=True) is True
    assert await bench.result("getUpdates", offset=5) == []


async def test_edit_message_text(bench: Any, chat: int) -> None:
    sent = await bench.result("sendMessage", chat_id=chat, text="x")
    edit = {"chat_id": chat, "message_id": sent["message_id"]}
    assert "is not modified" in await bench.refusal("editMessageText", text="x", **edit)
    edited = await bench.result("editMessageText", text="y", **edit)
    assert edited["text"] == "y"
    assert "edit_date" in edited
    (known,) = await bench.control.sent(TOKEN, chat)
    assert (known.text, known.edits) == ("y", 1)


async def test_inline_and_rich_messages_are_said_to_be_unknown(bench: Any) -> None:
    assert "the stand-in does not know inline_message_id" in await bench.refusal(
        "editMessageText", inline_message_id="1", text="x"
    )


async def test_flood_control_of_one_chat(bench: Any, chat: int) -> None:
    await bench.control.say(TOKEN, 78, "hello")
    flood = Fault(kind=FaultKind.ERROR, failure=Failure.TOO_MANY_REQUESTS, retry_after=7, chat_id=chat)
    await bench.control.set_fault(Service.TELEGRAM, flood, method="sendMessage")
    await bench.result("sendMessage", chat_id=78, text="other chat")
    await bench.result("sendChatAction", chat_id=chat, action="typing")
    status, answer = await bench.telegram("sendMessage", chat_id=chat, text="x")
    assert status == 429
    assert answer == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 7",
        "parameters": {"retry_after": 7},
    }
    await bench.result("sendMessage", chat_id=chat, text="x")


@pytest.mark.parametrize("failure", sorted(KNOWN))
async def test_every_documented_error_comes_on_demand(bench: Any, failure: Failure) -> None:
    await bench.control.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.ERROR, failure=failure), times=2)
    descriptions = [await bench.refusal("getMe") for _ in range(2)]
    assert len(set(descriptions)) == 1
    assert (await bench.result("getMe"))["is_bot"] is True


async def test_the_token_is_in_no_journal(bench: Any, chat: int) -> None:
    await bench.result("sendMessage", chat_id=chat, text="x")
    await bench.telegram("getMe", token="123456:" + "B" * 35)
    calls = await bench.control.journal(Service.TELEGRAM)
    assert [call.caller for call in calls] == ["test_bot", ""]
    assert "A" * 35 not in repr(calls)
    assert "B" * 35 not in repr(calls)
    assert calls[0].parameters == {"chat_id": chat, "text": "x"}

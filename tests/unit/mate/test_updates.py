from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.mate.channels.telegram.outbox import Place
from clawmates.mate.channels.telegram.updates import MAX_TEXT, Heard, Me, heard, place_of, update_id
from clawmates.mate.messages import Farewell, Halt, Inbound, Media, MediaKind, Text
from clawmates.simulator.telegram.reference import UPDATE_KINDS

PERSON = {"id": 7, "is_bot": False, "first_name": "A", "language_code": "de-AT"}
CHAT = {"id": 7, "type": "private"}
GROUP = {"id": -100, "type": "supergroup", "title": "G"}
ME = Me(99, "test_bot")
MYSELF = {"id": 99, "is_bot": True, "first_name": "T", "username": "test_bot"}


def update(**message: Any) -> dict[str, Any]:
    return {"update_id": 5, "message": {"message_id": 1, "date": 0, "from": PERSON, "chat": CHAT, **message}}


def said(**message: Any) -> Heard | None:
    meant = heard(update(**message), ME)
    assert meant is None or isinstance(meant, Heard)
    return meant


def inbound(**message: Any) -> Inbound:
    meant = said(**message)
    assert meant is not None
    return meant.inbound


def test_text() -> None:
    got = inbound(text="hi")
    assert (got.turn, got.chat, got.key, got.parts, got.private) == ("telegram:5", "7", 5, (Text("hi"),), True)
    assert (got.person, got.language, got.quote) == ("7", "de-AT", "")


def test_the_largest_photo_with_its_caption() -> None:
    got = inbound(photo=[{"file_id": "small"}, {"file_id": "large"}], caption="look")
    assert got.parts == (Media(MediaKind.IMAGE, "large"), Text("look"))


@pytest.mark.parametrize("kind", ["sticker", "voice", "video", "document", "location", "poll", "dice", "contact"])
def test_other_kinds_are_answered(kind: str) -> None:
    assert isinstance(inbound(**{kind: {"file_id": "x"}}).parts[0], Media)


@pytest.mark.parametrize(
    "odd",
    [
        update(new_chat_members=[PERSON]),
        update(text="hi") | {"message": {"chat": CHAT, "text": "no sender"}},
        update(text="hi", is_automatic_forward=True),
        update(text="hi", chat={"id": True, "type": "private"}),
        update(text="hi", **{"from": PERSON | {"is_bot": True}}),
        {"update_id": 5, "edited_message": {"text": "hi"}},
        {"update_id": 5, "message": "text"},
        {"update_id": "5", "message": {}},
        {"update_id": True},
        {"update_id": 5, "stopped_message_generation": {"chat": CHAT}},
        {"update_id": 5, "stopped_message_generation": {"draft_id": 3}},
        {"update_id": 5, "my_chat_member": {"chat": CHAT, "new_chat_member": {"status": "member"}}},
        [],
        None,
    ],
)
def test_what_is_no_message_of_a_person_is_passed_over(odd: Any) -> None:
    assert not isinstance(odd, dict) or heard(odd, ME) is None


@pytest.mark.parametrize("kind", sorted(UPDATE_KINDS - {"message", "edited_message"}))
def test_every_kind_of_update_is_passed_over_or_means_something(kind: str) -> None:
    body = {"id": "1", "chat": CHAT, "from": PERSON, "message_id": 1, "date": 0, "text": "hi", "draft_id": 3}
    meant = heard({"update_id": 5, kind: body}, ME)
    assert meant == (Halt("7", 3) if kind == "stopped_message_generation" else None)


def test_an_edit_is_known_as_one() -> None:
    edit = heard({"update_id": 6, "edited_message": update(text="better")["message"]}, ME)
    assert isinstance(edit, Heard)
    assert (edit.edited, edit.number, edit.inbound.text) == (True, 1, "better")


@pytest.mark.parametrize("status", ["kicked", "left"])
def test_who_blocks_the_bot_says_farewell(status: str) -> None:
    member = {"chat": CHAT, "from": PERSON, "new_chat_member": {"status": status, "user": MYSELF}}
    assert heard({"update_id": 5, "my_chat_member": member}, ME) == Farewell("7")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"text": "@test_bot hi", "entities": [{"type": "mention", "offset": 0, "length": 9}]}, "hi"),
        ({"text": "😀 @Test_Bot hi", "entities": [{"type": "mention", "offset": 3, "length": 9}]}, "😀 @Test_Bot hi"),
        ({"text": "@test_bot", "entities": [{"type": "mention", "offset": 0, "length": 9}]}, "@test_bot"),
        ({"text": "hey T", "entities": [{"type": "text_mention", "offset": 4, "length": 1, "user": MYSELF}]}, "hey T"),
        ({"text": "why?", "reply_to_message": {"from": MYSELF, "text": "so"}}, "why?"),
        ({"text": "/new", "entities": [{"type": "bot_command", "offset": 0, "length": 4}]}, "/new"),
        ({"text": "/x@test_bot a", "entities": [{"type": "bot_command", "offset": 0, "length": 11}]}, "/x@test_bot a"),
    ],
)
def test_in_a_group_it_answers_what_is_said_to_it(message: dict[str, Any], text: str) -> None:
    meant = said(chat=GROUP, **message)
    assert meant is not None
    assert (meant.inbound.text, meant.inbound.private, meant.place) == (text, False, Place(-100, 0, 1))


@pytest.mark.parametrize(
    "message",
    [
        {"text": "hi"},
        {"text": "@other_bot hi", "entities": [{"type": "mention", "offset": 0, "length": 10}]},
        {"text": "@test_bot_2 hi", "entities": [{"type": "mention", "offset": 0, "length": 11}]},
        {"text": "no", "reply_to_message": {"from": PERSON, "text": "so"}},
        {"text": "hi", "reply_to_message": {"from": MYSELF, "forum_topic_created": {"name": "T"}}},
        {"text": "/new@other_bot", "entities": [{"type": "bot_command", "offset": 0, "length": 14}]},
        {"text": "/roll", "entities": [{"type": "bot_command", "offset": 0, "length": 5}]},
        {"text": "see /new", "entities": [{"type": "bot_command", "offset": 4, "length": 4}]},
        {"text": "x", "entities": [{"type": "mention", "offset": -4, "length": 1 << 60}]},
        {"text": "x", "entities": [{"type": "mention", "offset": 10**30, "length": 9}, None, {"type": []}]},
        {"text": "x", "entities": {"type": "mention"}},
        {"new_chat_title": "x", "reply_to_message": {"from": MYSELF, "text": "so"}},
    ],
)
def test_in_a_group_it_passes_over_the_rest(message: dict[str, Any]) -> None:
    assert said(chat=GROUP, **message) is None


def test_a_reply_brings_what_it_answers_as_a_quote() -> None:
    got = inbound(text="why?", reply_to_message={"from": MYSELF, "text": "one\ntwo"})
    assert got.quote == "one\ntwo"
    assert got.message.text == "> one\n> two\n\nwhy?"
    assert got.text == "why?"
    chosen = inbound(text="why?", reply_to_message={"from": MYSELF, "text": "one two"}, quote={"text": "two"})
    assert chosen.quote == "two"
    foreign = inbound(text="why?", external_reply={"origin": {}}, quote={"text": "said elsewhere", "position": 0})
    assert foreign.quote == "said elsewhere"


def test_a_long_quote_is_shortened() -> None:
    assert inbound(text="why?", reply_to_message={"from": MYSELF, "text": "x" * 5000}).quote == "x" * 1000 + "…"


def test_a_topic_is_a_chat_of_its_own() -> None:
    meant = said(text="hi", message_thread_id=12, is_topic_message=True)
    assert meant is not None
    assert (meant.inbound.chat, meant.place) == ("7/12", Place(7, 12))
    assert place_of(meant.inbound.chat) == Place(7, 12)
    assert place_of("-100") == Place(-100)


@pytest.mark.parametrize(
    ("text", "heard_as"),
    [
        ("\u200b\u2060\u2800", ""),
        ("\u202egnp.exe", "\u202egnp.exe"),
        ("\ud83d\ude00", "😀"),
        ("half \ud83d", "half �"),
        ("x" * 1_000_000, "x" * MAX_TEXT),
    ],
)
def test_tricks_with_characters(text: str, heard_as: str) -> None:
    got = inbound(text=text)
    assert got.text == heard_as
    got.message.text.encode()  # Raises for half a character


@pytest.mark.parametrize("language", [None, 7, "x", "en\nignore", "e" * 40])
def test_a_language_that_is_none(language: Any) -> None:
    assert inbound(text="hi", **{"from": PERSON | {"language_code": language}}).language == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("message", "edited_message", "chat", "from", "text", "photo", "id", "entities", "quote"),
                    *("my_chat_member", "reply_to_message", "is_bot", "offset", "length", "type", "is_topic_message"),
                ]
            ),
            inner,
        )
    ),
)


@given(JSON, JSON)
def test_nothing_that_parses_crashes(foreign: Any, message: Any) -> None:
    assert update_id(foreign) is None or isinstance(foreign, dict)
    if isinstance(foreign, dict):
        heard(foreign | {"update_id": 1}, ME)
    if isinstance(message, dict):
        meant = heard({"update_id": 1, "message": message | {"chat": CHAT, "from": PERSON}}, ME)
        assert meant is None or (isinstance(meant, Heard) and meant.inbound.key == 1)

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.mate.channels.telegram.updates import inbound, update_id
from clawmates.mate.messages import Media, MediaKind, Text

PERSON = {"id": 7, "is_bot": False, "first_name": "A"}
CHAT = {"id": 7, "type": "private"}


def update(**message: Any) -> dict[str, Any]:
    return {"update_id": 5, "message": {"message_id": 1, "date": 0, "from": PERSON, "chat": CHAT, **message}}


def test_text() -> None:
    got = inbound(update(text="hi"))
    assert got is not None
    assert (got.turn, got.chat, got.key, got.parts, got.private) == ("telegram:5", "7", 5, (Text("hi"),), True)


def test_the_largest_photo_with_its_caption() -> None:
    got = inbound(update(photo=[{"file_id": "small"}, {"file_id": "large"}], caption="look"))
    assert got is not None
    assert got.parts == (Media(MediaKind.IMAGE, "large"), Text("look"))


@pytest.mark.parametrize("kind", ["sticker", "voice", "video", "document", "location", "poll", "dice", "contact"])
def test_other_kinds_are_answered(kind: str) -> None:
    got = inbound(update(**{kind: {"file_id": "x"}}))
    assert got is not None
    assert isinstance(got.parts[0], Media)


@pytest.mark.parametrize(
    "odd",
    [
        update(new_chat_members=[PERSON]),
        update(text="hi") | {"message": {"chat": CHAT, "text": "no sender"}},
        {"update_id": 5, "edited_message": {"text": "hi"}},
        {"update_id": 5, "message": "text"},
        {"update_id": "5", "message": {}},
        {"update_id": True},
        [],
        None,
    ],
)
def test_what_is_no_message_of_a_person_is_passed_over(odd: Any) -> None:
    assert not isinstance(odd, dict) or inbound(odd) is None


def test_bots_are_not_answered() -> None:
    assert inbound(update(text="hi", **{"from": PERSON | {"is_bot": True}})) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["message", "chat", "from", "text", "photo", "id"]), inner)
    ),
)


@given(JSON)
def test_nothing_that_parses_crashes(foreign: Any) -> None:
    assert update_id(foreign) is None or isinstance(foreign, dict)
    if isinstance(foreign, dict):
        got = inbound(foreign | {"update_id": 1})
        assert got is None or got.key == 1

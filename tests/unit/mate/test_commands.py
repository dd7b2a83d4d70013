from __future__ import annotations

import pytest

from clawmates.mate import texts
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.commands import Command, Spent, Usage, answer, command
from clawmates.mate.messages import Inbound, Text


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("/new", Command.NEW),
        ("/NEW@Some_Bot please", Command.NEW),
        ("/stop\nnow", Command.STOP),
        ("/start payload", Command.START),
        ("new", None),
        (" /new", None),
        ("/", None),
        ("/ new", None),
        ("//new", None),
        ("/newer", None),
        ("/etc/passwd", None),
        ("/new\u200b", None),
        ("", None),
    ],
)
def test_what_is_a_command(text: str, asked: Command | None) -> None:
    assert command(text) is asked


def said(asked: Command, language: str = "", model: str = "gpt-5_x", spent: Spent | None = None) -> str:
    inbound = Inbound("t", "1", 1, (Text(f"/{asked}"),), language=language)
    return answer(asked, inbound, model=model, host="api.openai.com", spent=spent or Spent())


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("asked", list(Command))
def test_every_command_is_answered_in_the_language_of_who_asks(asked: Command, language: str) -> None:
    assert said(asked, language)
    if language == "de":
        assert said(asked, language) != said(asked, "en")


def test_help_names_every_command() -> None:
    for one in Command:
        assert f"/{one}: {texts.of('de').menu[one]}" in said(Command.HELP, "de")


@pytest.mark.parametrize("model", ["gpt-5_x_y", "a*b*c", "a`b", "[x](https://x.example)"])
def test_a_models_name_is_shown_as_it_is(model: str) -> None:
    shown = render(said(Command.MODEL, model=model))
    assert model.replace("`", "'") in shown.text
    assert [span.style.value for span in shown.spans] == ["code", "code"]


def test_usage_is_counted_a_chat_and_forgotten() -> None:
    usage = Usage(chats=2)
    usage.count("a", 10, 5)
    usage.count("a", 1, 2)
    usage.count("b", 100, 100)
    assert usage.of("a") == Spent(2, 11, 7)
    text = said(Command.USAGE, spent=usage.of("a"))
    assert all(number in text for number in ("answers: 2", "read: 11", "written: 7"))
    usage.count("c", 1, 1)
    assert usage.of("a") == Spent()
    usage.forget("b")
    assert usage.of("b") == Spent()

from __future__ import annotations

from dataclasses import fields
from string import Formatter

import pytest

from clawmates.mate import texts
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.commands import Command
from clawmates.mate.texts import LANGUAGES, Texts
from clawmates.wire.codes import Code

EVERY = pytest.mark.parametrize("language", LANGUAGES)


@pytest.mark.parametrize(
    ("tag", "language"),
    [("", "en"), ("en", "en"), ("de", "de"), ("de-AT", "de"), ("DE", "de"), ("den", "en"), ("fr", "en"), ("-de", "en")],
)
def test_a_language_is_chosen_by_its_tag(tag: str, language: str) -> None:
    assert texts.of(tag) is texts.of(language)
    assert texts.of("de") is not texts.of("en")


@EVERY
def test_nothing_is_empty_and_every_sentence_ends(language: str) -> None:
    words = texts.of(language)
    for field in fields(Texts):
        value = getattr(words, field.name)
        assert value
        if isinstance(value, str):
            assert value.rstrip("]").endswith((".", "?", "/help."))


@EVERY
def test_every_code_has_a_sentence_without_the_code_in_it(language: str) -> None:
    for code in Code:
        sentence = texts.for_code(code, language)
        assert sentence.endswith(".")
        assert "-" not in code.value or code.value not in sentence


def test_every_language_says_the_same_things() -> None:
    first, *others = [texts.of(language) for language in LANGUAGES]
    for other in others:
        assert set(other.codes) == set(first.codes)
        assert not set(other.codes.values()) & set(first.codes.values())
        for name in ("model", "usage"):
            asked = [{found[1] for found in Formatter().parse(getattr(one, name))} for one in (first, other)]
            assert asked[0] == asked[1]


@EVERY
def test_the_menu_names_every_command_in_a_line_that_telegram_takes(language: str) -> None:
    menu = texts.of(language).menu
    assert set(menu) == {command.value for command in Command}
    assert all(1 <= len(line) <= 256 for line in menu.values())


@EVERY
def test_nothing_in_a_text_is_taken_for_markup_by_mistake(language: str) -> None:
    words = texts.of(language)
    said = [getattr(words, field.name) for field in fields(Texts)]
    for text in [one for one in said if isinstance(one, str)] + list(words.codes.values()) + list(words.menu.values()):
        assert render(text).text == text.strip().replace("- ", "• ")
        assert not render(text).spans

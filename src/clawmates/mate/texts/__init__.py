"""Every sentence that a person sees, in one place: the same catalogue in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clawmates.wire.codes import Code

LANGUAGES = ("en", "de")
"""The first one is for everybody whose language is not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """One language. All texts are Markdown; a type checker refuses a language that lacks one."""

    start: str
    help: str
    """Stands above the list of commands."""
    new: str
    nothing_to_stop: str
    privacy: str
    model: str
    """``{model}`` and ``{host}``."""
    usage: str
    """``{messages}``, ``{input_tokens}`` and ``{output_tokens}``."""
    menu: Mapping[str, str]
    """A line for each command: at most 256 characters (https://core.telegram.org/bots/api#botcommand)."""
    text_only: str
    empty_answer: str
    cut_at_length: str
    """Stands below an answer."""
    stopped: str
    """Stands below what there is of an answer, or alone."""
    forgotten: str
    """Stands below the first answer in a chat that a life before this one has talked in."""
    stranger: str
    stranger_code: str
    """As ``stranger``, where a code lets people in."""
    stranger_privacy: str
    code_wrong: str
    code_later: str
    code_known: str
    """For somebody who may talk to the bot anyway."""
    welcome_owner: str
    welcome: str
    people_full: str
    changed: str
    """Stands above the list of changes."""
    changed_by_whom: str
    """Stands below it."""
    changes: Mapping[str, str]
    """What the owner hears when one of the names in the key (of :func:`clawmates.mate.notices.state`) has changed;
    ``{provider}``, ``{model}``, ``{fallback}``, ``{access}`` and ``{people}``.
    """
    taken_away: Mapping[str, str]
    """The same, where nothing is left of it."""
    accesses: Mapping[str, str]
    codes: Mapping[Code, str]
    otherwise: str
    """For every code that has no sentence of its own."""


def of(language: str) -> Texts:
    """The catalogue for an IETF language tag; English where there is none for it."""
    if language.partition("-")[0].lower() == "de":
        from clawmates.mate.texts.german import GERMAN  # noqa: PLC0415 - a language nobody speaks costs no memory

        return GERMAN
    from clawmates.mate.texts.english import ENGLISH  # noqa: PLC0415

    return ENGLISH


def for_code(code: Code, language: str = "") -> str:
    """What to tell a person when a message could not be answered."""
    texts = of(language)
    return texts.codes.get(code, texts.otherwise)

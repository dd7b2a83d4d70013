"""Prompts to begin with, from the data file beside this module: the same at a terminal and in a browser."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.shape import decode

FILE = Path(__file__).with_name("prompts.toml")
LANGUAGES = ("en", "de")


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The same in every language there is."""

    en: str
    de: str

    def in_language(self, language: str) -> str:
        """In that one; English where there is no other. Line ends of the file become spaces."""
        return " ".join((self.de if language == "de" else self.en).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One prompt to begin with."""

    id: str
    title: Words
    text: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    template: tuple[Template, ...]


def templates() -> tuple[Template, ...]:
    """All of them, in the file's order."""
    return decode(_File, tomllib.loads(FILE.read_text())).template


def find(name: str) -> tuple[Template, str] | None:
    """``editor`` or ``editor-de``: the template and the language; ``None`` where there is no such one."""
    for template in templates():
        for language in LANGUAGES:
            if name == f"{template.id}-{language}" or (language == "en" and name == template.id):
                return template, language
    return None

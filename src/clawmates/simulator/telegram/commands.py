"""The command menu and the descriptions of a bot: by scope and language, most special first.

core.telegram.org/bots/api/methods/setmycommands.md, getmycommands.md, deletemycommands.md, setmydescription.md,
setmyshortdescription.md and their getters; types/botcommandscope.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from clawmates.simulator.telegram.errors import BadRequestError
from clawmates.simulator.telegram.parameters import Parameters
from clawmates.simulator.telegram.reference import BOT_COMMAND, COMMAND_SCOPE, COMMAND_SCOPES

_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_LANGUAGE = re.compile(r"[a-z]{2}|")
MAX_COMMANDS = 100
MAX_DESCRIPTION = 256
_LONGEST = {"description": 512, "short_description": 120}
"""Characters of what a bot says about itself."""

_Place = tuple[str, int, int, str]
"""Scope type, chat, user, language."""


@dataclass(slots=True)
class Menu:
    """What one bot shows."""

    commands: dict[_Place, list[Mapping[str, object]]] = field(default_factory=dict)
    descriptions: dict[tuple[str, str], str] = field(default_factory=dict)
    """By kind (``description``, ``short_description``) and language."""

    def set_commands(self, parameters: Parameters) -> None:
        """Replaces one list; an empty one is none. Raises :class:`BadRequestError`."""
        if not parameters.has("commands"):
            raise BadRequestError('parameter "commands" is required')
        commands = parameters.items("commands")
        if len(commands) > MAX_COMMANDS:
            raise BadRequestError("BOT_COMMANDS_TOO_MUCH")
        checked = [_command(one) for one in commands]
        place = _place(parameters)
        if checked:
            self.commands[place] = checked
        else:
            self.commands.pop(place, None)

    def get_commands(self, parameters: Parameters) -> list[Mapping[str, object]]:
        """The list of exactly this scope and language; empty when there is none."""
        return self.commands.get(_place(parameters), [])

    def delete_commands(self, parameters: Parameters) -> None:
        """Forgets one list."""
        self.commands.pop(_place(parameters), None)

    def describe(self, kind: str, parameters: Parameters) -> None:
        """Sets or, with an empty text, removes what is said in one language; raises :class:`BadRequestError`."""
        text = parameters.text(kind)
        if len(text) > _LONGEST[kind]:
            raise BadRequestError(f"{kind} is too long")
        self.descriptions[kind, _language(parameters)] = text

    def described(self, kind: str, parameters: Parameters) -> dict[str, object]:
        """In this language, or else in general (types/botdescription.md, types/botshortdescription.md)."""
        special = self.descriptions.get((kind, _language(parameters)), "")
        return {kind: special or self.descriptions.get((kind, ""), "")}


def _command(item: object) -> Mapping[str, object]:
    if not isinstance(item, dict):
        raise BadRequestError("can't parse BotCommand: expected an Object")
    command = Parameters.check(item, BOT_COMMAND, where="commands.")
    if not _COMMAND.fullmatch(command.text("command")):
        raise BadRequestError("BOT_COMMAND_INVALID")
    if not 1 <= len(command.text("description")) <= MAX_DESCRIPTION:
        raise BadRequestError("BOT_COMMAND_DESCRIPTION_INVALID")
    return command.values


def _place(parameters: Parameters) -> _Place:
    scope = parameters.inner("scope", COMMAND_SCOPE)
    kind = scope.text("type") or ("" if parameters.has("scope") else "default")
    if kind not in COMMAND_SCOPES:
        raise BadRequestError("can't parse BotCommandScope: unsupported type specified")
    for name, needed in (("chat_id", COMMAND_SCOPES[kind] > 0), ("user_id", COMMAND_SCOPES[kind] > 1)):
        if scope.has(name) != needed:
            raise BadRequestError(f"can't parse BotCommandScope: {name} is {'required' if needed else 'not expected'}")
    return kind, scope.integer("chat_id"), scope.integer("user_id"), _language(parameters)


def _language(parameters: Parameters) -> str:
    """Two letters of ISO 639-1, or empty for everybody else."""
    language = parameters.text("language_code")
    if not _LANGUAGE.fullmatch(language):
        raise BadRequestError("invalid language code specified")
    return language

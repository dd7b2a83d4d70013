"""What a person can ask of the bot itself: one list, from which the menu, the help and the answers come."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from clawmates.mate.texts import of

if TYPE_CHECKING:
    from clawmates.mate.messages import Inbound
    from clawmates.mate.texts import Texts

CHATS_COUNTED = 1000


class Command(StrEnum):
    """In the order of the menu."""

    NEW = "new"
    STOP = "stop"
    MODEL = "model"
    USAGE = "usage"
    PRIVACY = "privacy"
    HELP = "help"
    START = "start"


@dataclass(slots=True)
class Spent:
    """What one chat has used since the mate began; tokens are the provider's own count."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(slots=True)
class Usage:
    """Counts of the latest chats, in RAM only."""

    chats: int = CHATS_COUNTED
    _spent: OrderedDict[str, Spent] = field(default_factory=OrderedDict)

    def count(self, chat: str, input_tokens: int, output_tokens: int) -> None:
        """One more answer."""
        spent = self._spent.setdefault(chat, Spent())
        spent.messages += 1
        spent.input_tokens += input_tokens
        spent.output_tokens += output_tokens
        self._spent.move_to_end(chat)
        while len(self._spent) > self.chats:
            self._spent.popitem(last=False)

    def all(self) -> tuple[tuple[str, Spent], ...]:
        """Every chat that is counted, the latest last."""
        return tuple(self._spent.items())

    def inherit(self, chat: str, spent: Spent) -> None:
        """Goes on from a count of the life before this one."""
        self._spent[chat] = spent
        while len(self._spent) > self.chats:
            self._spent.popitem(last=False)

    def of(self, chat: str) -> Spent:
        """All zeros for a chat that has used nothing."""
        return self._spent.get(chat, Spent())

    def forget(self, chat: str) -> None:
        """Forgets a chat."""
        self._spent.pop(chat, None)


def command(text: str) -> Command | None:
    """:attr:`Command.NEW` of ``/new@some_bot please``; ``None`` for what is no command of ours."""
    if not text.startswith("/"):
        return None
    name = text[1:].split(maxsplit=1)[0] if text[1:2].strip() else ""
    try:
        return Command(name.partition("@")[0].lower())
    except ValueError:
        return None


def menu(texts: Texts) -> tuple[tuple[Command, str], ...]:
    """Each command with its line in the menu, in order."""
    return tuple((one, texts.menu[one.value]) for one in Command)


def answer(  # noqa: PLR0911 - one a command
    asked: Command, inbound: Inbound, *, model: str, host: str, spent: Spent
) -> str:
    """What to say to a command, in the person's language, as Markdown.

    ``host`` is where the provider is reached; ``/stop`` is answered so only when nothing is being written.
    """
    texts = of(inbound.language)
    match asked:
        case Command.START:
            return texts.start
        case Command.HELP:
            lines = "\n".join(f"/{one}: {line}" for one, line in menu(texts))
            return f"{texts.help}\n\n{lines}"
        case Command.NEW:
            return texts.new
        case Command.STOP:
            return texts.nothing_to_stop
        case Command.PRIVACY:
            return texts.privacy
        case Command.MODEL:
            return texts.model.format(model=_code(model), host=_code(host))
        case Command.USAGE:
            return texts.usage.format(
                messages=spent.messages, input_tokens=spent.input_tokens, output_tokens=spent.output_tokens
            )
        case _:
            assert_never(asked)


def _code(text: str) -> str:
    """``text`` as Markdown code, so that nothing in it is taken for markup."""
    return "`" + text.replace("`", "'") + "`"

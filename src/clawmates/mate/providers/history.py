"""From remembered messages to what every provider takes: turns, the person first, nobody twice in a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.mate.messages import Author

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.mate.messages import Message


def turns(messages: Iterable[Message]) -> list[tuple[Author, str]]:
    """Who said what.

    A window may begin in the middle of a conversation, and providers refuse one that the assistant begins: its first
    words are left out. Messages without text, which they refuse too, are passed over, and what one said in several
    messages becomes one.
    """
    told: list[tuple[Author, str]] = []
    for message in messages:
        text = message.text
        if not text.strip() or (not told and message.author is Author.ASSISTANT):
            continue
        if told and told[-1][0] is message.author:
            text = f"{told.pop()[1]}\n\n{text}"
        told.append((message.author, text))
    return told

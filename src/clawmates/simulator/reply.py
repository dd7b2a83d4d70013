"""What the model of every stand-in says: an echo, so that tests and demonstrations can check it."""

from __future__ import annotations

import re

_WORD = re.compile(r"\s*\S+|\s+$")


def reply_text(last: str, messages: int, words: int = 0) -> str:
    """``You said: <last> [3 messages]``, where ``messages`` counts what the request held, system text aside.

    With ``words`` it is cut or filled up to exactly that many.
    """
    echo = f"You said: {last} [{messages} message{'' if messages == 1 else 's'}]"
    if words <= 0:
        return echo
    known = echo.split()
    return " ".join(known[:words] + [f"word-{number}" for number in range(len(known) + 1, words + 1)])


def thinking(words: int) -> str:
    """What a model thinks before it answers; empty for 0."""
    return " ".join(f"thought-{number}" for number in range(1, words + 1))


def pieces(text: str) -> list[str]:
    """The text word by word, each with the white space before it; joined they are the text."""
    return _WORD.findall(text)


def tokens(text: str) -> int:
    """An estimate: one token for four characters."""
    return (len(text) + 3) // 4

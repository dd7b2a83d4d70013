"""Long replies in pieces that Telegram takes: at most 4096 UTF-16 code units each."""

from __future__ import annotations

LIMIT = 4096
_BREAKS = ("\n\n", "\n", ". ", " ")


def units(text: str) -> int:
    """UTF-16 code units, the unit in which Telegram counts (https://core.telegram.org/api/entities)."""
    return len(text) + sum(character > "\uffff" for character in text)


def split(text: str, limit: int = LIMIT) -> list[str]:
    """Pieces of at most ``limit`` units, cut at paragraphs, lines, sentences or words where there are any.

    Nothing but white space at a cut is lost; a character is never cut in two. Empty text gives no piece.
    """
    pieces = []
    rest = text.strip()
    while units(rest) > limit:
        head = _fitting(rest, limit)
        cut = next((at + len(mark) for mark in _BREAKS if (at := head.rfind(mark)) > len(head) // 3), len(head))
        pieces.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        pieces.append(rest)
    return pieces


def _fitting(text: str, limit: int) -> str:
    used = 0
    for index, character in enumerate(text):
        used += 2 if character > "\uffff" else 1
        if used > limit:
            return text[:index]
    return text

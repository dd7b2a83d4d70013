"""The Markdown that models write, as text and styles: never anything that Telegram cannot take.

Entities, and not the Bot API's rich messages: those are blank or "not supported" in clients that do not know them, and
carry no text to fall back on. Blocks here, what is within a paragraph in :mod:`.inline`. Markdown has no wrong input.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clawmates.mate.channels.telegram.inline import inline
from clawmates.mate.channels.telegram.styled import Builder, Span, Style, Styled, whole_characters
from clawmates.mate.channels.telegram.table import is_rule, table

if TYPE_CHECKING:
    from collections.abc import Sequence

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^\s`]{0,40})[^`]*")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*)")
_BULLET = re.compile(r"([ \t]{0,40})[-*+][ \t]+(?:\[([ xX])\][ \t]+)?(.*)")
_NUMBER = re.compile(r"[ \t]{0,40}[0-9]{1,9}[.)][ \t]+.*")
_QUOTE = re.compile(r"[ \t]{0,3}>[ \t]?")
_BULLETS = "•◦▪"
_LANGUAGE = re.compile(r"[A-Za-z0-9+#._-]{1,30}")
_RULE = "———"


def render(markdown: str) -> Styled:
    """The whole text. Surrogates that stand alone are replaced; blank lines at the ends are gone."""
    lines = whole_characters(markdown).replace("\r\n", "\n").replace("\x00", "").split("\n")
    return _trimmed(_Blocks(lines).styled())


class _Blocks:
    """Goes through the lines once, block by block."""

    __slots__ = ("at", "lines", "quoted")

    def __init__(self, lines: Sequence[str], *, quoted: bool = False) -> None:
        self.lines = lines
        self.quoted = quoted
        self.at = 0

    def styled(self) -> Styled:
        builder = Builder()
        blank = True
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
                if not blank:
                    builder.add("\n")
                blank = True
                continue
            block = self._block(line)
            if block.text:
                builder.add(block)
                builder.add("\n")
                blank = False
        return builder.styled()

    def _block(self, line: str) -> Styled:  # noqa: PLR0911 - one way out a kind of block
        """The block that begins with this line; goes behind it."""
        if (fence := _FENCE.fullmatch(line)) is not None:
            return self._code(fence)
        if _QUOTE.match(line) and not self.quoted:
            return self._quote()
        if (heading := _HEADING.fullmatch(line)) is not None:
            self.at += 1
            return _bold(inline(heading[1].rstrip().rstrip("#").rstrip()))
        if _is_break(line):
            self.at += 1
            return Styled(_RULE)
        if self._begins_table():
            return self._table()
        if (bullet := _BULLET.fullmatch(line)) is not None:
            self.at += 1
            return _item(bullet)
        return self._paragraph()

    def _code(self, fence: re.Match[str]) -> Styled:
        """To the closing fence, or to the end: a reply that is still growing has none yet."""
        indent, mark = len(fence[1]), fence[2]
        self.at += 1
        inside = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            stripped = line.strip()
            if len(stripped) >= len(mark) and stripped == mark[0] * len(stripped):
                break
            inside.append(line[min(indent, len(line) - len(line.lstrip())) :])
        text = "\n".join(inside).strip("\n")
        language = fence[3] if _LANGUAGE.fullmatch(fence[3]) else ""
        return Styled(text, (Span(Style.PRE, 0, len(text), language),) if text else ())

    def _quote(self) -> Styled:
        """Quotes in quotes are one quote: Telegram does not nest them."""
        inside = []
        while self.at < len(self.lines) and (mark := _QUOTE.match(self.lines[self.at])) is not None:
            line = self.lines[self.at][mark.end() :]
            while (deeper := _QUOTE.match(line)) is not None:
                line = line[deeper.end() :]
            inside.append(line)
            self.at += 1
        builder = Builder()
        builder.add(_trimmed(_Blocks(inside, quoted=True).styled()))
        builder.mark(Style.QUOTE, 0)
        return builder.styled()

    def _begins_table(self) -> bool:
        below = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else ""
        return "|" in self.lines[self.at] and is_rule(below)

    def _table(self) -> Styled:
        rows = [self.lines[self.at]]
        self.at += 2
        while self.at < len(self.lines) and "|" in self.lines[self.at] and not _FENCE.fullmatch(self.lines[self.at]):
            rows.append(self.lines[self.at])
            self.at += 1
        text = table(rows)
        return Styled(text, (Span(Style.PRE, 0, len(text)),) if text.strip() else ())

    def _paragraph(self) -> Styled:
        """Lines up to a blank one or another kind of block. Their ends stay: models break lines on purpose."""
        first = self.at
        self.at += 1
        if not _NUMBER.fullmatch(self.lines[first]):
            while self.at < len(self.lines) and not self._begins_block(self.lines[self.at]):
                self.at += 1
        return inline("\n".join(_line(line) for line in self.lines[first : self.at]))

    def _begins_block(self, line: str) -> bool:
        start = line.lstrip()[:1]
        if not start:
            return True
        if start in "#>`~-*+_" or start.isdigit():
            kinds = (_FENCE.fullmatch, _HEADING.fullmatch, _BULLET.fullmatch, _NUMBER.fullmatch, _is_break)
            if any(kind(line) for kind in kinds) or (_QUOTE.match(line) and not self.quoted):
                return True
        return "|" in line and self._begins_table()


def _line(line: str) -> str:
    """Without the marks of a hard break at its end."""
    line = line.rstrip()
    return line[:-1] if line.endswith("\\") and not line.endswith("\\\\") else line


def _is_break(line: str) -> bool:
    marks = line.replace(" ", "").replace("\t", "")
    return len(marks) >= 3 and marks[0] in "-*_" and marks == marks[0] * len(marks)


def _item(bullet: re.Match[str]) -> Styled:
    depth = len(bullet[1].expandtabs(4)) // 2
    mark = _BULLETS[min(depth, len(_BULLETS) - 1)]
    if bullet[2]:
        mark = "☐" if bullet[2] == " " else "☑"
    builder = Builder()
    builder.add("  " * depth + mark + " ")
    builder.add(inline(_line(bullet[3])))
    return builder.styled()


def _bold(heading: Styled) -> Styled:
    builder = Builder()
    builder.add(Styled(heading.text, tuple(span for span in heading.spans if span.style is not Style.BOLD)))
    builder.mark(Style.BOLD, 0)
    return builder.styled()


def _trimmed(styled: Styled) -> Styled:
    """Without the line ends around it."""
    text = styled.text
    end = len(text.rstrip())
    start = len(text) - len(text.lstrip("\n"))
    return styled.cut(start, end) if start < end else Styled("")

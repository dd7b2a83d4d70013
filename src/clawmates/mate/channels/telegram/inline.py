"""Markdown within a paragraph: emphasis, code, links. After CommonMark 0.31 (https://spec.commonmark.org/0.31.2/).

More lenient than the standard where models write what people mean: ``**bold:**text`` is bold. Linear in the length
of the text, however hostile it is; what is no markup stays as it stands.
"""

from __future__ import annotations

import re

from clawmates.mate.channels.telegram.styled import Builder, Span, Style, Styled

_URL = r"https?://[^\s<>*`~\[\]()\"|\\]*[^\s<>*`~\[\]()\"|\\_.,;:!?']"
_MARKUP = re.compile(
    r"\\([!-/:-@\[-`{-~])"  # 1: an escaped character
    r"|(`+)"  # 2
    r"|(\*+|_+|~+)"  # 3: perhaps emphasis
    r"|(!?\[)"  # 4
    r"|(\])"  # 5
    rf"|<(https?://[^\s<>]{{1,2000}})>|({_URL})"  # 6, 7: addresses, in which nothing is markup
    r"|&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-z]{2,4});"  # 8
    r"|<br[ ]?/?>"
)
_TARGET = re.compile(
    r"\([ \n]{0,9}(?:<([^<>\n]{0,2000})>|([^\s()<>]{0,2000}(?:\([^\s()]{0,500}\)[^\s()]{0,500}){0,9}))"
    r"(?:[ \n]{1,9}(?:\"[^\"]{0,300}\"|'[^']{0,300}'|\([^()]{0,300}\)))?[ \n]{0,9}\)"
)
_ADDRESS = re.compile(r"https?://[^\s/?#@\\]+\.?[^\s\x00-\x1f\x7f]*", re.IGNORECASE)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": "\u00a0"}
_EMPHASIS = {1: Style.ITALIC, 2: Style.BOLD}


class _Run:
    """``**``, say: a run of marks that may open or close something. ``index`` is its place among the pieces.

    ``size`` is how long it was before any of it was used.
    """

    # Plain classes here and below: a dataclass that nobody compares costs every mate some 8 KiB more.
    __slots__ = ("closes", "count", "index", "mark", "opens", "size")

    def __init__(self, index: int, marks: str, *, opens: bool, closes: bool) -> None:
        self.index = index
        self.mark = marks[0]
        self.count = self.size = len(marks)
        self.opens = opens
        self.closes = closes

    @property
    def kind(self) -> tuple[str, bool, int]:
        """Closers of one kind match the same openers."""
        return self.mark, self.opens, self.size % 3

    def matches(self, opener: _Run) -> bool:
        """Rules 9 and 10 of the standard: ``*a**b*`` is one emphasis, not two."""
        if opener.mark != self.mark:
            return False
        both = opener.closes or self.opens
        return not both or (opener.size + self.size) % 3 != 0 or (opener.size % 3 == 0 and self.size % 3 == 0)


class _Scanner:
    """Pieces of text between the marks, and spans over piece indexes."""

    __slots__ = ("brackets", "last_link", "pieces", "runs", "spans", "text", "ticks")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces: list[str | _Run] = []
        self.spans: list[tuple[Style, int, int, str]] = []
        self.runs: list[_Run] = []
        self.brackets: list[int] = []
        self.last_link = -1
        """The piece with which the newest link begins."""
        self.ticks: dict[int, list[int]] | None = None
        """Where runs of backticks begin, by their length, the next one last."""

    def scan(self) -> Styled:
        place = 0
        text = self.text
        while (found := _MARKUP.search(text, place)) is not None:
            if found.start() > place:
                self.pieces.append(text[place : found.start()])
            place = self._take(found)
        self.pieces.append(text[place:])
        self._emphasise(self.runs)
        return self._built()

    def _take(self, found: re.Match[str]) -> int:
        """Deals with one mark and returns where to go on."""
        match found.lastindex:
            case 1 | 6 | 7:
                self.pieces.append(found[found.lastindex])
            case 2:
                return self._code(found)
            case 3:
                self._run(found)
            case 4:
                self.brackets.append(len(self.pieces))
                self.pieces.append(found[4])
            case 5:
                return self._link(found)
            case 8:
                self.pieces.append(_character(found[8]) or found[0])
            case _:
                self.pieces.append("\n")
        return found.end()

    def _code(self, found: re.Match[str]) -> int:
        count = len(found[2])
        if self.ticks is None:
            self.ticks = {}
            for run in reversed(list(re.finditer("`+", self.text))):
                self.ticks.setdefault(len(run[0]), []).append(run.start())
        waiting = self.ticks.get(count, [])
        while waiting and waiting[-1] < found.end():
            waiting.pop()
        if not waiting:
            self.pieces.append(found[2])
            return found.end()
        end = waiting[-1]
        inside = self.text[found.end() : end].replace("\n", " ")
        if len(inside) > 2 and inside[0] == inside[-1] == " " and inside.strip():
            inside = inside[1:-1]
        self.spans.append((Style.CODE, len(self.pieces), len(self.pieces) + 1, ""))
        self.pieces.append(inside)
        return end + count

    def _run(self, found: re.Match[str]) -> None:
        mark, count = found[3][0], len(found[3])
        before = self.text[found.start() - 1 : found.start()] or " "
        after = self.text[found.end() : found.end() + 1] or " "
        opens, closes = not after.isspace(), not before.isspace()
        if mark == "_":  # snake_case is no emphasis
            opens, closes = opens and not before.isalnum(), closes and not after.isalnum()
        if (not opens and not closes) or (mark == "~" and count != 2):
            self.pieces.append(found[3])
            return
        run = _Run(len(self.pieces), found[3], opens=opens, closes=closes)
        self.runs.append(run)
        self.pieces.append(run)

    def _link(self, found: re.Match[str]) -> int:
        """``](address)`` makes a link of everything since its bracket; without an address it is a bracket."""
        target = _TARGET.match(self.text, found.end()) if self.brackets else None
        opener = self.brackets.pop() if self.brackets else 0
        address = (target[1] or target[2] or "").strip() if target is not None else ""
        if target is None or not _ADDRESS.fullmatch(address) or self.last_link > opener:  # a link holds no link
            self.pieces.append("]")
            return found.end()
        if len(self.pieces) == opener + 1:
            self.pieces.append(address)
        first = len(self.runs)
        while first and self.runs[first - 1].index > opener:
            first -= 1
        self._emphasise(self.runs[first:])
        del self.runs[first:]
        self._drop_code_behind(opener)
        self.pieces[opener] = ""
        self.last_link = opener
        self.spans.append((Style.LINK, opener, len(self.pieces), address))
        return target.end()

    def _drop_code_behind(self, opener: int) -> None:
        """Telegram takes no code within a link, and the link is of more use."""
        first = len(self.spans)
        while first and self.spans[first - 1][1] > opener:
            first -= 1
        self.spans[first:] = [span for span in self.spans[first:] if span[0] is not Style.CODE]

    def _emphasise(self, runs: list[_Run]) -> None:
        """The standard's delimiter algorithm: closers look back for openers, and never twice at the same ones."""
        openers: list[_Run] = []
        looked: dict[tuple[str, bool, int], int] = {}
        for run in runs:
            while run.closes and run.count:
                opener = _opener(openers, run, looked.get(run.kind, -1))
                if opener is None:
                    looked[run.kind] = run.index
                    break
                used = 2 if min(run.count, openers[opener].count) >= 2 else 1
                style = Style.STRIKETHROUGH if run.mark == "~" else _EMPHASIS[used]
                self.spans.append((style, openers[opener].index + 1, run.index, ""))
                openers[opener].count -= used
                run.count -= used
                del openers[opener + (openers[opener].count > 0) :]
            if run.opens and run.count:
                openers.append(run)

    def _built(self) -> Styled:
        builder = Builder()
        starts = []
        for piece in self.pieces:
            starts.append(builder.length)
            builder.add(piece if isinstance(piece, str) else piece.mark * piece.count)
        starts.append(builder.length)
        for style, first, end, value in self.spans:
            if starts[first] < starts[end]:
                builder.spans.append(Span(style, starts[first], starts[end], value))
        return builder.styled()


def _opener(openers: list[_Run], closer: _Run, looked: int) -> int | None:
    """The nearest opener that ``closer`` matches, among those behind piece ``looked``."""
    for place in range(len(openers) - 1, -1, -1):
        if openers[place].index <= looked:
            return None
        if closer.matches(openers[place]):
            return place
    return None


def _character(name: str) -> str:
    """What ``&name;`` stands for; empty when it is nothing that belongs into a message."""
    if not name.startswith("#"):
        return _NAMED.get(name, "")
    code = int(name[1:]) if name[1].isdigit() else int(f"0{name[1:]}", 0)
    return chr(code) if 31 < code < 0xD800 or 0xDFFF < code < 0x110000 else ""


def inline(text: str) -> Styled:
    """The text of one paragraph, heading or list item without its marks."""
    if _MARKUP.search(text) is None:
        return Styled(text)
    return _Scanner(text).scan()

"""Asks questions at a terminal: one at a time, each answer checked at once, one step back at any time."""

from __future__ import annotations

import os
import shutil
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from clawmates.base.secret import Secret
from clawmates.selfhost.draft import BotError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
BACK = "<"
WIDEST = 92
INDENT = "    "


class Back(Exception):  # noqa: N818 - a turn of the talk, not an error
    """One step back."""


class Screen(Protocol):
    """Where a dialogue is held."""

    @property
    def width(self) -> int:
        """Characters in a line."""
        ...

    def show(self, text: str) -> None:
        """One or more lines, with ANSI colours."""
        ...

    def line(self, mark: str) -> str:
        """What is typed in answer to ``mark``; raises ``click.Abort`` at Ctrl-C and at the end of input."""
        ...

    def hidden(self, mark: str) -> str:
        """The same, without showing it."""
        ...


class Terminal:
    """This process's own."""

    def __init__(self) -> None:
        # Only for arrow keys in what is typed; nothing is remembered.
        import readline  # noqa: PLC0415 - changes how every later input() behaves

        readline.set_auto_history(False)
        self._colour = False if os.environ.get("NO_COLOR") else None

    @property
    def width(self) -> int:
        """At most what reads well."""
        return min(shutil.get_terminal_size().columns - 1, WIDEST)

    def show(self, text: str) -> None:
        """On standard output."""
        click.echo(text, color=self._colour)

    def line(self, mark: str) -> str:
        """From standard input."""
        try:
            return input(mark)
        except (EOFError, KeyboardInterrupt):
            click.echo()
            raise click.Abort from None

    def hidden(self, mark: str) -> str:
        """From the terminal, echo off."""
        return str(click.prompt(mark, default="", show_default=False, hide_input=True, prompt_suffix=""))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several answers: a key, what it is called, and more about it, a line or paragraph each."""

    key: str
    title: str
    more: tuple[str, ...] = ()


@dataclass(slots=True)
class Dialogue:
    """Every question comes back until it has a good answer, or :class:`Back` is raised."""

    screen: Screen
    number: int = 0

    def title(self, text: str) -> None:
        """The heading of a question."""
        self.screen.show(f"\n{click.style(text, bold=True)}")

    def note(self, text: str, *, indent: str = INDENT) -> None:
        """A paragraph."""
        self.screen.show(textwrap.fill(text, self.screen.width, initial_indent=indent, subsequent_indent=indent))

    def good(self, text: str) -> None:
        """Something went well."""
        self.screen.show(f"{INDENT}{click.style('✓', fg='green')} {text}")

    def trouble(self, text: str) -> None:
        """An answer cannot be used, and why."""
        lines = textwrap.wrap(text[:1].upper() + text[1:], self.screen.width - len(INDENT) - 2)
        mark = click.style("✗", fg="red")
        self.screen.show("\n".join(f"{INDENT}{' ' if at else mark} {line}" for at, line in enumerate(lines)))

    def ask(self, read: Callable[[str], T], default: str = "") -> T:
        """One line; ``read`` turns it into a value or raises ``BotError`` with the sentence to show."""
        mark = f"  > [{default}] " if default else "  > "
        while True:
            typed = self._typed(self.screen.line(mark)) or default
            try:
                return read(typed)
            except BotError as error:
                self.trouble(str(error))

    def choose(self, choices: Sequence[Choice], default: str = "") -> str:
        """The key of one of them; its number does as well."""
        width = max(len(choice.title) for choice in choices)
        beside = all(self._fits(choice, width) for choice in choices)
        for number, choice in enumerate(choices, 1):
            self._show_choice(number, choice, width, beside=beside)
        numbers = {choice.key: str(number) for number, choice in enumerate(choices, 1)}
        keys = {number: key for key, number in numbers.items()}

        def read(typed: str) -> str:
            if typed in numbers:
                return typed
            if typed not in keys:
                raise BotError(f"type a number from 1 to {len(choices)}, or {BACK} to go back.")
            return keys[typed]

        return self.ask(read, numbers.get(default, ""))

    def secret(self, check: Callable[[Secret[str]], None], *, kept: bool) -> Secret[str] | None:
        """Something that is not shown; ``None`` keeps the one there is, where there is one."""
        while True:
            typed = Secret(self._typed(self.screen.hidden("  > [Enter keeps it] " if kept else "  > ")))
            if kept and not typed:
                return None
            try:
                check(typed)
            except BotError as error:
                self.trouble(str(error))
            else:
                return typed

    def text(self) -> str:
        """Several lines, up to an empty one."""
        lines: list[str] = []
        while typed := self._typed(self.screen.line("  > ")):
            lines.append(typed)
        return "\n".join(lines)

    def agreed(self, question: str, *, back: bool = False) -> bool:
        """Yes, which is what Enter means, or no; with ``back`` the step back is a third answer."""

        def read(typed: str) -> bool:
            if typed.lower() not in {"y", "yes", "j", "ja", "n", "no", "nein"}:
                raise BotError(f"type y or n, or {BACK} to go back." if back else "type y or n.")
            return typed.lower()[0] in "yj"

        self.screen.show(f"\n{click.style(question, bold=True)} (y/n{f', {BACK} goes back' if back else ''})")
        while True:
            try:
                return self.ask(read, "y")
            except Back:
                if back:
                    raise
                self.trouble("what was asked before is done and stays as it is: type y or n.")

    def _typed(self, text: str) -> str:
        if text.strip() == BACK:
            raise Back
        return text.strip()

    def _fits(self, choice: Choice, width: int) -> bool:
        """Whether there is nothing more about it than stands beside its title."""
        return not choice.more or (len(choice.more) == 1 and 7 + width + 3 + len(choice.more[0]) <= self.screen.width)

    def _show_choice(self, number: int, choice: Choice, width: int, *, beside: bool) -> None:
        head = f"{number:>5}  {choice.title:<{width}}"
        margin = " " * (len(f"{number:>5}") + 2)
        if beside and choice.more:
            self.screen.show(f"{head}   {click.style(choice.more[0], dim=True)}")
            return
        self.screen.show(("\n" if choice.more else "") + head.rstrip())
        for paragraph in choice.more:
            lines = textwrap.wrap(
                paragraph, self.screen.width - len(margin), break_on_hyphens=False, break_long_words=False
            )
            self.screen.show("\n".join(margin + click.style(line, dim=True) for line in lines))

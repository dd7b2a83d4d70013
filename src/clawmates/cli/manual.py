"""Manual pages (man-pages(7), groff_man(7)), one a command, made from the very help texts."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.base.paths import DEFAULT_RUN, DEFAULT_STATE
from clawmates.cli.lazy import inner

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = (
    (f"{DEFAULT_STATE}/clawmates.toml", "Settings of all processes; holds no secret."),
    (f"{DEFAULT_STATE}/desired.json", "Which bots should run."),
    (f"{DEFAULT_STATE}/vault/", "Sealed credentials, and the keys that open them."),
    (f"{DEFAULT_STATE}/log/", "Closed events, codes and numbers only, for 30 days."),
    (f"{DEFAULT_RUN}/", "Sockets and tickets, in RAM."),
)
EXITS = (
    ("0", "ok, or a claim that held"),
    ("1", "failed, or a claim that is broken"),
    ("2", "wrong usage"),
    ("4", "something that is needed is missing"),
    ("69", "the platform cannot be reached"),
    ("78", "the configuration cannot be used"),
)


@click.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def manual(context: click.Context, folder: Path) -> None:
    """Write the manual pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in pages(context.find_root().command):
        (folder / f"{name}.1").write_text(page)


def pages(root: click.Command) -> Iterator[tuple[str, str]]:
    """(name, roff) of every command that is not hidden."""
    yield from _pages(root, click.Context(root, info_name="clawmates"))


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    name = context.command_path.replace(" ", "-")
    yield name, _page(name, command, context)
    if isinstance(command, click.Group):
        for word, below in _commands(command, context):
            yield from _pages(below, click.Context(below, info_name=word, parent=context))


def _commands(group: click.Group, context: click.Context) -> list[tuple[str, click.Command]]:
    return [(word, command) for word, command in inner(group, context) if not command.hidden]


def _page(name: str, command: click.Command, context: click.Context) -> str:
    lines = [f'.TH "{name.upper()}" "1" "" "ClawMates {version("clawmates")}" "ClawMates"']
    lines += [".SH NAME", f"{_escape(name)} \\- {_escape(command.get_short_help_str(200).rstrip('.'))}"]
    usage = " ".join(command.collect_usage_pieces(context))
    lines += [".SH SYNOPSIS", f".B {_escape(context.command_path)}", _escape(usage)]
    lines += [".SH DESCRIPTION", *_paragraphs(inspect.cleandoc(command.help or ""))]
    # What stands in the synopsis and has no more to be said of it is no option.
    records = [record for one in command.get_params(context) if (record := one.get_help_record(context)) and record[1]]
    if records:
        lines.append(".SH OPTIONS")
        for option, text in records:
            lines += [".TP", f".B {_escape(option)}", _escape(text)]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for word, below in _commands(command, context):
            lines += [".TP", f".B {_escape(f'{context.command_path} {word}')}", _escape(below.get_short_help_str(200))]
    if context.parent is None:
        for title, rows in (("FILES", FILES), ("EXIT STATUS", EXITS)):
            lines.append(f".SH {title}")
            for term, text in rows:
                lines += [".TP", f".B {_escape(term)}", _escape(text)]
    else:
        lines += [".SH SEE ALSO", _escape(f"{context.parent.command_path.replace(' ', '-')}(1)")]
    return "\n".join(lines) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    """Click's own marks: an empty line ends a paragraph, one behind a backspace keeps the lines of the next."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        kept = paragraph.startswith("\b")
        if kept:
            yield ".nf"
        yield from (_escape(line) for line in paragraph.removeprefix("\b").strip("\n").splitlines())
        if kept:
            yield ".fi"


def _escape(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    text = "".join(letter if letter.isascii() else f"\\[u{ord(letter):04X}]" for letter in text)
    return f"\\&{text}" if text.startswith((".", "'")) else text

"""Passphrases of key files: typed unseen, or read from a file or standard input; never an argument or a variable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawmates.base.secret import Secret
from clawmates.cli.answers import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 8
_MOST = 4096


def passphrase_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--passphrase-file``."""
    return click.option(
        "--passphrase-file",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="The first line of this file is the passphrase; '-' is standard input. Asked for where it is not given.",
    )(command)


def fresh(file: Path | None, *, without: bool) -> Secret[str] | None:
    """The passphrase for a new key; ``None`` where the operator wants none."""
    if without and file is not None:
        raise click.UsageError("give --passphrase-file or --no-passphrase, not both")
    if without:
        return None
    given = _from(file) if file is not None else _typed(confirm=True)
    if len(given.reveal()) < SHORTEST:
        raise click.UsageError(f"a passphrase has at least {SHORTEST} characters; --no-passphrase makes a key without")
    return given


def known(file: Path | None) -> Callable[[], Secret[str]]:
    """How the passphrase of a key that exists is come by, where it needs one."""
    return lambda: _from(file) if file is not None else _typed(confirm=False)


def _typed(*, confirm: bool) -> Secret[str]:
    if not sys.stdin.isatty():
        raise CommandError(
            "nobody is there to type a passphrase.",
            code="usage",
            remedy="Give --passphrase-file FILE, or - for standard input.",
            exit_code=Exit.USAGE,
        )
    return Secret(click.prompt("Passphrase (not shown)", hide_input=True, confirmation_prompt=confirm, err=True))


def _from(file: Path) -> Secret[str]:
    raw = sys.stdin.buffer.read(_MOST) if str(file) == "-" else file.read_bytes()[:_MOST]
    try:
        return Secret(raw.partition(b"\n")[0].rstrip(b"\r").decode())
    except UnicodeDecodeError:
        raise click.UsageError("the passphrase is not UTF-8") from None

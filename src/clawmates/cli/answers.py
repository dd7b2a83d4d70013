"""How commands answer: JSON alone on stdout when asked, sentences otherwise; exit codes people can rely on."""

from __future__ import annotations

import json
import os
import sys
from enum import IntEnum
from typing import NoReturn

import click

from clawmates.base.settings import SettingsError
from clawmates.base.shape import encode
from clawmates.selfhost.backup import BackupError
from clawmates.selfhost.console import ConsoleError
from clawmates.selfhost.containers import StillRunningError
from clawmates.selfhost.draft import BotError, NoSuchBotError
from clawmates.selfhost.enrolment import EnrolmentError
from clawmates.selfhost.install import InstallError
from clawmates.selfhost.keyfile import KeyFileError
from clawmates.selfhost.layout import LayoutError
from clawmates.selfhost.pairing import PairingError
from clawmates.selfhost.people import PeopleError
from clawmates.selfhost.platform import AlreadyRunningError
from clawmates.selfhost.sealedfile import BadRecipientError, SealedFileError
from clawmates.wire.node_client import NodeUnreachableError
from clawmates.wire.operator_client import ControlNotRunningError
from clawmates.wire.reading import ReadingError
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultError, VaultUnreachableError


class Exit(IntEnum):
    """Exit codes; 69 and 78 are those of sysexits(3)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING = 4
    UNREACHABLE = 69
    CONFIGURATION = 78


class CommandError(Exception):
    """A command cannot do what was asked. The text is for people and says what to do."""

    def __init__(self, message: str, *, code: str, remedy: str = "", exit_code: Exit = Exit.FAILED) -> None:
        self.code = code
        self.remedy = remedy
        self.exit_code = exit_code
        super().__init__(message)


AS_ROOT = "Run it again with sudo, or as root."
_KNOWN: dict[type[Exception], tuple[str, str, Exit]] = {
    NoSuchBotError: ("bad-bot", "See `clawmates bot list`.", Exit.USAGE),
    BotError: ("bad-bot", "See `clawmates bot add --help`.", Exit.USAGE),
    SettingsError: ("bad-configuration", "Settings are in clawmates.toml in the state folder.", Exit.CONFIGURATION),
    BackupError: ("bad-backup", "", Exit.FAILED),
    BadRecipientError: ("usage", "Give what `clawmates backup keygen` printed.", Exit.USAGE),
    SealedFileError: ("bad-backup", "", Exit.FAILED),
    KeyFileError: ("bad-key", "", Exit.CONFIGURATION),
    InstallError: ("cannot-install", "", Exit.MISSING),
    LayoutError: ("cannot-install", "Run `clawmates doctor`.", Exit.MISSING),
    EnrolmentError: ("cannot-enrol", "", Exit.USAGE),
    PairingError: ("cannot-pair", "", Exit.FAILED),
    PeopleError: ("bad-people", "", Exit.FAILED),
    ReadingError: ("unreadable", "", Exit.FAILED),
    StillRunningError: ("still-running", "", Exit.FAILED),
    AlreadyRunningError: ("already-running", "", Exit.FAILED),
    ControlNotRunningError: ("not-running", "Start the platform with `clawmates up`.", Exit.UNREACHABLE),
    NodeUnreachableError: ("not-running", "Start the platform with `clawmates up`.", Exit.UNREACHABLE),
    VaultUnreachableError: ("vault-unreachable", "See `clawmates status` and `clawmates logs`.", Exit.UNREACHABLE),
    ConsoleError: ("console-unreachable", "See `clawmates status`.", Exit.UNREACHABLE),
}
_REMEDY: dict[VaultRefusal, str] = {
    VaultRefusal.HOSTS_NOT_LISTED: (
        "A credential may name the hosts of one messenger or provider of the signed release. To use another host, add"
        " it to image/catalogue.toml, run `make image`, then `clawmates selfhost init` with that release."
    ),
    VaultRefusal.RELEASE_MISSING: "Bring the signed release back with `clawmates selfhost init --release FOLDER`.",
    VaultRefusal.RELEASE_UNSIGNED: (
        "The release is not signed by [node] release_key: run `clawmates doctor`, then bring a signed one with"
        " `clawmates selfhost init --release FOLDER`."
    ),
}
"""What to do about a refusal that an owner can do something about."""
EXPECTED: tuple[type[Exception], ...] = (CommandError, VaultError, OSError, *_KNOWN)


def as_command_error(error: Exception) -> CommandError:
    """One table from the errors of the rooms below to what the shell sees."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, VaultError):
        code, remedy = error.refusal.value, _REMEDY.get(error.refusal, "")
        return CommandError(f"the vault refused: {code}.", code=f"vault-{code}", remedy=remedy)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            return CommandError(f"{where}{error.strerror}.", code="needs-root", remedy=AS_ROOT, exit_code=Exit.MISSING)
        return CommandError(f"{where}{error.strerror}.", code="input-output", remedy="See `clawmates doctor`.")
    for kind, (code, remedy, exit_code) in _KNOWN.items():
        if isinstance(error, kind):
            text = str(error) or (kind.__doc__ or "").strip()
            return CommandError(text, code=code, remedy=remedy, exit_code=exit_code)
    return CommandError("something unexpected happened.", code="internal", exit_code=Exit.FAILED)


def succeed(data: object, *, as_json: bool, text: str = "") -> None:
    """Prints the result: ``{"ok": true, "data": …}``, or ``text``."""
    if as_json:
        click.echo(json.dumps({"ok": True, "data": encode(data)}, ensure_ascii=False))
    elif text:
        click.echo(text)


def fail(error: CommandError, *, as_json: bool) -> NoReturn:
    """Prints the error and leaves with its exit code."""
    if as_json:
        body = {"code": error.code, "message": str(error), "remedy": error.remedy}
        click.echo(json.dumps({"ok": False, "error": body}, ensure_ascii=False))
    else:
        message = str(error)
        click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)
        if error.remedy:
            click.echo(f"       {error.remedy}", err=True)
    sys.exit(int(error.exit_code))

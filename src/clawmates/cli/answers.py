"""How commands answer: JSON alone on stdout when asked, sentences otherwise; exit codes people can rely on."""

from __future__ import annotations

import json
import os
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn, cast

import click

from clawmates.base.shape import encode

if TYPE_CHECKING:
    from clawmates.wire.vault_client import VaultError


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
_VAULT_ERROR = "clawmates.wire.vault_client.VaultError"
_KNOWN: dict[str, tuple[str, str, Exit]] = {
    "clawmates.selfhost.draft.NoSuchBotError": ("bad-bot", "See `clawmates bot list`.", Exit.USAGE),
    "clawmates.selfhost.draft.BotError": ("bad-bot", "See `clawmates bot add --help`.", Exit.USAGE),
    "clawmates.base.settings.SettingsError": (
        "bad-configuration",
        "Settings are in clawmates.toml in the state folder.",
        Exit.CONFIGURATION,
    ),
    "clawmates.selfhost.backup.BackupError": ("bad-backup", "", Exit.FAILED),
    "clawmates.selfhost.sealedfile.BadRecipientError": (
        "usage",
        "Give what `clawmates backup keygen` printed.",
        Exit.USAGE,
    ),
    "clawmates.selfhost.sealedfile.SealedFileError": ("bad-backup", "", Exit.FAILED),
    "clawmates.selfhost.keyfile.KeyFileError": ("bad-key", "", Exit.CONFIGURATION),
    "clawmates.selfhost.install.InstallError": ("cannot-install", "", Exit.MISSING),
    "clawmates.selfhost.layout.LayoutError": ("cannot-install", "Run `clawmates doctor`.", Exit.MISSING),
    "clawmates.selfhost.enrolment.EnrolmentError": ("cannot-enrol", "", Exit.USAGE),
    "clawmates.selfhost.pairing.PairingError": ("cannot-pair", "", Exit.FAILED),
    "clawmates.selfhost.people.PeopleError": ("bad-people", "", Exit.FAILED),
    "clawmates.wire.reading.ReadingError": ("unreadable", "", Exit.FAILED),
    "clawmates.selfhost.containers.StillRunningError": ("still-running", "", Exit.FAILED),
    "clawmates.selfhost.platform.AlreadyRunningError": ("already-running", "", Exit.FAILED),
    "clawmates.wire.operator_client.ControlNotRunningError": (
        "not-running",
        "Start the platform with `clawmates up`.",
        Exit.UNREACHABLE,
    ),
    "clawmates.wire.node_client.NodeUnreachableError": (
        "not-running",
        "Start the platform with `clawmates up`.",
        Exit.UNREACHABLE,
    ),
    "clawmates.wire.vault_client.VaultUnreachableError": (
        "vault-unreachable",
        "See `clawmates status` and `clawmates logs`.",
        Exit.UNREACHABLE,
    ),
    "clawmates.selfhost.console.ConsoleError": ("console-unreachable", "See `clawmates status`.", Exit.UNREACHABLE),
}
"""By name: an error that a command can raise was imported by that command, and need not be by all others."""
_REMEDY: dict[str, str] = {
    "hosts-not-listed": (
        "A credential may name the hosts of one messenger or provider of the signed release. To use another host, add"
        " it to image/catalogue.toml, run `make image`, then `clawmates selfhost init` with that release."
    ),
    "release-missing": "Bring the signed release back with `clawmates selfhost init --release FOLDER`.",
    "release-unsigned": (
        "The release is not signed by [node] release_key: run `clawmates doctor`, then bring a signed one with"
        " `clawmates selfhost init --release FOLDER`."
    ),
}
"""What to do about a refusal of the vault that an owner can do something about."""


def as_command_error(error: Exception) -> CommandError | None:
    """One table from the errors of the rooms below to what the shell sees; ``None`` for what nobody expected."""
    if isinstance(error, CommandError):
        return error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        if isinstance(error, PermissionError) and os.geteuid() != 0:
            return CommandError(f"{where}{error.strerror}.", code="needs-root", remedy=AS_ROOT, exit_code=Exit.MISSING)
        return CommandError(f"{where}{error.strerror}.", code="input-output", remedy="See `clawmates doctor`.")
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name == _VAULT_ERROR:
            code = cast("VaultError", error).refusal.value
            return CommandError(f"the vault refused: {code}.", code=f"vault-{code}", remedy=_REMEDY.get(code, ""))
        if name in _KNOWN:
            code, remedy, exit_code = _KNOWN[name]
            text = str(error) or (kind.__doc__ or "").strip()
            return CommandError(text, code=code, remedy=remedy, exit_code=exit_code)
    return None


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

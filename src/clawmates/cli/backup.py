"""``clawmates backup``: what brings every bot back on an empty machine, sealed to a key that is not on this one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.cli.passphrase import fresh, known, passphrase_option
from clawmates.selfhost import backup as backups
from clawmates.selfhost import daily, keyfile
from clawmates.selfhost.restore import Keys, restore
from clawmates.selfhost.sealedfile import recipient_id
from clawmates.wire.releases import ReleaseError

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.selfhost.restore import Restored

FILE = click.Path(path_type=Path, dir_okay=False)
EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)
MIB = 1 << 20


@click.group()
def backup() -> None:
    """Make and use backups. Three things bring bots back: a backup, the copy of the keys, the master key."""


@backup.command("keygen")
@click.option("--out", type=FILE, required=True, help="The new private key: keep it off the platform's host.")
@click.option("--no-passphrase", "without", is_flag=True, help="Make a key that opens without a passphrase.")
@passphrase_option
@json_option
@answered
async def keygen(out: Path, without: bool, passphrase_file: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Make a key that opens backups, and print its public half: what backups are sealed to. Needs no platform."""
    public = keyfile.make(out, keyfile.Kind.BACKUP, fresh(passphrase_file, without=without))
    succeed({"public": public, "file": str(out), "passphrase": not without}, as_json=as_json, text=public)


@backup.command("create")
@click.option("--to", "recipient", default="", help="The public key to seal to. [default: [backup] recipient]")
@click.option("--out", type=FILE, help="The new file. [default: in the state folder's backup/]")
@click.option("--due", "if_due", is_flag=True, help="Hosted: only if today's is due and no other host is at it.")
@state_option
@json_option
@answered
async def create(recipient: str, out: Path | None, if_due: bool, state: State, as_json: bool) -> None:  # noqa: FBT001
    """Seal all that brings every bot back, but for the keys, while the platform runs; then read it back.

    On a hosted platform people's rows are in it, each account's sealed once more, under a key at the vault that goes
    when they delete their account. What lies in backup/ of the state folder is removed after 30 days.
    """
    need_root()
    settings = settings_of(state)
    if if_due and not (settings.hosted and await daily.due(settings)):
        succeed({"due": False}, as_json=as_json, text="no backup is due here")
        return
    to = recipient or settings.backup.recipient
    if not to:
        raise click.UsageError("give --to PUBLIC-KEY, or set [backup] recipient; `clawmates backup keygen` makes one")
    recipient_id(to)
    try:
        made = await daily.make(state, settings, to, out)
    except ReleaseError as error:
        raise CommandError(f"{error}.", code="bad-release", remedy="Run `make image`.") from None
    succeed(
        made,
        as_json=as_json,
        text=f"✓ {made.file} ({made.size / MIB:.1f} MiB, {len(made.files)} files), for the key {made.recipient}; read"
        f" back whole.\n  Not in it, and needed to restore: {settings.vault.keys_copy} (replaced at each destruction)"
        f" and the master key {made.master}.",
    )


@backup.command("restore")
@click.argument("file", type=EXISTING)
@click.option("--key", type=EXISTING, required=True, help="The private key, from `backup keygen`.")
@click.option("--keys-copy", type=EXISTING, required=True, help="The newest separate copy of keys.db.")
@click.option("--master-key", type=EXISTING, help="The copy of the vault's master key, where it is a file.")
@click.option("--erased", type=EXISTING, help="Hosted: the newest copy of control/erased, the list of who was deleted.")
@passphrase_option
@state_option
@json_option
@answered
async def restore_backup(  # noqa: PLR0913, PLR0917 - click's way
    file: Path,
    key: Path,
    keys_copy: Path,
    master_key: Path | None,
    erased: Path | None,
    passphrase_file: Path | None,
    state: State,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Make a platform from a backup in an empty state folder, whole or not at all. Start it with `clawmates up`.

    A bot that was destroyed after the backup was made stays destroyed, and is named; so does an account that was
    deleted. A half-done restore leaves nothing: run it again.
    """
    need_root()
    private = keyfile.read(key, keyfile.Kind.BACKUP, known(passphrase_file))
    manifest, files = backups.open_backup(file, private)
    keys = Keys(copy=keys_copy, master=master_key, erased=erased)
    found = await asyncio.to_thread(restore, manifest, files, keys, state, datetime.now(UTC))
    succeed(found, as_json=as_json, text=_text(found))


def _text(found: Restored) -> str:
    lines = [f"✓ restored to {found.state}, as it was at {found.made}: {', '.join(found.bots) or 'no bots'}"]
    lines += [f"  {bot} was destroyed since, and stays destroyed" for bot in found.destroyed]
    lines += [
        f"  {bot} lacks {', '.join(items)}, replaced since: give it anew with `clawmates bot add`"
        for bot, items in found.incomplete.items()
    ]
    if found.accounts or found.gone:
        lines += [
            f"  {found.accounts} accounts; of {found.gone} more nothing can be opened: they were deleted since,",
            "  or this copy of the keys is older than the backup: then restore again with the newest.",
            "  Once it runs: `clawmates audit verify`, and where that finds a contradiction `clawmates audit resume`.",
        ]
    lines += [f"  dangerous switch that is on in it: {one}" for one in found.unsafe]
    lines += [
        f"  It runs what is signed by {found.release_key or 'no key yet'}. Compare that with the release_key you know:",
        "  whoever can put a file in the place of a backup can make one, too, for they are sealed to a public key.",
    ]
    return "\n".join([*lines, "  Then start it with `clawmates up`."])

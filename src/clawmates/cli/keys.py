"""``clawmates vault rotate|keys|destroy|receipt-key`` and ``clawmates receipt verify``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.cli.answers import CommandError, succeed
from clawmates.cli.erased import erasure_of, erasure_text, verified
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.install import vault_of
from clawmates.wire import upkeep_calls
from clawmates.wire.names import check_bot_id
from clawmates.wire.receipt import MAX_RECEIPT, Receipt, ReceiptError, SignedReceipt, check
from clawmates.wire.upkeep import REMEDY, RotationRequest
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultError
from clawmates.wire.vault_deeds import KeyKind

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.wire.upkeep import KeysStatus
    from clawmates.wire.vault_client import VaultClient

LOOK_SECONDS = 0.5
_NO_NEW_MASTER = (
    "In clawmates.toml, name the new key as [vault] master_key and the present one as old_master_key; where the two"
    " are of different kinds, then restart the vault: it goes on by itself."
)


def status_text(now: KeysStatus) -> str:
    """The state of the keys, for people."""
    lines = [
        f"master key {now.master}; intake key {now.intake_key}, {now.intake_keys_honoured} older still honoured",
        *(f"rotating {one.kind.value} {one.tenant}".rstrip() + f": {one.left} keys left" for one in now.rotations),
    ]
    if now.destroying:
        lines.append(f"{now.destroying} destructions are not finished")
    lines += [f"{one.value}: {REMEDY[one]}" for one in now.trouble]
    return "\n".join(lines)


def receipt_text(receipt: Receipt) -> str:
    """A receipt, for people."""
    what = f"{receipt.subject.value} {receipt.name}"
    kept = f"{len(receipt.items)} items" if receipt.items else "nothing was there"
    return (
        f"{what} of {receipt.region}: destroyed {receipt.destroyed} by {receipt.software} ({kept};"
        f" tenant keys: {receipt.tenant_keys}; copy of the keys: {receipt.keys_copy.value})"
    )


@click.command("keys")
@state_option
@json_option
@answered
async def keys(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show which keys are in use, and how far rotations have come."""
    need_root()
    async with vault_of(state, settings_of(state)) as client:
        now = await upkeep_calls.keys(client)
    succeed(now, as_json=as_json, text=status_text(now))


@click.command("rotate")
@click.option("--master", "kind", flag_value=KeyKind.MASTER.value, help="The key that wraps all others.")
@click.option("--intake", "kind", flag_value=KeyKind.INTAKE.value, help="The key that items are sealed to.")
@click.option("--tenant", default="", help="One tenant's key; on your own host there is one tenant, 'self'.")
@state_option
@json_option
@answered
async def rotate(kind: str | None, tenant: str, state: State, as_json: bool) -> None:  # noqa: FBT001
    """Replace keys while the vault serves, and wait until nothing is left under the old one."""
    need_root()
    if bool(kind) is bool(tenant):
        raise click.UsageError("say one of --master, --intake and --tenant NAME")
    try:
        request = RotationRequest(kind=KeyKind(kind or KeyKind.TENANT), tenant=tenant)
    except ValueError as error:
        raise click.UsageError(f"--tenant: {error}") from None
    async with vault_of(state, settings_of(state)) as client:
        now = await _begin(client, request)
        now = await _follow(client, now, quiet=as_json)
    succeed(now, as_json=as_json, text=status_text(now))


async def _begin(client: VaultClient, request: RotationRequest) -> KeysStatus:
    try:
        return await upkeep_calls.rotate(client, request)
    except VaultError as error:
        if error.refusal is VaultRefusal.NO_NEW_MASTER:
            raise CommandError("there is no other master key.", code="no-new-master", remedy=_NO_NEW_MASTER) from None
        raise


async def _follow(client: VaultClient, now: KeysStatus, *, quiet: bool) -> KeysStatus:
    """Waits for the end, or for something that stands in the way; the vault goes on either way."""
    shown = ""
    while now.rotations:
        if now.trouble:
            trouble = now.trouble[0]
            raise CommandError("the rotation has begun and waits.", code=trouble.value, remedy=REMEDY[trouble])
        if not quiet and (text := status_text(now)) != shown:
            click.echo(text, err=True)
            shown = text
        await asyncio.sleep(LOOK_SECONDS)
        now = await upkeep_calls.keys(client)
    return now


@click.command("destroy")
@click.argument("bot", required=False)
@click.option("--tenant", default="", help="A tenant with all its bots, instead of one bot.")
@click.option("--receipt", "file", type=click.Path(path_type=Path, dir_okay=False), help="Also write the receipt here.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
@json_option
@answered
async def destroy(
    bot: str | None,
    tenant: str,
    file: Path | None,
    yes: bool,  # noqa: FBT001
    state: State,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Destroy all that the vault keeps of a bot, and print the signed receipt.

    Its container runs on until it is removed; `clawmates bot rm` does both.
    """
    need_root()
    name = bot or tenant
    if bool(bot) is bool(tenant):
        raise click.UsageError("name a bot, or give --tenant NAME")
    try:
        check_bot_id(name)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    what = f"bot {name!r}" if bot else f"tenant {name!r} and all its bots"
    if not yes and not click.confirm(f"Destroy what the vault keeps of {what}? This cannot be undone", err=True):
        raise click.Abort
    async with vault_of(state, settings_of(state)) as client:
        signed = await (upkeep_calls.destroy_bot if bot else upkeep_calls.destroy_tenant)(client, name)
    document = encode_json(signed)
    if file is not None:
        write_atomic(file, document + b"\n", mode=0o644)
    succeed(signed, as_json=as_json, text=document.decode())
    if not as_json:
        click.echo(receipt_text(signed.receipt), err=True)


@click.command("receipt-key")
@state_option
@json_option
@answered
async def receipt_key(state: State, as_json: bool) -> None:  # noqa: FBT001
    """Print the public key that receipts are checked with: keep it where the platform cannot change it."""
    need_root()
    async with vault_of(state, settings_of(state)) as client:
        key = await upkeep_calls.receipt_key(client)
    succeed(key, as_json=as_json, text=key.public)


@click.group()
def receipt() -> None:
    """Check receipts of destruction, offline."""


@receipt.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", default="", help="The public key, or a file that holds it. A bot's receipt needs the vault's.")
@json_option
@answered
async def verify(file: Path, key: str, as_json: bool) -> None:  # noqa: FBT001
    """Check that a receipt was signed by this key and not changed since. Needs no platform.

    The receipt of a deleted account has its keys in it: with --key the one of the web service must be that, without it
    the names of both are shown, to be compared with what you wrote down.
    """
    if (whole := erasure_of(file)) is not None:
        succeed(whole, as_json=as_json, text=erasure_text(verified(file, whole, _key(key) if key else "")))
        return
    if not key:
        raise click.UsageError("a bot's receipt is checked with the vault's key: --key (`clawmates vault receipt-key`)")
    try:
        good = check(_key(key), _signed(file))
    except ReceiptError as error:
        raise CommandError(f"{file}: {error}", code="receipt-broken") from None
    succeed(good, as_json=as_json, text=f"good: {receipt_text(good)}")


def _signed(file: Path) -> SignedReceipt:
    try:
        return decode_json(SignedReceipt, file.read_bytes(), MAX_RECEIPT)
    except ShapeError:
        raise CommandError(f"{file} is not a receipt.", code="not-a-receipt") from None


def _key(given: str) -> str:
    path = Path(given)
    return path.read_text().strip() if path.is_file() else given

"""``clawmates vault``: what an operator does to the vault while it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import succeed
from clawmates.cli.lazy import LazyGroup
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.install import vault_of
from clawmates.wire import vault_calls

if TYPE_CHECKING:
    from clawmates.base.paths import State

KEYS = {"keys": "keys:keys", "rotate": "keys:rotate", "destroy": "keys:destroy", "receipt-key": "keys:receipt_key"}


@click.group(cls=LazyGroup, places=KEYS)
def vault() -> None:
    """Look after the vault: frozen bots, keys, destruction."""


@vault.command("status")
@state_option
@json_option
@answered
async def vault_status(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show what the vault says of itself, and which bots an alarm has frozen."""
    need_root()
    async with vault_of(state, settings_of(state)) as client:
        now = await vault_calls.status(client)
    locked = "locked" if now.memory_locked else "not locked (no swap)"
    lines = [
        f"vault of {now.region}: confined: {now.confinement}; memory: {locked}",
        f"audit chain: {now.entries} entries, countersigned up to {now.witnessed}",
        *(
            f"frozen: {bot} (a ticket was used twice): look, then `clawmates vault unfreeze {bot}`"
            for bot in now.frozen
        ),
    ]
    succeed(now, as_json=as_json, text="\n".join(lines))


@vault.command("unfreeze")
@click.argument("bot")
@state_option
@json_option
@answered
async def unfreeze(state: State, bot: str, as_json: bool) -> None:  # noqa: FBT001
    """Let a bot's tickets flow again, once you know why one of them was used twice."""
    need_root()
    async with vault_of(state, settings_of(state)) as client:
        await client.unfreeze(bot)
    succeed({"bot": bot, "frozen": False}, as_json=as_json, text=f"{bot}: its tickets flow again")

"""Makes a platform's first bot, and further ones, whole or not at all: a Ctrl-C leaves nothing half done."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from clawmates.base.settings import load
from clawmates.selfhost import bots, layout
from clawmates.selfhost.install import install, vault_of
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.selfhost.draft import Draft
    from clawmates.selfhost.install import Plan
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.release import Release


async def make_platform(plan: Plan, draft: Draft, now: datetime) -> BotSpec:
    """A platform with a first bot. What did not exist before is removed again when it does not come to its end.

    Raises ``InstallError``, ``VaultError`` and ``OSError``.
    """
    there = _holds_something(plan.state)
    try:
        settings, release = install(plan, now)
        return await add_bot(plan.state, settings, release, draft)
    except BaseException:
        if not there:
            _remove(plan.state)
        raise


async def add_bot(state: State, settings: Settings, release: Release, draft: Draft) -> BotSpec:
    """Seals a draft in and lists it. A new bot that does not come to its end is destroyed in the vault again.

    Raises ``InstallError``, ``VaultError`` and ``OSError``.
    """
    known = bots.read(state).bot(draft.name) is not None
    async with vault_of(state, settings) as vault:
        try:
            spec = await bots.seal_in(draft, state, release, vault, settings.node.name)
            bots.put(state, spec)
        except BaseException:
            if not known:
                with suppress(VaultError):
                    await asyncio.shield(vault.destroy(draft.name))
            raise
    return spec


def _holds_something(state: State) -> bool:
    return state.root.exists() and any(state.root.iterdir())


def _remove(state: State) -> None:
    with suppress(Exception):
        layout.remove_run(load(state.config).run)
    shutil.rmtree(state.root, ignore_errors=True)

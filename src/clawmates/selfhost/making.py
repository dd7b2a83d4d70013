"""Makes a platform's first bot, and further ones, whole or not at all: a Ctrl-C leaves nothing half done."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from clawmates.selfhost import bots, layout
from clawmates.selfhost.install import InstallError, install, vault_of
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.selfhost.draft import Draft
    from clawmates.selfhost.install import Plan
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.release import Release


@contextmanager
def _whole(plan: Plan) -> Iterator[None]:
    """What did not exist before the block is removed again when it does not come to its end."""
    there, run = layout.holds_something(plan.state.root), plan.run
    if not there and layout.in_use(run):
        raise InstallError(
            f"another platform runs with {run.root}: give this one a folder of its own with --run, and a port with"
            " --listen."
        )
    used = layout.holds_something(run.root)
    try:
        yield
    except BaseException:
        if not there:
            if not used:
                layout.remove_run(run)
            shutil.rmtree(plan.state.root, ignore_errors=True)
        raise


async def make_platform(plan: Plan, draft: Draft, now: datetime) -> BotSpec:
    """A platform with a first bot, or none. Raises ``InstallError``, ``VaultError`` and ``OSError``."""
    with _whole(plan):
        settings, release = install(plan, now)
        return await add_bot(plan.state, settings, release, draft)


def make_hosted(plan: Plan, now: datetime) -> Settings:
    """A platform whose bots come from control; again on one that is there changes nothing. Raises ``InstallError``."""
    with _whole(plan):
        settings, _release = install(plan, now)
        if not settings.hosted:
            raise InstallError(
                f"{plan.state.root} holds a self-hosted platform: make the hosted one in another folder, with --state."
            )
        return settings


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

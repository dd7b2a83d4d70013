"""What the vault is told of bots, through the outbox: *assign*, *put*, *destroy*. Each may be said twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.bots.changing import CHANGE, Change, MakeChange, lane, make, touched
from clawmates.control.bots.forgetting import FORGET, Forget, forget
from clawmates.control.bots.minds import Choice
from clawmates.control.bots.tables import Bot, BotItem, BotReceipt
from clawmates.control.context import Context
from clawmates.control.nodes.placing import place
from clawmates.control.nodes.tables import BotMove
from clawmates.control.outbox.outbox import Done, Handler, Later, Outcome, Refused, Task, add
from clawmates.wire.names import ItemName
from clawmates.wire.upkeep_calls import destroy_bot
from clawmates.wire.vault import Assignment, SealedItem, VaultRefusal
from clawmates.wire.vault_client import VaultError, VaultUnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

ASSIGN, PUT, DESTROY = "assign", "put", "destroy"
VAULT_DOWN = "vault-down"
NO_NODE = "no-node"
DRAFT, ACTIVE, DELETING = "draft", "active", "deleting"
PASSES = frozenset(
    {
        VaultRefusal.STORAGE_FAILED,
        VaultRefusal.MASTER_UNAVAILABLE,
        VaultRefusal.KEYS_COPY_FAILED,
        VaultRefusal.RELEASE_MISSING,
        VaultRefusal.RELEASE_UNSIGNED,
        VaultRefusal.TOO_MANY,
        VaultRefusal.DIVERGED,
        VaultRefusal.REVOKED,
    }
)
"""What the operator has to mend: the same call is right afterwards. Every other refusal is about the call itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfBot:
    """The body of *assign* and *destroy*."""

    bot: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The body of *put*: ciphertext to the vault's key, bound to the bot, its hosts and this version."""

    bot: str
    name: ItemName
    version: int
    item: SealedItem
    choice: Choice | None = None
    """Who answers once the vault keeps this key, and not before."""


async def assign(session: AsyncSession, bot: str, now: datetime) -> None:
    """The bot's node gets a new lease; a bot without one is placed first."""
    await add(session, lane(bot), ASSIGN, encode_json(OfBot(bot=bot)).decode(), now=now)


async def put(session: AsyncSession, sealed: Sealed, now: datetime) -> None:
    """The vault is to keep this."""
    await add(session, lane(sealed.bot), PUT, encode_json(sealed).decode(), now=now)


async def destroy(session: AsyncSession, bot: str, now: datetime) -> None:
    """The vault is to destroy all it has of the bot, and then the bot goes."""
    await add(session, lane(bot), DESTROY, encode_json(OfBot(bot=bot)).decode(), now=now)


def handlers(context: Context) -> Mapping[str, Handler]:
    """For the worker."""
    return {
        ASSIGN: Assign(context),
        PUT: Put(context),
        CHANGE: MakeChange(context),
        FORGET: Forget(context),
        DESTROY: Destroy(context),
    }


def refused(error: VaultError | VaultUnreachableError) -> Later | Refused:
    """Whether the same call may help later."""
    if isinstance(error, VaultUnreachableError):
        return Later(VAULT_DOWN)
    code = error.refusal.value
    return Later(code) if error.refusal in PASSES else Refused(code)


@dataclass(frozen=True, slots=True)
class Assign:
    """Places a bot that has no node, then tells the vault whose it is, where it may run and for how long."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """Where no node has room it waits for one."""
        bot = decode_json(OfBot, task.body.encode()).bot
        async with self.context.database.writing() as session:
            columns = select(Bot.account_id, Bot.region, Bot.node, Bot.stage).where(Bot.id == bot)
            found = (await session.execute(columns)).one_or_none()
            # A bot on its way to another node is assigned there by the move itself, and nowhere before that.
            moving = await session.get(BotMove, bot) is not None
            if found is None or found.stage == DELETING or moving:
                return Done()
            node = found.node or await place(session, found.region, self.context.clock.now())
            if node is None:
                return Later(NO_NODE)
            # Not through the row itself: its version is for people who edit, and this concerns none of them.
            await session.execute(update(Bot).where(Bot.id == bot).values(node=node))
        seconds = self.context.settings.control.lease_seconds
        wanted = Assignment(tenant=found.account_id, node=node, lease_seconds=seconds)
        try:
            await self.context.vault.client().assign(bot, wanted)
        except (VaultError, VaultUnreachableError) as error:
            return refused(error)
        return Done(node)

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:  # noqa: ARG002
        """The node looks again: it may ask for tickets now."""
        await touched(self.context, session, decode_json(OfBot, task.body.encode()).bot)


@dataclass(frozen=True, slots=True)
class Put:
    """Hands a sealed item to the vault, and notes that it is kept, or why it is not."""

    context: Context
    perishes: bool = True

    async def do(self, task: Task) -> Outcome:
        """The vault takes the very same blob twice."""
        sealed = decode_json(Sealed, task.body.encode())
        try:
            await self.context.vault.client().put(sealed.bot, sealed.name, sealed.version, sealed.item)
        except (VaultError, VaultUnreachableError) as error:
            return refused(error)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """A version that is older than the newest does not speak for it."""
        sealed = decode_json(Sealed, task.body.encode())
        item = await session.get(BotItem, (sealed.bot, sealed.name.value), with_for_update=True)
        if item is None:
            return
        now = self.context.clock.now()
        item.changed_at = now
        if item.version == sealed.version:
            item.trouble = outcome.code if isinstance(outcome, Refused) else ""
        gone: dict[ItemName, int] = {}
        if isinstance(outcome, Done):
            gone[sealed.name] = item.kept
            item.kept = sealed.version
            if sealed.choice is not None:
                gone |= await make(session, self.context, Change(bot=sealed.bot, choice=sealed.choice))
        await touched(self.context, session, sealed.bot)
        await forget(session, sealed.bot, gone, now)


@dataclass(frozen=True, slots=True)
class Destroy:
    """Has a bot's keys destroyed; then its rows go, and the receipt stays with the account."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """The same again gives the receipt again."""
        try:
            receipt = await destroy_bot(self.context.vault.client(), decode_json(OfBot, task.body.encode()).bot)
        except VaultUnreachableError:
            return Later(VAULT_DOWN)
        except VaultError as error:
            return Later(error.refusal.value)
        return Done(encode_json(receipt).decode())

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """All in one transaction with the errand's own end."""
        bot = decode_json(OfBot, task.body.encode()).bot
        found = await session.get(Bot, bot)
        if found is None or not isinstance(outcome, Done):
            return
        await touched(self.context, session, bot)
        if await session.get(BotReceipt, bot) is None:
            now = self.context.clock.now()
            session.add(BotReceipt(bot_id=bot, account_id=found.account_id, at=now, body=outcome.note))
        await session.flush()
        await session.execute(delete(Bot).where(Bot.id == bot))

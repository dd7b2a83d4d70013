"""What an operator sees, from the rows: no column is read here that holds an address, a name or a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clawmates.base.clock import stamp
from clawmates.control.accounts.tables import Account, Passkey, Session
from clawmates.control.audit import chain, meeting, words
from clawmates.control.audit.chain import pseudonym
from clawmates.control.bots.tables import Bot, BotDay, BotState
from clawmates.control.nodes.tables import Node
from clawmates.wire.operator import AccountRow, Accounts, AuditView, BotRow, Bots, NodeRow, Nodes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession


async def accounts(session: AsyncSession, where: ColumnElement[bool], most: int) -> Accounts:
    """A page of accounts by id."""
    wanted = select(
        *(Account.id, Account.plan, Account.language, Account.created_at, Account.cancelled_at, Account.pseudonym_key),
        _count(Bot).label("bots"),
        _count(Session).label("sessions"),
        _count(Passkey).label("passkeys"),
    )
    found = tuple(
        AccountRow(
            account=row.id,
            subject=pseudonym(row.id, row.pseudonym_key),
            plan=row.plan,
            language=row.language,
            created_at=stamp(row.created_at),
            cancelled_at=stamp(row.cancelled_at) if row.cancelled_at is not None else "",
            bots=row.bots,
            sessions=row.sessions,
            passkeys=row.passkeys,
        )
        for row in await session.execute(wanted.where(where).order_by(Account.id).limit(most))
    )
    return Accounts(accounts=found, total=await session.scalar(select(func.count()).select_from(Account)) or 0)


def _count(table: type[Bot | Session | Passkey]) -> ColumnElement[int]:
    return select(func.count()).where(table.account_id == Account.id).scalar_subquery()


async def bots(session: AsyncSession, after: str, most: int) -> Bots:
    """A page of bots by id."""
    days = (
        select(BotDay.bot_id, func.sum(BotDay.messages).label("messages"), func.sum(BotDay.tokens).label("tokens"))
        .group_by(BotDay.bot_id)
        .subquery()
    )
    wanted = (
        select(
            *(Bot.id, Bot.account_id, Bot.stage, Bot.paused, Bot.channel, Bot.provider, Bot.model),
            *(Bot.region, Bot.node, BotState.state, BotState.code, BotState.since),
            *(days.c.messages, days.c.tokens),
        )
        .outerjoin(BotState, BotState.bot_id == Bot.id)
        .outerjoin(days, days.c.bot_id == Bot.id)
        .where(Bot.id > after)
        .order_by(Bot.id)
        .limit(most)
    )
    found = tuple(
        BotRow(
            bot=row.id,
            account=row.account_id,
            stage=row.stage,
            paused=row.paused,
            state=row.state or "",
            code=row.code or "",
            since=stamp(row.since) if row.since is not None else "",
            channel=row.channel,
            provider=row.provider,
            model=row.model,
            region=row.region,
            node=row.node or "",
            messages=int(row.messages or 0),
            tokens=int(row.tokens or 0),
        )
        for row in await session.execute(wanted)
    )
    return Bots(bots=found, total=await session.scalar(select(func.count()).select_from(Bot)) or 0)


async def nodes(session: AsyncSession) -> Nodes:
    """All nodes by name."""
    held = select(func.count()).where(Bot.node == Node.name).scalar_subquery()
    rows = await session.execute(select(Node, held).order_by(Node.name))
    return Nodes(
        nodes=tuple(
            NodeRow(
                node=node.name,
                region=node.region,
                stage=node.stage,
                bots=count,
                capacity=node.capacity,
                behind=node.seen_revision < node.revision,
                release=node.release,
                joined_at=stamp(node.joined_at),
                seen_at=stamp(node.seen_at),
            )
            for node, count in rows
        )
    )


async def audit(session: AsyncSession, most: int) -> AuditView:
    """The newest entries, and how the chain stands."""
    head = await chain.head(session)
    word = await words.last_word(session)
    return AuditView(
        entries=await chain.entries(session, max(0, head.number - most), most),
        length=head.number,
        countersigned=word.head.number if word is not None else 0,
        countersigned_at=word.at if word is not None else "",
        trouble=await meeting.trouble(session),
    )

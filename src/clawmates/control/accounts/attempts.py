"""How often somebody may try: counts in fixed windows, under keyed hashes, shared by all replicas."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from sqlalchemy import delete

from clawmates.control.accounts.tables import Attempt
from clawmates.control.errors import TooOften
from clawmates.control.frame import context_of
from clawmates.control.store.upsert import insert_into

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import Request
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` times in a window of ``span``; windows begin at multiples of it."""

    what: str
    most: int
    span: timedelta


MAIL_ADDRESS = Limit("mail-address", 5, timedelta(minutes=15))
MAIL_NETWORK = Limit("mail-network", 30, timedelta(hours=1))
CODE_NETWORK = Limit("code-network", 30, timedelta(minutes=15))
PASSKEY_NETWORK = Limit("passkey-network", 120, timedelta(minutes=15))
CHANGE_ACCOUNT = Limit("change-account", 5, timedelta(days=1))
EXPORT_ACCOUNT = Limit("export-account", 10, timedelta(hours=1))
AGREEMENT_ACCOUNT = Limit("agreement-account", 10, timedelta(hours=1))
SHARED = 20
"""Behind a relay that does not say who its callers are, everybody comes from this machine: then a network's limits are
so many times as high, and brake all together."""


def network_of(request: Request) -> tuple[str, bool]:
    """The /24 or /64 that a request comes from, and whether it is only this machine, or unknown.

    ``X-Forwarded-For`` and its like are not read: anybody can send them.
    """
    try:
        address = ip_address(request.client.host if request.client is not None else "")
    except ValueError:
        return "", True
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    length = 24 if address.version == 4 else 64
    alone = getattr(request.state, "introduced", False)
    return str(ip_network((address, length), strict=False)), address.is_loopback and not alone


async def take_network(request: Request, limit: Limit) -> None:
    """One try by the network of a request; raises :class:`TooOften`."""
    network, shared = network_of(request)
    most = limit.most * SHARED if shared else limit.most
    await take(context_of(request), Limit(limit.what, most, limit.span), network)


async def take(context: Context, limit: Limit, subject: str) -> None:
    """One try, counted whatever becomes of the request; raises :class:`TooOften` with the seconds to wait.

    What is over the limit is not counted further, so waiting helps those who go on trying.
    """
    now = context.clock.now()
    since = now - (now - _EPOCH) % limit.span
    async with context.database.writing() as database:
        if await _count(database, _who(context, limit, subject), limit, since) > limit.most:
            raise TooOften(retry_after=int((since + limit.span - now).total_seconds()) + 1)


async def forget(database: AsyncSession, context: Context, addresses: Iterable[str], account: str) -> int:
    """Takes away what was counted of a person; returns how many rows that were."""
    own = ((limit, account) for limit in (CHANGE_ACCOUNT, EXPORT_ACCOUNT, AGREEMENT_ACCOUNT))
    subjects = [*own, *((MAIL_ADDRESS, one) for one in addresses)]
    hashes = [_who(context, limit, subject) for limit, subject in subjects]
    gone = await database.execute(delete(Attempt).where(Attempt.who.in_(hashes)).returning(Attempt.who))
    return len(gone.all())


def _who(context: Context, limit: Limit, subject: str) -> str:
    # Keyed: a plain hash of an address or a network is found by trying them all.
    return hmac.new(context.pepper.reveal(), f"attempt\0{limit.what}\0{subject}".encode(), "sha256").hexdigest()


async def _count(database: AsyncSession, who: str, limit: Limit, since: datetime) -> int:
    wanted = insert_into(database, Attempt).values(
        who=who, what=limit.what, since=since, count=1, ends_at=since + limit.span
    )
    counted = wanted.on_conflict_do_update(
        index_elements=[Attempt.who, Attempt.what, Attempt.since], set_={"count": Attempt.count + 1}
    ).returning(Attempt.count)
    return (await database.execute(counted)).scalar_one()

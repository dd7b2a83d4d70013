"""Somebody made up, of whom every table that can hold anything of a person's holds something that is nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Date, LargeBinary, String, insert

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json
from clawmates.control.accounts import attempts, people
from clawmates.control.mail.errands import lane_of
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.base import Moment
from clawmates.control.store.tables import METADATA
from clawmates.proofs.errors import ProofError
from clawmates.proofs.vaultcalls import Who
from clawmates.proofs.vaultfile import UnreadableError, kept, raw
from clawmates.wire.names import ItemName
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, IntakeKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Column, Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context
    from clawmates.proofs.lapse.region import Region
    from clawmates.proofs.vaultcalls import VaultCalls

OWN = frozenset({"account_id", "bot_id"})
"""Columns that lead to a person; a table that has one of them can hold something of theirs."""
ABOUT_THE_END = frozenset({"erasures", "bot_ends", "bot_moves"})
"""Of a deletion itself, and of a move between hosts: numbers that were drawn, and names of hosts."""
SHORTEST = 12
"""Characters of a mark: a shorter column holds a word of a closed list."""
MARK_BYTES = 8
LATER = timedelta(hours=2)
"""Nothing of it is over while the trial lasts."""
PROMPT = "You are helpful."


@dataclass(slots=True)
class Person:
    """``marks``: what stands of them, by where it stands."""

    email: str
    bot: str
    account: str = ""
    marks: dict[str, bytes] = field(default_factory=dict, repr=False)

    def left_in(self, data: bytes) -> list[str]:
        """Where what is left comes from."""
        return sorted(where for where, mark in self.marks.items() if mark in data)


async def furnish(context: Context, entropy: Callable[[int], bytes]) -> Person:
    """Makes one in the context's database."""
    one = Person(f"{entropy(8).hex()}@example.org", f"b-{entropy(8).hex()}")
    now = context.clock.now()
    async with context.database.writing() as session:
        account = await people.open_account(session, entropy, one.email, "en", now)
        one.account = account.id
        one.marks |= {"accounts.email": one.email.encode(), "accounts.pseudonym_key": account.pseudonym_key}
        for table in METADATA.sorted_tables:
            if not OWN.isdisjoint(table.columns.keys()) and table.name not in ABOUT_THE_END:
                await _fill(session, one, table, now + LATER, entropy)
        # What no key leads from to them, but their address or their bot's number.
        for lane in (f"bot/{one.bot}", f"old/{one.bot}", lane_of(context, one.email)):
            mark = entropy(MARK_BYTES).hex()
            one.marks[f"errands.body in {lane.partition('/')[0]}/…"] = mark.encode()
            session.add(
                Errand(lane=lane, kind="other", body=mark, tries=0, trouble="", due_at=now + LATER, made_at=now)
            )
    await attempts.take(context, attempts.MAIL_ADDRESS, one.email)
    return one


async def _fill(
    session: AsyncSession, one: Person, table: Table, at: datetime, entropy: Callable[[int], bytes]
) -> None:
    values = {column.name: _value(one, column, at, entropy) for column in table.columns}
    await session.execute(insert(table).values({name: value for name, value in values.items() if value is not ...}))


def _value(one: Person, column: Column[Any], at: datetime, entropy: Callable[[int], bytes]) -> Any:
    name = f"{column.table.name}.{column.name}"
    known = {"account_id": one.account, "bot_id": one.bot, "links.email": one.email} | {
        "bots.id": one.bot,
        "bots.stage": "active",
        "bots.region": "nowhere",
    }
    for key in (name, column.name):
        if key in known:
            return known[key]
    if column.foreign_keys:
        return None
    return _drawn(one, name, column, at, entropy)


def _drawn(one: Person, name: str, column: Column[Any], at: datetime, entropy: Callable[[int], bytes]) -> Any:
    kind, size = column.type, getattr(column.type, "length", None) or 2 * MARK_BYTES
    if isinstance(kind, Moment):
        return at
    if isinstance(kind, Date):
        return date(at.year, at.month, at.day)
    if isinstance(kind, String | LargeBinary) and size >= SHORTEST:
        mark = entropy(MARK_BYTES).hex()[:size]
        one.marks[name] = mark.encode()
        return mark if isinstance(kind, String) else mark.encode()
    if column.primary_key and column.autoincrement is True:
        return ...
    return None if column.nullable else {str: "en", bool: False, float: 1.0}.get(kind.python_type, 1)


async def entrust(calls: VaultCalls, tenant: str, bot: str, node: str) -> None:
    """Has the vault keep a prompt for a bot. Raises :class:`ProofError`."""
    answer = await calls.ask(Who.CLI, "PUT", f"/v1/bots/{bot}", Assignment(tenant=tenant, node=node))
    try:
        key = decode_json(IntakeKey, (await calls.ask(Who.CLI, "GET", "/v1/intake-key")).body)
    except ShapeError:
        raise ProofError("the trial's vault gives no key to seal with") from None
    binding = Binding(
        key_id=key.key_id, region=key.region, tenant=tenant, bot=bot, name=ItemName.PROMPT, version=1, hosts=()
    )
    sealed = seal(key.public, binding, Secret(PROMPT))
    put = await calls.ask(Who.CLI, "PUT", f"/v1/bots/{bot}/items/{ItemName.PROMPT.value}/1", sealed)
    if (answer.word, put.word) != ("done", "done"):
        raise ProofError(f"the trial's vault does not keep a prompt: {answer.word}, {put.word}")


def boxes(region: Region, bot: str) -> dict[str, bytes]:
    """The vault's ciphertext and wrapped keys of a bot, as they stand in its files. Raises :class:`ProofError`."""
    folder = region.state.vault
    try:
        rows = [row for row in kept(raw(folder / "vault.db"), raw(folder / "keys.db")) if row.binding.bot == bot]
    except UnreadableError:
        raise ProofError("the trial's vault has files that cannot be read") from None
    found: dict[str, bytes] = {}
    for row in rows:
        found |= {"vault: ciphertext": row.box, "vault: data key": row.data_key, "vault: tenant key": row.tenant_key}
    return {name: box for name, box in found.items() if box}

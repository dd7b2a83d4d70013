"""``clawmates admin``: a hosted platform in counts, ids and states. Every look is in the audit chain, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import record as records
from clawmates.wire.names import BOT_ID
from clawmates.wire.operator import MOST
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.releases import ReleaseError, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.wire.operator import Nodes
    from clawmates.wire.release import Release

after_option = click.option("--after", default="", metavar="ID", help="Begin behind this id: the next page.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="Rows at most."
)


@click.group()
def admin() -> None:
    """Look at a hosted platform: counts, ids and states, no address, no name, no text.

    Every look is written into the audit chain, and the people whom it concerns see it on their page.
    """


@admin.command("accounts")
@click.argument("account", required=False, default="")
@after_option
@limit_option
@state_option
@json_option
@answered
async def accounts(state: State, account: str, after: str, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Accounts with the number of their bots, sessions and passkeys; with ACCOUNT that one alone."""
    client = _client(state)
    found = await (client.account(_id(account)) if account else client.accounts(_id(after), limit))
    if account and not found.accounts:
        raise CommandError(
            "there is no such account.", code="no-such-account", remedy="See `clawmates admin accounts`."
        )
    rows = [
        (
            *(one.account, one.plan, f"cancelled {one.cancelled_at[:10]}" if one.cancelled_at else "active"),
            *(one.created_at[:10], one.bots, one.sessions, one.passkeys, one.subject),
        )
        for one in found.accounts
    ]
    head = ("ACCOUNT", "PLAN", "SUBSCRIPTION", "SINCE", "BOTS", "SESSIONS", "PASSKEYS", "IN THE AUDIT CHAIN")
    succeed(found, as_json=as_json, text=_listed(head, rows, found.total if not account else len(rows)))


@admin.command("erase")
@click.argument("account")
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
@json_option
@answered
async def erase(state: State, account: str, yes: bool, as_json: bool) -> None:  # noqa: FBT001
    """Delete an account with everything that is kept of it, because its owner has asked for it by letter.

    It cannot be stopped. The owner is told by mail, where the receipt can be fetched; you are shown its number, and
    the audit chain says that an operator has done it.
    """
    client = _client(state)
    _id(account)
    if not yes and not click.confirm(f"Delete account {account} with all its bots? This cannot be undone", err=True):
        raise click.Abort
    found = await client.erase(account)
    if found is None:
        raise CommandError(
            "there is no such account.", code="no-such-account", remedy="See `clawmates admin accounts`."
        )
    text = f"{account}: being deleted since {found.asked_at}; its receipt will have the number {found.receipt}"
    succeed(found, as_json=as_json, text=text)


@admin.command("bots")
@after_option
@limit_option
@state_option
@json_option
@answered
async def bots(state: State, after: str, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """Bots: how they are, where they run, how much they were used."""
    found = await _client(state).bots(_id(after), limit)
    rows = [
        (
            *(one.bot, one.account, "paused" if one.paused else one.state or one.stage, one.code or "-"),
            *(one.node or "-", one.provider, one.model, one.messages),
        )
        for one in found.bots
    ]
    head = ("BOT", "ACCOUNT", "STATE", "CODE", "NODE", "PROVIDER", "MODEL", "MESSAGES")
    succeed(found, as_json=as_json, text=_listed(head, rows, found.total))


@admin.command("nodes")
@state_option
@json_option
@answered
async def nodes(state: State, as_json: bool) -> None:  # noqa: FBT001
    """Hosts that run bots: their stage, their load, when they were heard."""
    _show_nodes(await _client(state).nodes(), as_json=as_json)


@admin.command("drain")
@click.argument("node")
@click.option("--undo", is_flag=True, help="It may have bots again; those that have moved stay where they are.")
@state_option
@json_option
@answered
async def drain(state: State, node: str, undo: bool, as_json: bool) -> None:  # noqa: FBT001
    """Empty a host: its bots move to others of its region, one by one, and it is given none.

    Look with `clawmates admin nodes` how far it is. A bot that no other host has room for stays.
    """
    found = await _client(state).drain(_id(node), wanted=not undo)
    if found is None:
        raise CommandError("there is no such node.", code="no-such-node", remedy="See `clawmates admin nodes`.")
    _show_nodes(found, as_json=as_json)


def _show_nodes(found: Nodes, *, as_json: bool) -> None:
    rows = [
        (one.node, one.region, one.stage, f"{one.bots}/{one.capacity}", one.seen_at, one.release or "-")
        for one in found.nodes
    ]
    head = ("NODE", "REGION", "STAGE", "BOTS", "HEARD", "IMAGE")
    succeed(found, as_json=as_json, text=_listed(head, rows, len(rows)))


@admin.command("retention")
@state_option
@json_option
@answered
async def retention(state: State, as_json: bool) -> None:  # noqa: FBT001
    """What is taken away by itself when it is over, and whether it was in time; exit 1 when something is late.

    A job's name is that of what it takes away, as in the inventory. OVERDUE counts rows that should be gone.
    """
    found = await _client(state).retention()
    rows = [
        (one.job, one.ended_at or "never", one.taken, one.due_at or "-", one.overdue, "LATE" if one.late else "")
        for one in found.jobs
    ]
    head = ("JOB", "LAST ENDED", "TAKEN AWAY", "NEXT DUE", "OVERDUE", "")
    late = [one.job for one in found.jobs if one.late]
    remedy = (
        "\nlate: do control and the vault run, and does the database answer? See what it says on stderr."
        if late
        else ""
    )
    succeed(found, as_json=as_json, text=_listed(head, rows, len(rows)) + remedy)
    if late:
        raise SystemExit(int(Exit.FAILED))


@admin.command("audit")
@limit_option
@state_option
@json_option
@answered
async def audit(state: State, limit: int, as_json: bool) -> None:  # noqa: FBT001
    """The newest entries of control's audit chain, and how far the vault has countersigned it.

    `clawmates audit verify` checks the chain; this only shows it.
    """
    found = await _client(state).audit(limit)
    rows = [(one.number, one.at, one.tag, one.subject or "-", one.detail) for one in found.entries]
    head = ("ENTRY", "AT", "WHAT", "WHOM", "DETAIL")
    signed = f"countersigned by the vault up to {found.countersigned} of {found.length}"
    trouble = f"\nthe last meeting with the vault failed: {found.trouble}" if found.trouble else ""
    succeed(found, as_json=as_json, text=_listed(head, rows, found.length) + f"\n{signed}{trouble}")


@admin.command("record")
@state_option
@json_option
@answered
def record(state: State, as_json: bool) -> None:  # noqa: FBT001
    """Print the record of processing activities (GDPR, article 30) as Markdown, from what this platform declares.

    Also for a self-hosted one. What no program can know is marked to be filled in.
    """
    settings = settings_of(state)
    found = records.record(settings, _release(state, settings))
    succeed(found, as_json=as_json, text=records.markdown(found))


def _release(state: State, settings: Settings) -> Release | None:
    try:
        return load(state.release, settings.node.release_key)
    except ReleaseError:
        return None


def _client(state: State) -> OperatorClient:
    need_root()
    settings = settings_of(state)
    if not settings.hosted:
        raise CommandError(
            "this platform has no accounts: it is self-hosted.",
            code="not-hosted",
            remedy="See `clawmates status`, `clawmates bot list` and `clawmates audit verify`.",
            exit_code=Exit.USAGE,
        )
    return OperatorClient(settings.run.control)


def _id(text: str) -> str:
    if text and not BOT_ID.fullmatch(text):
        raise CommandError(
            "an id has 1 to 40 of a-z, 0-9 and '-'.", code="usage", remedy="Copy it from a list.", exit_code=Exit.USAGE
        )
    return text


def _listed(head: Sequence[str], rows: Iterable[Sequence[object]], total: int) -> str:
    """Columns as wide as they must be, and how many there are in all where that is more than is shown."""
    table = [tuple(map(str, row)) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    shown = len(table) - 1
    return "\n".join(lines) + (f"\n({shown} of {total})" if shown < total else "")

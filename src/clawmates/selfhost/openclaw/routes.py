"""Which agent answers on which Telegram account (OpenClaw's documentation, *Agent bindings*)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.selfhost.openclaw import losses
from clawmates.selfhost.openclaw.section import Section
from clawmates.selfhost.openclaw.words import DEFAULT, Lost

if TYPE_CHECKING:
    from collections.abc import Iterator

ALONE = "main"
"""The agent that is there where none is configured."""
NARROWER = ("peer", "guildId", "teamId", "roles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A Telegram account. What it does not say itself, the channel says for all."""

    id: str
    own: Section
    channel: Section

    @property
    def token_at(self) -> Section:
        """Where its token stands: the channel's is the default account's."""
        return self.channel if self.id == DEFAULT and "botToken" not in self.own else self.own

    def where(self, name: str) -> Section:
        """The section that says ``name`` for it."""
        return self.own if name in self.own else self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One bot to be."""

    name: str
    agent_id: str
    agent: Section
    account: Account | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All of them."""

    agents: Mapping[str, Section]
    routes: tuple[Route, ...]
    lost: tuple[Lost, ...]


def routes(config: Section) -> Routes:
    """An account is one bot; an agent without any is one at the terminal."""
    channels = config.inner("channels")
    telegram, there = channels.inner("telegram"), "telegram" in channels
    agents = dict(_agents(config, spoken=there))
    accounts = tuple(_accounts(telegram)) if there else ()
    found: list[Route] = []
    lost: list[Lost] = []
    owners = _owners(config, telegram, tuple(one.id for one in accounts), lost)
    for account in accounts:
        owner = owners.get(account.id) or _only(agents)
        if owner not in agents:
            lost.append(Lost(account.own.path or account.channel.path, losses.NO_AGENT))
            continue
        off = False in (telegram.flag("enabled"), account.own.flag("enabled"))
        name = owner if account.id == DEFAULT else account.id
        found.append(Route(name=name, agent_id=owner, agent=agents[owner], account=account, paused=off))
    spoken = {one.agent_id for one in found}
    # Without a channel an agent is talked to where it runs.
    silent = [Route(name=one, agent_id=one, agent=agents[one]) for one in agents if one not in spoken]
    order = list(agents)
    return Routes(
        agents=agents,
        routes=tuple(sorted((*found, *silent), key=lambda route: order.index(route.agent_id))),
        lost=tuple(lost),
    )


def _agents(config: Section, *, spoken: bool) -> Iterator[tuple[str, Section]]:
    agents = config.inner("agents")
    entries = agents.inner("entries")
    for name in entries.names():
        yield name, entries.inner(name)
    # As versions before 2026.8 wrote them.
    rows = agents.rows("list")
    for row in rows:
        row.pass_over("default")
        yield row.text("id") or ALONE, row
    if not entries and not rows and (spoken or agents):
        yield ALONE, Section({}, f"agents.entries.{ALONE}")


def _accounts(telegram: Section) -> Iterator[Account]:
    accounts = telegram.inner("accounts")
    if DEFAULT not in accounts and (not accounts or "botToken" in telegram or "tokenFile" in telegram):
        yield Account(id=DEFAULT, own=Section({}), channel=telegram)
    for name in accounts.names():
        yield Account(id=name, own=accounts.inner(name), channel=telegram)


def _owners(config: Section, telegram: Section, accounts: tuple[str, ...], lost: list[Lost]) -> dict[str, str]:
    named = telegram.text("defaultAccount")
    default = named if named in accounts else next(iter(accounts), DEFAULT)
    owners: dict[str, str] = {}
    everywhere = None
    for row in config.rows("bindings"):
        match = row.inner("match")
        narrow = any(name in match for name in NARROWER) or row.text("type") not in {None, "route"}
        if narrow or match.text("channel") != "telegram":
            row.pass_over(*row.names())
            lost.append(Lost(row.path, losses.NARROW if narrow else losses.why("channels.other")))
            continue
        agent, account = row.text("agentId") or "", match.text("accountId") or default
        row.pass_over("comment")
        if account == "*":
            everywhere = everywhere or agent
        else:
            owners.setdefault(account, agent)
    if everywhere is not None:
        owners = {**dict.fromkeys(accounts, everywhere), **owners}
    return owners


def _only(agents: Mapping[str, Section]) -> str:
    """Where there is one agent, it owns what is bound to none; older versions marked the one that does."""
    marked = [name for name, one in agents.items() if one.flag("default")]
    return marked[0] if marked else next(iter(agents), "") if len(agents) == 1 else ""

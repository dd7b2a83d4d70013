"""``clawmates status``: what node says of its bots, beside what this host knows of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.eventlog import overdue
from clawmates.selfhost.accounts import separation
from clawmates.selfhost.processes import running
from clawmates.wire.codes import REMEDY
from clawmates.wire.operator_client import ControlNotRunningError
from clawmates.wire.status import BotState, BotStatus, Finding, NodeStatus

if TYPE_CHECKING:
    from datetime import date

    from clawmates.base.paths import State
    from clawmates.wire.operator_client import OperatorClient

AWAY = "the web service does not answer"
WORDS: dict[BotState, str] = {
    BotState.STARTING: "is being started",
    BotState.LIVE: "answers",
    BotState.DEGRADED: "runs, and its last word was an error",
    BotState.BACKING_OFF: "did not stay up and is tried again after a pause",
    BotState.REFUSED: "is not run as it is asked for",
    BotState.PAUSED: "was paused by its owner",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BotView:
    """One bot, with what it means and what to do."""

    bot: str
    state: BotState
    words: str
    code: str
    remedy: str
    since: str
    last: str
    last_at: str
    channel: str
    provider: str
    model: str
    username: str
    container: str
    pid: int
    generation: int
    restarts: int
    memory_bytes: int
    properties: int
    failed: int
    isolation: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionView:
    """Whether what is over is taken away."""

    ended_at: str = ""
    """When a job of the web service last ended; empty on a self-hosted platform, which has none."""
    late: tuple[str, ...] = ()
    """By the inventory's names."""
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All that ``status --json`` prints; an auditor reads ``unsafe``, ``separation`` and ``isolation``."""

    node: str
    region: str
    revision: int
    engine: str
    release: str
    release_number: int
    trying: int
    """The release that is being tried, by ``tried_by`` first; 0 when none is."""
    tried_by: str
    stopped_by: str
    """A later bot that did not come to life with it, so that nobody follows; ``stopped_code`` says why."""
    stopped_code: str
    refused: int
    """The release that did not come to life and is not tried again; 0 when there is none."""
    separation: str
    processes: dict[str, int]
    gateway: bool
    trouble: str
    remedy: str
    unsafe: tuple[str, ...]
    retention: RetentionView
    bots: tuple[BotView, ...]


async def retained(state: State, control: OperatorClient | None, today: date) -> RetentionView:
    """What the web service says of its jobs, where there is one, beside the log files of this host."""
    files = ("event-log",) if overdue(state.log, today) else ()
    if control is None:
        return RetentionView(late=files)
    try:
        found = await control.standing()
    except ControlNotRunningError:
        return RetentionView(late=files, trouble=AWAY)
    return RetentionView(ended_at=found.ended_at, late=(*found.late, *files))


def overview(status: NodeStatus, state: State, retention: RetentionView) -> Overview:
    """Puts it together; reads the process table of this host."""
    processes = running(state)
    return Overview(
        node=status.node,
        region=status.region,
        revision=status.revision,
        engine=status.engine,
        release=status.release,
        release_number=status.number,
        trying=status.trying,
        tried_by=status.tried_by,
        stopped_by=status.stopped_by,
        stopped_code=status.stopped_code,
        refused=status.refused,
        separation=separation(processes),
        processes=processes,
        gateway=status.gateway,
        trouble=status.trouble,
        remedy=REMEDY.get(status.trouble, ""),
        unsafe=status.unsafe,
        retention=retention,
        bots=tuple(_view(bot) for bot in status.bots),
    )


def _view(bot: BotStatus) -> BotView:
    return BotView(
        bot=bot.bot,
        state=bot.state,
        words=WORDS[bot.state],
        code=bot.code,
        remedy=REMEDY.get(bot.code, "") if bot.state is not BotState.LIVE else "",
        since=bot.since,
        last=bot.last,
        last_at=bot.last_at,
        channel=bot.channel,
        provider=bot.provider,
        model=bot.model,
        username=bot.username,
        container=bot.container,
        pid=bot.pid,
        generation=bot.generation,
        restarts=bot.restarts,
        memory_bytes=bot.memory_bytes,
        properties=bot.properties,
        failed=bot.failed,
        isolation=bot.isolation,
    )

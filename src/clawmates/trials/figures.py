"""Every figure of ``make bench``, declared once: what it says, beside which floor, and what was promised.

The table on the screen and ``docs/performance.md`` are made from this list. Keys are flat and their unit stands in the
name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Group(StrEnum):
    """Where a figure stands on the page."""

    MESSAGES = "What a message costs"
    MEMORY = "What a bot takes"
    STARTS = "How soon a bot is there"
    HANDOVERS = "A bot that is replaced"
    GATEWAY = "The gateway"
    VAULT = "The vault"
    NODES = "Control and its nodes"
    CONTROL = "The hosted service's pages"
    RETENTION = "What is taken away in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number; ``floor`` is the key of what was measured beside it in the same run."""

    key: str
    says: str
    group: Group
    floor: str = ""
    at_most: float | None = None
    at_least: float | None = None

    def held(self, value: float) -> bool | None:
        """Whether a value keeps what was promised; ``None`` where nothing was."""
        if self.at_most is not None:
            return value <= self.at_most
        return None if self.at_least is None else value >= self.at_least

    @property
    def target(self) -> str:
        """``≤ 14``, or nothing."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"


def _fleet(stage: int, at_most: float | None = 14.0) -> tuple[Figure, ...]:
    return (
        Figure(
            key=f"idle_mib_per_bot_{stage}",
            says=f"MiB of host memory for an idle bot among {stage}, everything counted",
            group=Group.MEMORY,
            floor=f"floor_idle_mib_{stage}",
            at_most=at_most,
        ),
        Figure(
            key=f"gateway_kib_per_bot_{stage}",
            says=f"KiB that the gateway grows by for each of {stage} bots",
            group=Group.MEMORY,
        ),
        Figure(
            key=f"node_kib_per_bot_{stage}",
            says=f"KiB that node grows by for each of {stage} bots",
            group=Group.MEMORY,
        ),
    )


FIGURES: tuple[Figure, ...] = (
    Figure(
        key="overhead_ms_p50",
        says="ms that we add to a message, median: its update → the provider's request, and the last byte → the reply",
        group=Group.MESSAGES,
        floor="floor_overhead_ms_p50",
    ),
    Figure(
        key="overhead_ms_p95",
        says="the same, 95th percentile",
        group=Group.MESSAGES,
        floor="floor_overhead_ms_p95",
        at_most=15.0,
    ),
    Figure(
        key="overhead_ratio_p50",
        says="median overhead by that of the bare script in the same run",
        group=Group.MESSAGES,
        at_most=1.5,
    ),
    Figure(
        key="cpu_ms_per_message",
        says="ms of CPU a message, mate and gateway together",
        group=Group.MESSAGES,
        floor="floor_cpu_ms_per_message",
    ),
    Figure(key="cpu_ratio", says="CPU a message by that of the bare script", group=Group.MESSAGES, at_most=2.5),
    Figure(
        key="first_message_ms",
        says="ms that we add to the first message after a start, median of five starts",
        group=Group.MESSAGES,
        at_most=50.0,
    ),
    Figure(
        key="first_token_ms_p95",
        says="ms from the provider's first byte to the first draft in the chat, 95th percentile",
        group=Group.MESSAGES,
        at_most=60.0,
    ),
    Figure(
        key="seen_ms_max",
        says="ms until a message is seen that arrives while another chat's answer is written, the longest of 20",
        group=Group.MESSAGES,
        at_most=650.0,
    ),
    Figure(
        key="stop_ms_max",
        says="ms from the receipt of a press of Stop to the end of the call to the provider, the longest of 10",
        group=Group.MESSAGES,
        at_most=300.0,
    ),
    Figure(
        key="loaded_overhead_ms_p95",
        says="ms that we add to a message while 300 bots answer one message a second in all, 95th percentile",
        group=Group.MESSAGES,
        at_most=50.0,
    ),
    *_fleet(20),
    *_fleet(100),
    *_fleet(300),
    Figure(
        key="after30_mib",
        says="MiB of host memory for a bot that has answered thirty messages, among 20, everything counted",
        group=Group.MEMORY,
        at_most=16.0,
    ),
    Figure(
        key="fixed_mib",
        says="MiB of vault, gateway and node together, without bots (proportional set size)",
        group=Group.MEMORY,
    ),
    Figure(key="image_mib", says="MiB of the container image, all layers", group=Group.MEMORY, at_most=60.0),
    Figure(
        key="cold_start_s_p50",
        says="s from the change of `desired.json` to the first `getUpdates`, median",
        group=Group.STARTS,
        floor="floor_start_s_p50",
        at_most=1.0,
    ),
    Figure(
        key="bots_started_per_s",
        says="bots a second, 200 at once on a host that has 100",
        group=Group.STARTS,
        floor="floor_started_per_s_300",
        at_least=3.0,
    ),
    Figure(
        key="recover_s",
        says="s until every service and ten bots are back, all killed at once by `kill -9`, the longest of five",
        group=Group.STARTS,
        floor="floor_recover_s",
        at_most=10.0,
    ),
    Figure(
        key="handovers",
        says="planned replacements of a bot while three chats go on",
        group=Group.HANDOVERS,
        at_least=20.0,
    ),
    Figure(
        key="handover_turns_lost",
        says="earlier turns that a question came to the provider without, over all of them",
        group=Group.HANDOVERS,
        at_most=0.0,
    ),
    Figure(
        key="handover_messages_lost",
        says="messages that nobody answered",
        group=Group.HANDOVERS,
        at_most=0.0,
    ),
    Figure(
        key="handover_messages_repeated",
        says="replies too many",
        group=Group.HANDOVERS,
        at_most=0.0,
    ),
    Figure(
        key="handover_leaked",
        says="places in which anything that was said was found afterwards",
        group=Group.HANDOVERS,
        at_most=0.0,
    ),
    Figure(
        key="handover_s_max",
        says="s from the wish to the next container's first sign of life, the longest",
        group=Group.HANDOVERS,
    ),
    Figure(
        key="gateway_ratio",
        says="bytes a second through the gateway by those through a plain relay, one connection",
        group=Group.GATEWAY,
        at_least=0.5,
    ),
    Figure(
        key="gateway_ratio_50",
        says="the same with 50 connections",
        group=Group.GATEWAY,
        at_least=0.5,
    ),
    Figure(
        key="connect_ms_p95",
        says="ms that a connection takes over one through the plain relay, 95th percentile",
        group=Group.GATEWAY,
        at_most=3.0,
    ),
    Figure(
        key="gateway_heal_s",
        says="s from the gateway's death until the last of five mates polls again",
        group=Group.GATEWAY,
        at_most=2.0,
    ),
    Figure(
        key="vault_releases_per_s",
        says="releases a second: a ticket, and its redemption on a connection of its own",
        group=Group.VAULT,
        floor="floor_vault_hellos_per_s",
        at_least=200.0,
    ),
    Figure(
        key="idle_10k_ms",
        says="ms of what a node with 10,000 bots does every five seconds while nothing happens: it reports over mTLS",
        group=Group.NODES,
        floor="floor_report_ms",
        at_most=50.0,
    ),
    Figure(
        key="reconcile_10k_ms",
        says="ms of a whole round of such a node, as after a change: what is wanted is compared for every bot",
        group=Group.NODES,
        floor="floor_report_ms",
        at_most=50.0,
    ),
    Figure(
        key="change_to_node_s_p95",
        says="s from the commit of another replica's change to a node of 100 bots that has it, 95th percentile",
        group=Group.NODES,
        floor="floor_report_s",
        at_most=1.0,
    ),
    Figure(
        key="change_to_node_10k_s_p95",
        says="the same for a node of 10,000 bots, whose whole desired state travels",
        group=Group.NODES,
        floor="floor_report_s",
    ),
    Figure(
        key="create_live_s_p50",
        says="s from the request that launches a bot, sealed in the browser, to *live* on its page, median of 20",
        group=Group.CONTROL,
    ),
    Figure(
        key="create_live_s_p95",
        says="the same, 95th percentile",
        group=Group.CONTROL,
        at_most=3.0,
    ),
    Figure(
        key="newcomer_s",
        says="s of a newcomer's whole way in Chromium, from the sign-in page to a living bot: every page, mail and "
        "click, without typing and thinking",
        group=Group.CONTROL,
        at_most=60.0,
    ),
    Figure(
        key="page_ms_p95",
        says="ms that control takes to make a page while 50 people look about, one page a second each (Server-Timing, "
        "SQLite), 95th percentile",
        group=Group.CONTROL,
        floor="floor_page_ms_p95",
        at_most=50.0,
    ),
    Figure(
        key="replica_news_s_p95",
        says="s from the commit of another replica's change to the event on a page that is open, 95th percentile",
        group=Group.CONTROL,
        at_most=0.5,
    ),
    Figure(
        key="control_requests_per_s",
        says="requests a second that one control answers, signed in: nine pages, then an edit (SQLite)",
        group=Group.CONTROL,
        floor="floor_control_requests_per_s",
        at_least=300.0,
    ),
    Figure(
        key="control_cpu_ms_per_request",
        says="ms of CPU that control spends on one of them",
        group=Group.CONTROL,
        floor="floor_control_cpu_ms_per_request",
    ),
    Figure(
        key="retention_run_s",
        says="s of the longest nightly run of the retention jobs, of 730 in which 10,000 people came, were counted, "
        "cancelled and came back, on the slower database",
        group=Group.RETENTION,
        floor="floor_retention_run_s",
        at_most=60.0,
    ),
    Figure(
        key="retention_run_sqlite_s",
        says="the same on SQLite",
        group=Group.RETENTION,
        floor="floor_retention_run_sqlite_s",
    ),
    Figure(
        key="retention_run_postgresql_s",
        says="the same on PostgreSQL",
        group=Group.RETENTION,
        floor="floor_retention_run_postgresql_s",
    ),
    Figure(key="rows_taken_away", says="rows that the runs took away, on both", group=Group.RETENTION),
    Figure(
        key="rows_overdue",
        says="rows that were older than declared after any night's run, on both",
        group=Group.RETENTION,
        at_most=0.0,
    ),
    Figure(
        key="counts_off",
        says="messages by which the counts differed from what must be left of them, summed up every 10 nights, on both",
        group=Group.RETENTION,
        at_most=0.0,
    ),
    Figure(
        key="people_deleted",
        says="people whose accounts were deleted meanwhile, on both, some of them on every 30th day: the files are "
        "written anew once for all who were deleted on the same day",
        group=Group.RETENTION,
        at_least=200.0,
    ),
    Figure(
        key="deleted_bytes_found",
        says="bytes of those people's addresses and bots' names in all files of both databases in the end, "
        "write-ahead logs too; beside it, those of everybody else, each of whom must be found",
        group=Group.RETENTION,
        floor="floor_deleted_bytes_found",
        at_most=0.0,
    ),
    Figure(
        key="erasure_s_p95",
        says="s from the wish to delete one of 10,000 accounts to its signed receipt, files written anew (SQLite), "
        "95th percentile of 20; the floor is one VACUUM",
        group=Group.CONTROL,
        floor="floor_erasure_s",
        at_most=5.0,
    ),
    Figure(
        key="cancel_stop_s",
        says="s from cancelling a subscription until none of its five bots has a container, the longest of 3",
        group=Group.CONTROL,
        at_most=60.0,
    ),
    Figure(
        key="export_s_p95",
        says="s until somebody has the file of all that is held on them: 50 bots, 4,500 counts, 4,500 error codes, "
        "21 sessions, 1,000 entries of their chain, among 10,000 accounts (SQLite), 95th percentile of 20; the floor "
        "is packing the same files",
        group=Group.CONTROL,
        floor="floor_export_s",
        at_most=2.0,
    ),
    Figure(key="export_kib", says="KiB of that file", group=Group.CONTROL),
)
BY_KEY = {figure.key: figure for figure in FIGURES}


def table(found: dict[str, float]) -> str:
    """All figures of a run as a person reads them; a missed target is said, not hidden."""
    return "\n".join(f"  {key:<28} {value:>9.3f}{_verdict(key, value)}" for key, value in sorted(found.items()))


def missed(found: dict[str, float]) -> tuple[Figure, ...]:
    """The figures that do not keep what was promised."""
    return tuple(figure for figure in FIGURES if figure.key in found and figure.held(found[figure.key]) is False)


def _verdict(key: str, value: float) -> str:
    figure = BY_KEY.get(key)
    held = figure.held(value) if figure is not None else None
    if figure is None or held is None:
        return ""
    return f"  (target {figure.target}: {'met' if held else 'MISSED'})"

"""What the keeper remembers of one bot, and how that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.node.backoff import Backoff
from clawmates.node.engines.base import Running
from clawmates.node.gate import Seen
from clawmates.node.reconcile import Actual, Next
from clawmates.node.spec import LABEL_BOT, LABEL_CHANNEL, LABEL_GENERATION, LABEL_SHAPE, LABEL_SLOT, SLOTS
from clawmates.wire.codes import LASTING, PASSING, Code, Event, Trouble
from clawmates.wire.desired import BotSpec
from clawmates.wire.door import DoorSpec
from clawmates.wire.names import BOT_ID, ItemName
from clawmates.wire.status import BotState, BotStatus, Finding

if TYPE_CHECKING:
    from clawmates.wire.release import Release

NEW_TICKET = frozenset({Code.TICKET_REFUSED, Code.VAULT_UNREACHABLE, Code.BOOT_INVALID})
"""A ticket is good for one attempt, also for one whose answer was lost."""
WITHOUT_TICKET = frozenset(
    {
        Trouble.VAULT_DOWN,
        Trouble.TICKET_DENIED,
        Trouble.FROZEN,
        Trouble.LEASE_ENDED,
        Trouble.CERTIFICATE_REVOKED,
    }
)
"""Why the vault gave no ticket the last time."""


WORTH_KEEPING = WITHOUT_TICKET | {
    Code.BAD_KEY,
    Code.NO_CREDIT,
    Code.UNKNOWN_MODEL,
    Code.PROVIDER_UNREACHABLE,
    Code.PROVIDER_ERROR,
    Code.REGION_NOT_ALLOWED,
}
"""Troubles in which a mate remembers, hears of its heir, and so can hand over."""
OTHERS_FAULT = frozenset(
    {
        Code.VAULT_UNREACHABLE,
        Code.TICKET_REFUSED,
        Code.ITEM_MISSING,
        Code.BAD_TOKEN,
        Code.SECOND_POLLER,
        Code.CHANNEL_UNREACHABLE,
        Code.CHANNEL_RATE_LIMITED,
    }
)
"""Why a container did not live that no other image would have lived with either."""
READY_SECONDS = 60.0
"""How long a next life has until it could take over; then the one that runs goes on without it."""
HANDOVER_SECONDS = 120.0
"""How long the life that runs has to hand over to one that is ready; then it is ended."""


_NOTES = frozenset({"calm", "told"})


@dataclass(frozen=True, slots=True)
class Calm:
    """There is nothing to do for a bot as long as its wish and all that is around it are these very ones."""

    spec: BotSpec | None
    around: object
    until: float
    """Monotonic seconds."""


@dataclass(slots=True, kw_only=True)
class Heir:
    """The next life of a bot, beside the one that runs."""

    running: Running
    items: Mapping[ItemName, int]
    findings: tuple[Finding, ...]
    written: int
    until: float
    ready: bool = False
    code: str = ""
    """What it said last that is wrong."""

    @property
    def generation(self) -> int:
        """Its container's."""
        return generation_of(self.running)


@dataclass(slots=True, kw_only=True)
class Hold:
    """One bot, from its first appearance until nothing is left of it."""

    bot: str
    slot: int
    running: Running | None = None
    shape: str | None = None
    generation: int = 0
    newest: int = 0
    """The highest generation that was ever used."""
    heir: Heir | None = None
    successions: Backoff = field(default_factory=Backoff)
    began: float = 0.0
    """Monotonic seconds of the last start."""
    checked: bool = True
    busy: bool = False
    leftover: bool = False
    """The gateway may have a door for it, and there may be folders."""
    door: DoorSpec | None = None
    door_instance: str = ""
    ticketed: Mapping[ItemName, int] | None = None
    starts: Backoff = field(default_factory=Backoff)
    tickets: Backoff = field(default_factory=Backoff)
    chores: Backoff = field(default_factory=Backoff)
    state: BotState = BotState.STARTING
    code: str = ""
    since: str = ""
    last: str = ""
    last_at: str = ""
    """The mate's last word about one message."""
    username: str = ""
    restarts: int = 0
    live_at: float | None = None
    """Monotonic seconds at which this life said that it lives."""
    lost: dict[str, int] = field(default_factory=dict)
    """Containers that ended or did not come up by their own fault, by image."""
    why: str = ""
    """What was wrong with the last of those."""
    written: int = 0
    """Bytes that the container's first process had written when it was read back."""
    findings: tuple[Finding, ...] = ()
    calm: Calm | None = None
    """What the keeper found when it looked last and there was nothing to do; none as soon as anything here is set."""
    told: BotSpec | None = None
    """With what wish control's reporter has looked at this; none as soon as anything here is set."""

    def __setattr__(self, name: str, value: object) -> None:
        """Whatever is set here may matter to whom looks: of ten thousand bots only those are looked at again."""
        object.__setattr__(self, name, value)
        if name not in _NOTES:
            object.__setattr__(self, "calm", None)
            object.__setattr__(self, "told", None)

    def actual(self) -> Actual:
        """As :func:`clawmates.node.reconcile.decide` wants to see it."""
        return Actual(
            busy=self.busy,
            shape=self.shape,
            checked=self.checked,
            leftover=self.leftover,
            door=self.door,
            door_instance=self.door_instance,
            ticketed=self.ticketed,
            starts=self.starts,
            tickets=self.tickets,
            chores=self.chores,
            channel=self.running.labels.get(LABEL_CHANNEL, "") if self.running is not None else "",
            worth_keeping=self.state is BotState.LIVE
            or (self.state is BotState.DEGRADED and self.code in WORTH_KEEPING),
            heir=Next(ready=self.heir.ready, until=self.heir.until) if self.heir is not None else None,
            successions=self.successions,
        )

    def next_generation(self, now: float) -> int:
        """Grows across reboots without a file: the wall clock's second, or one more than the last."""
        self.newest = max(self.newest + 1, self.generation + 1, int(now))
        return self.newest

    def lives(self) -> tuple[Running, ...]:
        """The containers there are."""
        heir = self.heir.running if self.heir is not None else None
        return tuple(life for life in (self.running, heir) if life is not None)

    def inherits(self, now: float) -> None:
        """The next life takes the place of the one that has ended; nobody should notice, so nothing is shown of it."""
        heir, self.heir = self.heir, None
        if heir is None:
            return
        self.runs(heir.running)
        self.findings, self.written, self.ticketed = heir.findings, heir.written, heir.items
        self.checked, self.began, self.restarts = bool(heir.findings), now, self.restarts + 1
        self.successions = Backoff()

    def loses_heir(self, now: float, jitter: float, trouble: str, at: str) -> None:
        """The next life is no more; the one that runs goes on as it was."""
        said = self.heir.code if self.heir is not None else ""
        if self.heir is not None and said not in OTHERS_FAULT:
            self.blames(self.heir.running.image, said or Trouble.CRASHING)
        self.heir, self.last, self.last_at = None, said or trouble, at
        self.successions = self.successions.failed(now, jitter)

    def blames(self, image: str, why: str) -> None:
        """A container of that image did not do what containers should."""
        self.lost[image], self.why = self.lost.get(image, 0) + 1, why

    def seen(self, release: Release, now: float) -> Seen:
        """As :class:`clawmates.node.gate.Gate` wants to see it while it tries a release."""
        return Seen(
            bot=self.bot,
            image=self.running.image if self.running is not None else "",
            lived=now - self.live_at if self.live_at is not None and self.running is not None else None,
            ran=now - self.began,
            failures=self.lost.get(release.image.config, 0),
            excused=self.state is BotState.DEGRADED and self.code in OTHERS_FAULT,
            why=self.why if release.image.config in self.lost else self.code,
        )

    def becomes(self, state: BotState, code: str, at: str) -> None:
        """Changes what is shown; ``since`` moves only when something changed."""
        if (state, code) != (self.state, self.code) or not self.since:
            self.state, self.code, self.since = state, code, at

    def runs(self, running: Running) -> None:
        """A container of this bot runs."""
        self.running, self.shape = running, running.labels.get(LABEL_SHAPE, "")
        self.live_at = None
        self.generation = generation_of(running)
        self.newest = max(self.newest, self.generation)

    def gone(self) -> None:
        """No container of this bot runs; findings stay, they say why."""
        self.running, self.shape, self.ticketed, self.checked = None, None, None, True

    def died(self, now: float, jitter: float, at: str) -> None:
        """The container has ended by itself; what it said last is a better reason than that it ended."""
        if self.running is not None and not (self.state is BotState.DEGRADED and self.code in OTHERS_FAULT):
            self.blames(self.running.image, self.code if self.state is BotState.DEGRADED else Trouble.CRASHING)
        self.gone()
        self.starts = self.starts.failed(now, jitter, lived=now - self.began)
        said = self.code if self.state is BotState.DEGRADED else Trouble.CRASHING
        self.becomes(BotState.BACKING_OFF, said, at)

    def hears(self, event: Event, now: float, jitter: float, at: str) -> None:
        """A mate's word, as the gateway passed it on."""
        self.username = event.username or self.username
        if event.code in PASSING:
            self.last, self.last_at = event.code, at
            return
        if event.code is Code.LIVE and self.running is not None:
            self.live_at = now if self.live_at is None else self.live_at
            self.tickets = Backoff()
            self.becomes(BotState.LIVE, "", at)
        if event.code is Code.TICKET_WANTED and self.running is not None:
            # Nothing is wrong with the bot. Who asks again and again waits longer each time.
            self.ticketed = None
            self.tickets = self.tickets.failed(now, jitter, lived=now - self.tickets.ready_at)
        if event.code not in LASTING:
            return
        if self.running is None:
            # Its last words, which the kernel's word of its end has overtaken.
            if self.state is BotState.BACKING_OFF:
                self.becomes(BotState.BACKING_OFF, event.code, at)
            return
        self.becomes(BotState.DEGRADED, event.code, at)
        if event.code in NEW_TICKET:
            self.ticketed = None
            self.tickets = self.tickets.failed(now, jitter)

    def hears_of_heir(self, event: Event, now: float) -> bool:
        """A word of the next life's; true when it could take over from now on."""
        heir = self.heir
        if heir is None:
            return False
        if event.code is Code.READY:
            news, heir.ready = not heir.ready, True
            heir.until = now + HANDOVER_SECONDS if news else heir.until
            return news
        heir.code = event.code if event.code in LASTING else heir.code
        return False

    def hears_of_freeze(self, *, frozen: bool, at: str) -> bool:
        """The vault's word; true when it is news. A bot that was let go again is tried at once."""
        if frozen and self.state is BotState.LIVE:
            self.becomes(BotState.DEGRADED, Trouble.FROZEN, at)
            return True
        if not frozen and self.code == Trouble.FROZEN:
            self.tickets, self.starts = Backoff(), Backoff()
            if self.running is not None:
                self.becomes(BotState.LIVE, "", at)
        return False

    def shown(self, spec: BotSpec | None, memory: int) -> BotStatus:
        """For ``status``; ``spec`` is what the desired state says of it."""
        paused = spec is not None and spec.paused
        return BotStatus(
            bot=self.bot,
            state=BotState.PAUSED if paused and self.running is None else self.state,
            code="" if paused and self.running is None else self.code,
            since=self.since,
            last=self.last,
            last_at=self.last_at,
            channel=spec.channel if spec else "",
            provider=spec.provider if spec else "",
            model=spec.model if spec else "",
            username=self.username,
            container=self.running.name if self.running else "",
            pid=self.running.pid if self.running else 0,
            generation=self.generation,
            restarts=self.restarts,
            memory_bytes=memory,
            written_at_start=self.written,
            properties=len(self.findings),
            failed=sum(not finding.ok for finding in self.findings),
            isolation=self.findings,
        )


def bot_of(running: Running) -> str:
    """Whose container it is; empty when it is none of ours."""
    bot = running.labels.get(LABEL_BOT, "")
    return bot if BOT_ID.fullmatch(bot) and slot_of(running) >= 0 else ""


def slot_of(running: Running) -> int:
    """The container's slot; -1 when it has none."""
    text = running.labels.get(LABEL_SLOT, "")
    return int(text) if text.isdecimal() and int(text) < SLOTS else -1


def generation_of(running: Running) -> int:
    """The container's generation; 0 when it has none."""
    text = running.labels.get(LABEL_GENERATION, "")
    return int(text) if text.isdecimal() else 0


def trouble_state(trouble: Trouble) -> BotState:
    """How a bot with that trouble is shown: refused until someone acts, or tried again by itself."""
    match trouble:
        case Trouble.CRASHING | Trouble.VAULT_DOWN | Trouble.GATEWAY_DOWN | Trouble.DISK_FULL | Trouble.ENGINE_FAILED:
            return BotState.BACKING_OFF
        case _:
            return BotState.REFUSED

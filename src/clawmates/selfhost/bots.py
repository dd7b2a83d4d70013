"""The bots of a self-hosted platform: sealed into the vault, listed in ``desired.json``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.selfhost import people
from clawmates.selfhost.draft import BotError, Draft, NoSuchBotError, check_text
from clawmates.wire import vault_calls
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.reading import Reader
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, IntakeKey, VaultRefusal
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.secret import Secret
    from clawmates.wire.release import Release
    from clawmates.wire.vault_client import VaultClient

TENANT = "self"
MOST_LEFTOVERS = 20


def read(state: State) -> DesiredState:
    """``desired.json``, empty when there is none; raises :class:`BotError` and ``OSError``."""
    try:
        return decode_json(DesiredState, state.desired.read_bytes())
    except FileNotFoundError:
        return DesiredState(revision=0)
    except ShapeError as error:
        raise BotError(f"{state.desired} cannot be read: {error}.") from None


def write(state: State, desired: DesiredState) -> None:
    """Replaces ``desired.json``; node follows within a tenth of a second. Codes that have ended are left out."""
    now = whole_seconds(datetime.now(UTC))
    kept = tuple(
        replace(bot, pairings=tuple(one for one in bot.pairings if one.pends(now))) if bot.pairings else bot
        for bot in desired.bots
    )
    write_atomic(state.desired, encode_json(replace(desired, bots=kept)) + b"\n", mode=0o640)


def whole_seconds(moment: datetime) -> str:
    """A moment in the form that pairings end in."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(state: State, spec: BotSpec) -> None:
    """Adds a bot, or replaces the one of that name."""
    now = read(state)
    others = tuple(bot for bot in now.bots if bot.id != spec.id)
    write(state, DesiredState(revision=now.revision + 1, bots=(*others, spec)))


def take_out(state: State, bot: str) -> None:
    """Removes a bot from ``desired.json``; raises :class:`NoSuchBotError` when there is none."""
    now = read(state)
    find(now, bot)
    write(state, DesiredState(revision=now.revision + 1, bots=tuple(one for one in now.bots if one.id != bot)))


def find(desired: DesiredState, bot: str) -> BotSpec:
    """The bot of that name; raises :class:`NoSuchBotError` that lists those there are."""
    spec = desired.bot(bot)
    if spec is None:
        known = ", ".join(one.id for one in desired.bots) or "none yet"
        raise NoSuchBotError(f"there is no bot {bot!r}; there are: {known}.")
    return spec


def restart(state: State, bot: str) -> None:
    """Asks node for a restart."""
    spec = find(read(state), bot)
    put(state, replace(spec, restarts=spec.restarts + 1))


def pause(state: State, bot: str, *, paused: bool) -> None:
    """Stops a bot without forgetting it, or lets it go on."""
    put(state, replace(find(read(state), bot), paused=paused))


async def _put(vault: VaultClient, key: IntakeKey, binding: Binding, secret: Secret[str]) -> int:
    """The version under which the vault keeps it: a version left by a try that did not come to its end is passed."""
    for version in range(binding.version, binding.version + MOST_LEFTOVERS):
        now = replace(binding, version=version)
        try:
            await vault.put(now.bot, now.name, version, seal(key.public, now, secret))
        except VaultError as error:
            if error.refusal is not VaultRefusal.VERSION_EXISTS:
                raise
        else:
            return version
    raise VaultError(VaultRefusal.VERSION_EXISTS)


async def replace_document(spec: BotSpec, name: ItemName, text: Secret[str], vault: VaultClient) -> BotSpec:
    """Seals a new version of a document; returns the bot as it should run then. Raises the client's errors."""
    check_text(name, text)
    key = await vault.intake_key()
    binding = Binding(
        key_id=key.key_id,
        region=key.region,
        tenant=spec.tenant,
        bot=spec.id,
        name=name,
        version=spec.items.get(name, 0) + 1,
        hosts=(),
    )
    version = await _put(vault, key, binding, text)
    return replace(spec, items={**spec.items, name: version})


async def read_document(spec: BotSpec, name: ItemName, region: str, vault: VaultClient) -> Secret[str]:
    """The newest version of a document, through a key made for this one reading. Raises the client's errors."""
    reader = Reader(region=region, tenant=spec.tenant, bot=spec.id, name=name)
    return reader.open(await vault_calls.read_back(vault, spec.id, name, reader.request))


def _nothing_yet(draft: Draft) -> BotSpec:
    return BotSpec(
        id=draft.name, tenant=TENANT, channel=draft.channel, provider="", model="", items={}, paused=draft.paused
    )


async def seal_in(draft: Draft, state: State, release: Release, vault: VaultClient, node: str) -> BotSpec:
    """Seals a draft's secrets, hands them to the vault and returns the bot as it should run.

    A bot of that name keeps what the draft does not speak of: limits, a pause, a prompt that is not given anew. The
    vault learns of the bot first, so its id exists before anything is sealed to it. Raises the client's errors.
    """
    before = read(state).bot(draft.name)
    await vault.assign(draft.name, Assignment(tenant=TENANT, node=node))
    key = await vault.intake_key()
    versions = {name: version for name, version in before.items.items() if draft.keeps(name)} if before else {}
    hosts = draft.hosts(release)
    for name, secret in draft.secrets.items():
        binding = Binding(
            key_id=key.key_id,
            region=key.region,
            tenant=TENANT,
            bot=draft.name,
            name=name,
            version=(before.items.get(name, 0) if before else 0) + 1,
            hosts=hosts.get(name, ()),
        )
        versions[name] = await _put(vault, key, binding, secret)
    if draft.channel is not ChannelKind.TERMINAL:
        # Also where it has one: the newest is what the mate kept last, and a restored platform may have none.
        versions[ItemName.PEOPLE] = await people.ensure(draft.name, TENANT, vault)
    spec = replace(
        before or _nothing_yet(draft),
        channel=draft.channel,
        provider=draft.provider,
        model=draft.model,
        items=versions,
    )
    if draft.access is not None:
        spec = replace(spec, access=draft.access)
    if draft.limits is not None:
        spec = replace(spec, limits=draft.limits)
    if draft.tuning is not None:
        tuning = draft.tuning
        spec = replace(
            spec,
            temperature=tuning.temperature,
            max_output_tokens=tuning.max_output_tokens,
            fallback=tuning.fallback,
        )
    return spec

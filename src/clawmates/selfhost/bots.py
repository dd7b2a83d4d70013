"""The bots of a self-hosted platform: sealed into the vault, listed in ``desired.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire import vault_calls
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.door import OLLAMA_HOST
from clawmates.wire.names import ChannelKind, ItemName, check_bot_id
from clawmates.wire.reading import Reader
from clawmates.wire.sealing import seal
from clawmates.wire.vault import MAX_ITEM_BYTES, Assignment, Binding, IntakeKey, VaultRefusal
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.wire.release import Release
    from clawmates.wire.vault_client import VaultClient

TENANT = "self"
MOST_LEFTOVERS = 20
TELEGRAM_TOKEN = re.compile(r"\d{6,16}:[A-Za-z0-9_-]{30,64}")


class BotError(Exception):
    """A bot cannot be made or changed as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A bot to be: its public part, and its secrets by name."""

    name: str
    channel: ChannelKind
    provider: str
    model: str
    secrets: Mapping[ItemName, Secret[str]]
    dropped: frozenset[ItemName] = frozenset()
    """What the bot should no longer have (an empty prompt, say)."""

    def keeps(self, name: ItemName) -> bool:
        """Whether an item that the bot has had stays with it."""
        return name not in self.dropped and (
            name is not ItemName.CHANNEL_TOKEN or self.channel is not ChannelKind.TERMINAL
        )

    def hosts(self, release: Release) -> Mapping[ItemName, tuple[str, ...]]:
        """The only hosts that each secret may be sent to, from the release's catalogue."""
        channel, provider = release.channel(self.channel), release.provider(self.provider)
        return {
            ItemName.CHANNEL_TOKEN: channel.hosts if channel else (),
            ItemName.PROVIDER_KEY: provider.hosts if provider else (),
        }


def check(draft: Draft, release: Release) -> None:
    """Raises :class:`BotError` for anything that could not work."""
    try:
        check_bot_id(draft.name)
    except ValueError as error:
        raise BotError(f"{draft.name!r} is no name for a bot: {error}.") from None
    if release.channel(draft.channel) is None:
        raise BotError(f"this release has no channel {draft.channel.value!r}.")
    provider = release.provider(draft.provider)
    if provider is None:
        known = ", ".join(one.id for one in release.providers)
        raise BotError(f"this release has no provider {draft.provider!r}; it has: {known}.")
    if provider.model(draft.model) is None:
        known = ", ".join(model.id for model in provider.models)
        raise BotError(f"{provider.name} has no model {draft.model!r} in this release; it has: {known}.")
    _check_secrets(draft, needs_key=provider.hosts != (OLLAMA_HOST,))


def _check_secrets(draft: Draft, *, needs_key: bool) -> None:
    token = draft.secrets.get(ItemName.CHANNEL_TOKEN)
    if draft.channel is ChannelKind.TELEGRAM and (token is None or not TELEGRAM_TOKEN.fullmatch(token.reveal())):
        raise BotError("that is no Telegram bot token: copy the whole line '123456789:AA…' that @BotFather gave you.")
    key = draft.secrets.get(ItemName.PROVIDER_KEY)
    if (key is not None or needs_key) and not _is_key(key):
        raise BotError("that is no API key: copy it whole from the provider's page, without spaces.")
    for name, secret in draft.secrets.items():
        if any("\ud800" <= character <= "\udfff" for character in secret.reveal()):
            raise BotError(f"the {name.value} holds half a character (a lone surrogate): type it anew.")
        if len(secret.reveal().encode()) > MAX_ITEM_BYTES:
            raise BotError(f"the {name.value} is larger than {MAX_ITEM_BYTES // 1024} KiB: make it shorter.")


def _is_key(key: Secret[str] | None) -> bool:
    return key is not None and key.reveal().isascii() and len(key.reveal()) >= 8 and " " not in key.reveal()


def read(state: State) -> DesiredState:
    """``desired.json``, empty when there is none; raises :class:`BotError`."""
    try:
        return decode_json(DesiredState, state.desired.read_bytes())
    except FileNotFoundError:
        return DesiredState(revision=0)
    except (OSError, ShapeError) as error:
        raise BotError(f"{state.desired} cannot be read: {error}.") from None


def write(state: State, desired: DesiredState) -> None:
    """Replaces ``desired.json``; node follows within a tenth of a second."""
    write_atomic(state.desired, encode_json(desired) + b"\n", mode=0o640)


def put(state: State, spec: BotSpec) -> None:
    """Adds a bot, or replaces the one of that name."""
    now = read(state)
    others = tuple(bot for bot in now.bots if bot.id != spec.id)
    write(state, DesiredState(revision=now.revision + 1, bots=(*others, spec)))


def take_out(state: State, bot: str) -> None:
    """Removes a bot from ``desired.json``; raises :class:`BotError` when there is none."""
    now = read(state)
    find(now, bot)
    write(state, DesiredState(revision=now.revision + 1, bots=tuple(one for one in now.bots if one.id != bot)))


def find(desired: DesiredState, bot: str) -> BotSpec:
    """The bot of that name; raises :class:`BotError` that lists those there are."""
    spec = desired.bot(bot)
    if spec is None:
        known = ", ".join(one.id for one in desired.bots) or "none yet"
        raise BotError(f"there is no bot {bot!r}; there are: {known}.")
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
    if len(text.reveal().encode()) > MAX_ITEM_BYTES:
        raise BotError(f"the {name.value} is larger than {MAX_ITEM_BYTES // 1024} KiB: make it shorter.")
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
    fresh = BotSpec(
        id=draft.name,
        tenant=TENANT,
        channel=draft.channel,
        provider=draft.provider,
        model=draft.model,
        items=versions,
    )
    if before is None:
        return fresh
    return replace(before, channel=fresh.channel, provider=fresh.provider, model=fresh.model, items=fresh.items)

"""From what should be to what is asked of engine and gateway: pure, and unknown things are refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json
from clawmates.node.engines.base import BOOT_TARGET, DOOR_TARGET, ContainerSpec, Mount
from clawmates.wire.codes import Trouble
from clawmates.wire.door import VAULT_HOST, DoorSpec, FallbackConfig, MateConfig

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.base.paths import Run
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.release import Model, Provider, Release

FIRST_UID = 1_000_000_000
"""Far above the host's own users and the usual /etc/subuid ranges."""
UIDS = 1024
"""Uids and gids a bot."""
USER = 1000
"""The mate's uid and gid inside."""
SLOTS = 1_000_000

LABEL_BOT = "clawmates.bot"
LABEL_GENERATION = "clawmates.generation"
LABEL_SLOT = "clawmates.slot"
LABEL_CHANNEL = "clawmates.channel"
LABEL_SHAPE = "clawmates.shape"
"""Fingerprint of everything that needs a new container when it changes."""


def first_uid(slot: int) -> int:
    """The host's uid and gid that are 0 inside the container of a slot."""
    return FIRST_UID + slot * UIDS


def container_name(bot: str, generation: int) -> str:
    """Every start has a name of its own, so that two generations can stand side by side."""
    return f"mate-{bot}-{generation}"


def container_spec(
    bot: BotSpec, release: Release, run: Run, *, slot: int, generation: int, memory_mib: int
) -> ContainerSpec:
    """The sealed container of one bot."""
    spec = ContainerSpec(
        name="",
        image=release.image.config,
        uid_first=first_uid(slot),
        uid_count=UIDS,
        user=USER,
        hostname="mate",
        mounts=mounts(run, bot.id, generation),
        memory_bytes=memory_mib << 20,
        scratch_bytes=16 << 20,
        pids=32,
        cpus=1.0,
        open_files=1024,
        processes=64,
    )
    labels = {
        LABEL_BOT: bot.id,
        LABEL_GENERATION: str(generation),
        LABEL_SLOT: str(slot),
        LABEL_CHANNEL: bot.channel.value,
        LABEL_SHAPE: _shape(bot, spec),
    }
    return replace(spec, name=container_name(bot.id, generation), labels=labels)


def door_spec(bot: BotSpec, release: Release, *, slot: int, revision: int) -> DoorSpec | Trouble:
    """The bot's door: hosts come from the signed release alone. Trouble when it names something unknown."""
    channel = release.channel(bot.channel)
    if channel is None:
        return Trouble.UNKNOWN_CHANNEL
    chosen = _choose(release, bot.provider, bot.model)
    if isinstance(chosen, Trouble):
        return chosen
    fallback = _fallback(bot, release)
    if isinstance(fallback, Trouble):
        return fallback
    provider, model = chosen
    spare = fallback.provider_hosts if fallback is not None else ()
    return DoorSpec(
        bot=bot.id,
        uid_first=first_uid(slot),
        uid_count=UIDS,
        hosts=tuple(dict.fromkeys((VAULT_HOST, *channel.hosts, *provider.hosts, *spare))),
        config=MateConfig(
            revision=revision,
            channel=bot.channel,
            channel_hosts=channel.hosts,
            provider=bot.provider,
            provider_hosts=provider.hosts,
            model=bot.model,
            context_tokens=model.context_tokens,
            output_tokens=_output_tokens(bot, model),
            temperature=_temperature(bot, model),
            items=dict(bot.items),
            fallback=fallback,
            access=bot.access,
            pairings=bot.pairings,
            limits=bot.limits,
        ),
        limits=bot.limits,
    )


def _choose(release: Release, name: str, model_id: str) -> tuple[Provider, Model] | Trouble:
    provider = release.provider(name)
    if provider is None:
        return Trouble.UNKNOWN_PROVIDER
    model = provider.model(model_id)
    return Trouble.UNKNOWN_MODEL if model is None else (provider, model)


def _fallback(bot: BotSpec, release: Release) -> FallbackConfig | Trouble | None:
    """An unknown fallback is refused as an unknown model is: it would fail on the day it is needed."""
    if bot.fallback is None:
        return None
    chosen = _choose(release, bot.fallback.provider, bot.fallback.model)
    if isinstance(chosen, Trouble):
        return chosen
    provider, model = chosen
    return FallbackConfig(
        provider=provider.id,
        provider_hosts=provider.hosts,
        model=model.id,
        context_tokens=model.context_tokens,
        output_tokens=_output_tokens(bot, model),
        temperature=_temperature(bot, model),
    )


def _output_tokens(bot: BotSpec, model: Model) -> int:
    return min(model.output_tokens, bot.max_output_tokens or model.output_tokens)


def _temperature(bot: BotSpec, model: Model) -> float | None:
    return bot.temperature if model.temperature else None


def settled(wanted: DoorSpec, last: DoorSpec | None) -> DoorSpec:
    """``wanted`` with a revision that a waiting mate will notice: it grows exactly when the content changes."""
    if last is None:
        return wanted
    same = replace(wanted, config=replace(wanted.config, revision=last.config.revision))
    if same == last:
        return last
    revision = max(wanted.config.revision, last.config.revision + 1)
    return replace(wanted, config=replace(wanted.config, revision=revision))


def mounts(run: Run, bot: str, generation: int) -> tuple[Mount, ...]:
    """All of the host that a container gets to see."""
    boot = run.boot / bot / str(generation)
    return (Mount(source=door_folder(run, bot), target=DOOR_TARGET), Mount(source=boot, target=BOOT_TARGET))


def door_folder(run: Run, bot: str) -> Path:
    """What is mounted as ``/run/door``; the gateway keeps it while the bot exists."""
    return run.doors / bot


def _shape(bot: BotSpec, spec: ContainerSpec) -> str:
    # The channel is in it: a terminal mate listens, a messenger's mate never does.
    parts = {
        "image": spec.image,
        "restarts": bot.restarts,
        "channel": bot.channel,
        "tenant": bot.tenant,
        "memory": spec.memory_bytes,
        "scratch": spec.scratch_bytes,
        "limits": [spec.pids, spec.cpus, spec.open_files, spec.processes],
        "user": [spec.uid_first, spec.uid_count, spec.user],
    }
    return hashlib.sha256(encode_json(parts)).hexdigest()[:16]

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.engines import bot
from tests.support.node import DOOR, IMAGE, release

from clawmates.base.paths import Run
from clawmates.node.engines.base import ContainerSpec
from clawmates.node.engines.podman import run_arguments
from clawmates.node.spec import LABEL_SHAPE, container_spec, door_spec, first_uid, settled
from clawmates.wire.codes import Trouble
from clawmates.wire.desired import BotSpec, Fallback, Limits
from clawmates.wire.door import DoorSpec, FallbackConfig
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Channel, Model, Provider, Release

RUN = Run(Path("/run/clawmates"))


def made(
    one: BotSpec | None = None, *, slot: int = 2, generation: int = 7, memory_mib: int = 128, config: str = IMAGE
) -> ContainerSpec:
    return container_spec(
        one or bot(), release(config=config), RUN, slot=slot, generation=generation, memory_mib=memory_mib
    )


def door(one: BotSpec, known: Release | None = None) -> DoorSpec | Trouble:
    return door_spec(one, known or release(), slot=0, revision=5)


def test_a_container_runs_the_signed_image_and_sees_two_folders() -> None:
    spec = made()
    assert (spec.name, spec.image, spec.command) == ("mate-anna-7", IMAGE, ())
    assert [(str(one.source), one.target) for one in spec.mounts] == [
        ("/run/clawmates/doors/anna", "/run/door"),
        ("/run/clawmates/boot/anna/7", "/run/boot"),
    ]
    assert (spec.uid_first, spec.uid_count, spec.user_outside) == (1_000_002_048, 1024, 1_000_003_048)


def test_slots_do_not_overlap_and_fit_a_uid() -> None:
    assert first_uid(1) - first_uid(0) == made().uid_count
    assert first_uid(999_999) + 1024 < 1 << 32


@pytest.mark.parametrize(
    "change",
    [
        {"one": bot(restarts=1)},
        {"one": bot(channel=ChannelKind.TERMINAL)},
        {"memory_mib": 256},
        {"config": "sha256:" + "b" * 64},
        {"slot": 3},
    ],
)
def test_what_needs_a_new_container_changes_the_shape(change: dict[str, Any]) -> None:
    assert made(**change).labels[LABEL_SHAPE] != made().labels[LABEL_SHAPE]


@pytest.mark.parametrize(
    "change",
    [
        {"one": bot(model="gpt-5.4-mini")},
        {"one": bot(limits=Limits(messages_per_day=1))},
        {"one": bot(items={ItemName.PROVIDER_KEY: 9})},
        {"one": bot(temperature=0.1)},
        {"one": bot(fallback=Fallback(provider="openai", model="gpt-5.4-mini"))},
        {"generation": 8},
    ],
)
def test_what_the_door_can_tell_does_not(change: dict[str, Any]) -> None:
    assert made(**change).labels[LABEL_SHAPE] == made().labels[LABEL_SHAPE]


def test_hosts_come_from_the_release_alone() -> None:
    spec = door(bot())
    assert isinstance(spec, DoorSpec)
    assert spec.hosts == ("vault", "api.telegram.org", "api.openai.com")
    assert (spec.config.channel_hosts, spec.config.provider_hosts) == (("api.telegram.org",), ("api.openai.com",))


def test_a_terminal_bot_may_reach_no_messenger() -> None:
    spec = door(bot(channel=ChannelKind.TERMINAL))
    assert isinstance(spec, DoorSpec)
    assert spec.hosts == ("vault", "api.openai.com")


def test_output_is_bounded_by_the_model() -> None:
    for asked, given in ((None, 100), (50, 50), (5000, 100)):
        spec = door(bot(max_output_tokens=asked))
        assert isinstance(spec, DoorSpec)
        assert spec.config.output_tokens == given


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"provider": "nobody"}, Trouble.UNKNOWN_PROVIDER),
        ({"model": "gpt-0"}, Trouble.UNKNOWN_MODEL),
        ({"channel": ChannelKind.WHATSAPP}, Trouble.UNKNOWN_CHANNEL),
    ],
)
def test_unknown_is_refused(change: dict[str, Any], trouble: Trouble) -> None:
    assert door(bot(**change)) is trouble


ELSEWHERE = Provider(
    id="elsewhere",
    name="Elsewhere",
    hosts=("api.elsewhere.example",),
    models=(Model(id="other", context_tokens=500, output_tokens=50, temperature=False),),
    inference_region="global",
    keeps="nothing",
    source="made up",
    verified="2026-11-22",
)


def both() -> Release:
    return replace(release(), providers=(*release().providers, ELSEWHERE))


def test_a_fallback_elsewhere_opens_its_hosts_and_brings_its_limits() -> None:
    spec = door(bot(fallback=Fallback(provider="elsewhere", model="other"), temperature=0.5), both())
    assert isinstance(spec, DoorSpec)
    assert spec.hosts == ("vault", "api.telegram.org", "api.openai.com", "api.elsewhere.example")
    assert spec.config.provider_hosts == ("api.openai.com",)
    assert spec.config.fallback == FallbackConfig(
        provider="elsewhere",
        provider_hosts=("api.elsewhere.example",),
        model="other",
        context_tokens=500,
        output_tokens=50,
        temperature=None,
    )


def test_without_a_fallback_nothing_of_it_is_open() -> None:
    spec = door(bot(), both())
    assert isinstance(spec, DoorSpec)
    assert "api.elsewhere.example" not in spec.hosts
    assert spec.config.fallback is None


def test_a_fallback_at_the_same_provider_opens_nothing_more() -> None:
    spec = door(bot(fallback=Fallback(provider="openai", model="gpt-5.4-mini"), max_output_tokens=150))
    assert isinstance(spec, DoorSpec)
    assert spec.hosts == ("vault", "api.telegram.org", "api.openai.com")
    assert spec.config.fallback is not None
    assert (spec.config.output_tokens, spec.config.fallback.output_tokens) == (100, 150)


@pytest.mark.parametrize(
    ("fallback", "trouble"),
    [
        (Fallback(provider="nobody", model="other"), Trouble.UNKNOWN_PROVIDER),
        (Fallback(provider="elsewhere", model="gpt-5.4-nano"), Trouble.UNKNOWN_MODEL),
    ],
)
def test_an_unknown_fallback_is_refused(fallback: Fallback, trouble: Trouble) -> None:
    assert door(bot(fallback=fallback), both()) is trouble


def test_a_model_that_takes_no_temperature_is_told_none() -> None:
    for provider, model, told in (("openai", "gpt-5.4-nano", 0.5), ("elsewhere", "other", None)):
        spec = door(bot(provider=provider, model=model, temperature=0.5), both())
        assert isinstance(spec, DoorSpec)
        assert spec.config.temperature == told


def test_a_host_is_listed_once() -> None:
    shared = replace(release(), channels=(Channel(kind=ChannelKind.TELEGRAM, hosts=("api.openai.com",)),))
    spec = door(bot(), shared)
    assert isinstance(spec, DoorSpec)
    assert spec.hosts == ("vault", "api.openai.com")


def revised(revision: int, **config: Any) -> DoorSpec:
    return replace(DOOR, config=replace(DOOR.config, revision=revision, **config))


def test_the_revision_grows_exactly_when_the_content_changes() -> None:
    assert settled(revised(9), None) == revised(9)
    assert settled(revised(9), revised(4)) == revised(4)
    assert settled(revised(9, model="other"), revised(4)) == revised(9, model="other")
    assert settled(revised(3, model="other"), revised(4)) == revised(5, model="other")


def test_podman_is_asked_for_every_wall_and_told_no_secret() -> None:
    line = run_arguments(made(), Path("/x/seccomp.json"))
    assert {
        "--network=none",
        "--ipc=none",
        "--cgroupns=private",
        "--read-only",
        "--read-only-tmpfs=false",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--security-opt=seccomp=/x/seccomp.json",
        "--user=1000:1000",
        "--uidmap=0:1000002048:1024",
        "--gidmap=0:1000002048:1024",
        "--memory=134217728",
        "--memory-swap=134217728",
        "--pids-limit=32",
        "--ulimit=core=0:0",
        "--log-driver=none",
        "--unsetenv-all",
        "--http-proxy=false",
        "--sdnotify=ignore",
        "--pull=never",
    } <= set(line)
    assert line[-1] == IMAGE
    assert not [one for one in line if one.startswith("--env")]

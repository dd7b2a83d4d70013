from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.selfhost import bots
from clawmates.selfhost.draft import BotError, Draft, check
from clawmates.wire.desired import BotSpec
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Channel, Image, Model, Provider, Release

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"
DIGEST = "sha256:" + "0" * 64
RELEASE = Release(
    format=1,
    number=1,
    image=Image(digest=DIGEST, config=DIGEST, archive="mate.oci.tar", size=1),
    channels=(Channel(kind=ChannelKind.TELEGRAM, hosts=("api.telegram.org",)), Channel(kind=ChannelKind.TERMINAL)),
    providers=(
        Provider(
            id="openai",
            name="OpenAI",
            hosts=("api.openai.com",),
            models=(Model(id="m1", context_tokens=1, output_tokens=1),),
            inference_region="global",
            keeps="nothing.",
            source="x",
            verified="2026-11-01",
        ),
    ),
)
DRAFT = Draft(
    name="home",
    channel=ChannelKind.TELEGRAM,
    provider="openai",
    model="m1",
    secrets={ItemName.CHANNEL_TOKEN: Secret(TOKEN), ItemName.PROVIDER_KEY: Secret("sk-0123456789")},
)
SPEC = BotSpec(id="home", tenant="self", channel=ChannelKind.TELEGRAM, provider="openai", model="m1", items={})


def test_a_good_draft_passes() -> None:
    check(DRAFT, RELEASE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Home Bot"}, "no name for a bot"),
        ({"name": "../etc"}, "no name for a bot"),
        ({"channel": ChannelKind.WHATSAPP}, "no channel 'whatsapp'"),
        ({"provider": "acme"}, "it has: openai"),
        ({"model": "m2"}, "it has: m1"),
        ({"secrets": {ItemName.PROVIDER_KEY: Secret("sk-0123456789")}}, "@BotFather"),
        ({"secrets": {ItemName.CHANNEL_TOKEN: Secret(TOKEN)}}, "no API key"),
        ({"secrets": {**DRAFT.secrets, ItemName.CHANNEL_TOKEN: Secret("hunter2")}}, "@BotFather"),
        ({"secrets": {**DRAFT.secrets, ItemName.PROVIDER_KEY: Secret("two words here")}}, "no API key"),
        ({"secrets": {**DRAFT.secrets, ItemName.PROMPT: Secret("x" * 70_000)}}, "64 KiB"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy_and_without_the_secret(
    change: dict[str, object], words: str
) -> None:
    draft = replace(DRAFT, **change)  # type: ignore[arg-type]
    with pytest.raises(BotError, match=words) as error:
        check(draft, RELEASE)
    for secret in draft.secrets.values():
        assert secret.reveal() not in str(error.value)


def test_a_local_model_needs_no_key() -> None:
    local = replace(RELEASE, providers=(replace(RELEASE.providers[0], hosts=("ollama",)),))
    without = replace(DRAFT, secrets={ItemName.CHANNEL_TOKEN: Secret(TOKEN)})
    check(without, local)
    with pytest.raises(BotError, match="no API key"):
        check(without, RELEASE)


def test_each_secret_is_bound_to_its_own_hosts() -> None:
    hosts = DRAFT.hosts(RELEASE)
    assert hosts[ItemName.CHANNEL_TOKEN] == ("api.telegram.org",)
    assert hosts[ItemName.PROVIDER_KEY] == ("api.openai.com",)


def test_desired_state_grows_by_revisions(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert bots.read(state).revision == 0
    bots.put(state, SPEC)
    bots.restart(state, "home")
    bots.pause(state, "home", paused=True)
    now = bots.read(state)
    assert now.revision == 3
    assert (now.bots[0].restarts, now.bots[0].paused) == (1, True)
    bots.take_out(state, "home")
    assert bots.read(state).bots == ()
    assert state.desired.stat().st_mode & 0o007 == 0


def test_an_unknown_bot_is_named_beside_those_there_are(tmp_path: Path) -> None:
    bots.put(State(tmp_path), SPEC)
    with pytest.raises(BotError, match="there are: home"):
        bots.restart(State(tmp_path), "hime")


def test_a_damaged_file_is_not_overwritten(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.desired.write_text("{")
    with pytest.raises(BotError, match="cannot be read"):
        bots.put(state, SPEC)
    assert state.desired.read_text() == "{"

"""Values that node's unit tests share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.support.engines import bot

from clawmates.node.spec import door_spec
from clawmates.wire.door import DoorSpec
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Channel, Image, Model, Provider, Release

IMAGE = "sha256:" + "a" * 64


def release(*, config: str = IMAGE, number: int = 1, context: int = 1000) -> Release:
    return Release(
        format=1,
        number=number,
        image=Image(digest="sha256:" + "d" * 64, config=config, archive="mate.oci.tar", size=1),
        channels=(Channel(kind=ChannelKind.TELEGRAM, hosts=("api.telegram.org",)), Channel(kind=ChannelKind.TERMINAL)),
        providers=(
            Provider(
                id="openai",
                name="OpenAI",
                hosts=("api.openai.com",),
                models=(
                    Model(id="gpt-5.4-nano", context_tokens=context, output_tokens=100),
                    Model(id="gpt-5.4-mini", context_tokens=context, output_tokens=200),
                ),
                inference_region="global",
                keeps="nothing",
                source="made up",
                verified="2026-11-22",
            ),
        ),
    )


def _door() -> DoorSpec:
    made = door_spec(bot(), release(), slot=0, revision=1)
    assert isinstance(made, DoorSpec)
    return made


DOOR = _door()


class HandClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

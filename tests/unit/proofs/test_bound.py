"""Where bytes went, and where they may."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from clawmates.proofs.claims.bound import UNKNOWN, Destination, compare, destinations, may
from clawmates.proofs.net.flows import Flow
from clawmates.proofs.net.packets import End
from clawmates.proofs.net.wire import Speech, Wire
from clawmates.wire.desired import BotSpec, Fallback
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Channel, Image, Model, Provider, Release

HERE, AWAY, ODD = (
    End(IPv4Address("127.0.0.1"), 9),
    End(IPv4Address("11.0.0.10"), 443),
    End(IPv4Address("11.9.9.9"), 443),
)
DIGEST = f"sha256:{0:064}"
PLACES = {AWAY: "api.example"}


def flow(end: End, name: str = "", speech: Speech = Speech.TLS13) -> tuple[Flow, Wire]:
    return Flow(End(IPv4Address("11.0.0.1"), 40000), end, begun=True), Wire(speech, name)


def test_what_stays_on_the_host_is_no_destination() -> None:
    assert destinations([flow(HERE)], PLACES) == ()


def test_a_place_goes_by_its_name_and_by_what_was_asked_for_there() -> None:
    (one,) = destinations([flow(AWAY, "api.example"), flow(AWAY, "api.example"), flow(AWAY)], PLACES)
    assert (one.known, one.connections) == ("api.example", 2)
    (other,) = destinations([flow(AWAY, "evil.example")], PLACES)
    assert other.known == "api.example, asked for evil.example"
    (stray,) = destinations([flow(ODD, "api.example")], PLACES)
    assert stray.known == f"{UNKNOWN}, asked for api.example"


def test_without_a_map_of_the_world_a_name_is_what_the_handshake_says() -> None:
    found = destinations([flow(AWAY, "api.example"), flow(ODD)], {})
    assert {one.known for one in found} == {"api.example", UNKNOWN}


def test_a_silent_connection_to_nowhere_is_not_lost_sight_of() -> None:
    assert [one.known for one in destinations([flow(ODD, speech=Speech.SILENT)], PLACES)] == [UNKNOWN]
    assert [one.known for one in destinations([flow(AWAY, speech=Speech.SILENT)], PLACES)] == ["api.example"]


def test_the_end_of_an_old_connection_is_no_destination_and_a_byte_on_it_is() -> None:
    old = Flow(End(IPv4Address("11.0.0.1"), 40000), ODD, begun=False)
    assert destinations([(old, Wire(Speech.SILENT))], PLACES) == ()
    old.up.add(7, b"x")
    assert [one.known for one in destinations([(old, Wire(Speech.GAPPED))], PLACES)] == [UNKNOWN]


@pytest.mark.parametrize(
    ("found", "exactly", "count"),
    [
        (["a", "b"], True, 0),
        (["a"], True, 1),
        (["a"], False, 0),
        (["a", "b", "c"], True, 1),
        (["a", "b", "c"], False, 1),
        ([], True, 2),
    ],
)
def test_one_too_many_and_one_too_few(found: list[str], exactly: bool, count: int) -> None:  # noqa: FBT001
    assert len(compare(found, frozenset({"a", "b"}), exactly=exactly)) == count


def test_the_empty_set_is_exactly_the_empty_set() -> None:
    assert compare([], frozenset(), exactly=True) == ()
    assert compare([UNKNOWN], frozenset(), exactly=True) == (f"bytes went to {UNKNOWN}",)


def release() -> Release:
    model = Model(id="m", context_tokens=1, output_tokens=1)
    return Release(
        format=1,
        number=1,
        image=Image(digest=DIGEST, config=DIGEST, archive="a.tar", size=1),
        channels=(
            Channel(kind=ChannelKind.TELEGRAM, hosts=("tele.example",)),
            Channel(kind=ChannelKind.TERMINAL, hosts=()),
        ),
        providers=tuple(
            Provider(
                id=name,
                name=name,
                hosts=(host,),
                models=(model,),
                inference_region="",
                keeps="",
                source="",
                verified="",
            )
            for name, host in (("one", "one.example"), ("two", "two.example"), ("ollama", "ollama"))
        ),
    )


def bot(channel: ChannelKind, provider: str, fallback: str = "") -> BotSpec:
    spare = Fallback(provider=fallback, model="m") if fallback else None
    return BotSpec(id="b", tenant="t", channel=channel, provider=provider, model="m", items={}, fallback=spare)


def test_bots_may_reach_their_channel_their_provider_and_its_stand_by() -> None:
    telegram, terminal = bot(ChannelKind.TELEGRAM, "one", "two"), bot(ChannelKind.TERMINAL, "ollama")
    assert may([telegram], release(), "dns") == {"tele.example", "one.example", "two.example", "dns"}
    assert may([terminal], release(), "") == frozenset()
    assert may([terminal, telegram], release(), "") == {"tele.example", "one.example", "two.example"}


def test_a_destination_without_a_handshake_goes_by_its_place() -> None:
    assert Destination(AWAY, "api.example", "", 1, 0, 0).known == "api.example"

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.base.paths import State
from clawmates.base.shape import encode_json
from clawmates.proofs.claims.conversation import LOOK_SECONDS, earliest
from clawmates.proofs.claims.no_storage import (
    BLIND,
    FOUND_DELETED,
    NO_RELEASE,
    REAL,
    SHORT_LIVED,
    no_storage,
)
from clawmates.proofs.control import SearchBrokenError
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.errors import ChatError, NoBotError, ProofError
from clawmates.proofs.fake import Child, FakePlatform
from clawmates.proofs.fake_world import FakeWorld
from clawmates.proofs.look import Findings, Row, look
from clawmates.proofs.places import Kind
from clawmates.proofs.report import json, text
from clawmates.proofs.result import Report, Result, Status
from clawmates.proofs.searched import searched
from clawmates.proofs.trial import KILLS_A_RELEASE
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.base.paths import Run
    from clawmates.proofs.searched import Host, Searched
    from clawmates.proofs.trial import Bench, Options


MATE_DIES_AT = 5
"""The message during which the mate is killed: after vault, node and gateway."""


def said(result: Result) -> str:
    """Everything that leaves the proof, in one string."""
    report = Report(claims=(result,))
    return text(report) + json(report).decode()


async def test_it_holds_where_nothing_is_kept(state: State, run_folder: Run, options: Options, bench: Bench) -> None:
    async with FakePlatform(state, run_folder) as platform:
        result = await no_storage(platform, replace(options, kills=1), bench)
    assert result.status is Status.HELD
    assert result.evidence.found == ()
    figures = result.evidence.figures
    assert (figures["messages"], figures["kills"], figures["planned_exchanges"]) == (7, 4, 1)
    assert (figures["errors_met"], figures["error_kinds"]) == (2, 2)
    assert (platform.heard, platform.killed, platform.replaced) == (7, 1, ["tester"])
    assert platform.ended == ["vault", "node", "gateway"]
    assert (figures["hits"], figures["mate_bytes_written"]) == (0, 0)
    assert figures["encodings"] == len(ENCODINGS)
    assert int(figures["bytes_searched"]) > 10 << 20
    searched = {row[0] for row in result.evidence.table[1:]}
    assert searched >= {"state folder", "engine storage", "run folder", "temp folders", "logs", "memory"}
    assert any("mate's own memory" in sentence for sentence in result.evidence.not_looked_at)
    assert result.repeat == "clawmates prove --claim no-storage"


async def test_nothing_of_the_trial_itself_stays(state: State, run_folder: Run, options: Options, bench: Bench) -> None:
    before = sorted(state.root.rglob("*"))
    async with FakePlatform(state, run_folder) as platform:
        await no_storage(platform, options, bench)
    assert sorted(state.root.rglob("*")) == before


def folders(platform: FakePlatform, host: Host) -> dict[str, Path]:
    return {
        "state folder": platform.state.root,
        "engine storage": platform.state.engine,
        "run folder": platform.run.root,
        "temp folders": Path(host.temp[0]),
        "logs": Path(host.log[0]),
        "journal": Path(host.journal[0]),
        "core dumps": Path(host.core[0]),
    }


async def test_a_leak_anywhere_breaks_the_claim_by_place_and_encoding_without_the_text(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    heard: list[str] = []

    async def leak(platform: FakePlatform, message: str) -> None:
        heard.append(message)
        for folder in folders(platform, options.host).values():
            (folder / "leaked").write_text(message)

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, options, bench)
        wanted = {f"{kind}: {folder / 'leaked'}, as raw" for kind, folder in folders(platform, options.host).items()}
    assert result.status is Status.BROKEN
    assert {found.partition(", at offset")[0] for found in result.evidence.found} == wanted
    stem = heard[0].split('"')[0].split()[-1]
    assert len(stem) == 20
    assert not any(encoding.marker(stem).decode("latin-1") in said(result) for encoding in ENCODINGS)


async def test_a_leak_in_any_encoding_breaks_the_claim(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def leak(platform: FakePlatform, message: str) -> None:
        if platform.heard == 1:
            for encoding in ENCODINGS:
                (platform.state.root / encoding.name).write_bytes(encoding.plant(message))

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, options, bench)
    assert result.status is Status.BROKEN
    named = {encoding.name: f"{state.root / encoding.name}, as {encoding.name.rstrip('012')}" for encoding in ENCODINGS}
    missed = {name for name, words in named.items() if not any(words in found for found in result.evidence.found)}
    assert missed == set()


async def test_a_service_that_remembers_breaks_the_claim(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def leak(platform: FakePlatform, message: str) -> None:
        for service in platform.services.values():
            await service.hold(message.encode())

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, options, bench)
    assert result.status is Status.BROKEN
    assert {found.partition(" (process ")[0] for found in result.evidence.found} == {
        "memory: vault",
        "memory: gateway",
        "memory: node",
    }


@pytest.mark.parametrize("doomed", [True, False])
async def test_a_mate_that_writes_anything_breaks_the_claim(
    *, doomed: bool, tmp_path: Path, state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    """Whether it writes before it is killed or afterwards; what it writes is not even the canary."""

    async def leak(platform: FakePlatform, _message: str) -> None:
        if (platform.heard == 1) is doomed and platform.heard in {1, 7}:
            await platform.mates["tester"].write(str(tmp_path / "elsewhere"), bytes(8192))

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, replace(options, kills=1), bench)
    assert result.status is Status.BROKEN
    written = int(result.evidence.figures["mate_bytes_written"])
    assert written >= 8192
    assert result.evidence.found == (f"the mate of bot tester caused {written} bytes to be written to disk",)


async def test_what_a_mate_wrote_between_its_start_and_the_trial_counts_too(
    tmp_path: Path, state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        mate = platform.mates["tester"]
        await mate.write(str(tmp_path / "elsewhere"), bytes(8192))
        result = await no_storage(platform, options, bench)
    assert result.status is Status.BROKEN
    assert int(result.evidence.figures["mate_bytes_written"]) >= 8192


async def test_a_start_that_is_not_this_process_s_proves_nothing(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        platform.mates["tester"].written_at_start += 1
        with pytest.raises(ProofError, match="node's note of the start of bot tester is not of this process"):
            await no_storage(platform, options, bench)


async def test_a_real_provider_is_not_provoked(state: State, run_folder: Run, options: Options, bench: Bench) -> None:
    async with FakePlatform(state, run_folder, outside=None, unsafe=("node.unsafe_extra_ca",)) as platform:
        result = await no_storage(platform, replace(options, kills=1), bench)
    assert (result.evidence.figures["errors_met"], result.evidence.figures["kills"]) == (0, 4)
    assert set(REAL) <= set(result.evidence.not_looked_at)
    assert "unsafe switches that are on: node.unsafe_extra_ca" in said(result)


@pytest.mark.parametrize("bots", [(), ("tester",)])
async def test_without_a_terminal_bot_nothing_is_claimed(
    bots: tuple[str, ...], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, bots=bots, channel=ChannelKind.TELEGRAM) as platform:
        with pytest.raises(NoBotError, match="no bot with the terminal channel"):
            await no_storage(platform, options, bench)


async def test_a_bot_that_says_nothing_proves_nothing(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, reply="") as platform:
        with pytest.raises(ChatError, match="empty reply"):
            await no_storage(platform, options, bench)


async def test_answers_that_never_were_at_the_model_prove_nothing(
    state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def turned_away(_platform: FakePlatform, _bot: str, _text: str) -> str:
        return "That is too much for today."

    monkeypatch.setattr(FakePlatform, "chat", turned_away)
    async with FakePlatform(state, run_folder) as platform:
        with pytest.raises(ProofError, match="no reply of tester came from the model"):
            await no_storage(platform, options, bench)


def test_nobody_is_spoken_to_more_often_than_the_gateway_lets_through(state: State, run_folder: Run) -> None:
    platform = FakePlatform(state, run_folder)
    limit = platform.settings.gateway.limits.turns_per_minute
    assert [earliest(number, platform) for number in (0, limit - 1, limit, 2 * limit - 1)] == [0, 0, 60 / limit, 60]


async def test_what_a_mate_writes_while_it_hands_over_counts(
    tmp_path: Path, state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the wish for an exchange, and before its end."""
    real = FakePlatform.replace

    async def last_breath(platform: FakePlatform, bot: str) -> None:
        await platform.mates[bot].write(str(tmp_path / "elsewhere"), bytes(8192))
        # As long as a hand-over takes at least.
        await asyncio.sleep(5 * LOOK_SECONDS)
        await real(platform, bot)

    monkeypatch.setattr(FakePlatform, "replace", last_breath)
    async with FakePlatform(state, run_folder) as platform:
        result = await no_storage(platform, replace(options, kills=1), bench)
    assert result.status is Status.BROKEN
    assert int(result.evidence.figures["mate_bytes_written"]) >= 8192


@pytest.mark.parametrize("renewable", [True, False])
async def test_the_long_form_exchanges_the_release_where_there_is_another_or_says_that_there_is_none(
    *, renewable: bool, state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    bots = FakePlatform(state, run_folder, bots=("one", "two"), messenger=("two",), renewable=renewable)
    long = replace(options, kills=KILLS_A_RELEASE, full=True)
    async with bots as platform:
        result = await no_storage(platform, long, bench)
    assert (platform.renewed, result.evidence.figures["releases_exchanged"]) == (renewable, renewable)
    assert (NO_RELEASE in result.evidence.not_looked_at) is not renewable
    # Two in each of so many rounds, one behind the edit; in the messenger people go on talking during a release.
    said = int(result.evidence.figures["messages"])
    assert said > 47 if renewable else said == 45


async def test_a_bot_that_never_answers_is_waited_for_within_bounds(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def hang(_platform: FakePlatform, _message: str) -> None:
        await asyncio.Event().wait()

    async with FakePlatform(state, run_folder, on_message=hang) as platform:
        with pytest.raises(ChatError, match="did not answer"):
            await no_storage(platform, replace(options, chat_seconds=0.01), bench)


async def test_a_message_that_dies_with_the_mate_stops_nobody(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def listen(platform: FakePlatform, _message: str) -> None:
        if platform.heard == MATE_DIES_AT:
            await asyncio.Event().wait()

    async with FakePlatform(state, run_folder, on_message=listen) as platform:
        result = await no_storage(platform, replace(options, kills=1, grace_seconds=0.01), bench)
    assert (result.status, result.evidence.figures["replies"]) == (Status.HELD, 6)


async def test_a_kill_that_fails_is_said_in_one_sentence(
    state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_platform: FakePlatform, _bot: str) -> None:
        raise ProofError("node does not answer")

    monkeypatch.setattr(FakePlatform, "kill_mate", refuse)
    async with FakePlatform(state, run_folder) as platform:
        with pytest.raises(ProofError, match="node does not answer"):
            await no_storage(platform, replace(options, kills=1), bench)


async def test_a_kill_that_kills_nobody_proves_nothing(
    state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pretend(_platform: FakePlatform, _bot: str) -> None:
        return

    monkeypatch.setattr(FakePlatform, "kill_mate", pretend)
    async with FakePlatform(state, run_folder) as platform:
        with pytest.raises(ProofError, match="process id has not changed"):
            await no_storage(platform, replace(options, kills=1), bench)


async def test_memory_that_cannot_be_read_is_no_proof(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        await platform.services["vault"].kill()
        with pytest.raises(ProofError, match="cannot be read"):
            await no_storage(platform, options, bench)
        del platform.services["vault"]


async def test_a_helper_that_ends_during_the_search_is_said_and_stops_nobody(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        platform.services["conmon"] = await Child.start()
        await platform.services["conmon"].kill()
        result = await no_storage(platform, options, bench)
        del platform.services["conmon"]
    assert result.status is Status.HELD
    assert any(sentence.startswith("memory: not readable") for sentence in result.evidence.not_looked_at)


async def test_a_search_that_does_not_see_is_no_proof(
    state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(_canary: object) -> int:
        raise SearchBrokenError("a planted canary was not found as raw")

    monkeypatch.setattr("clawmates.proofs.claims.no_storage.check_encodings", blind)
    async with FakePlatform(state, run_folder) as platform:
        with pytest.raises(ProofError, match="the search does not work here"):
            await no_storage(platform, options, bench)
    assert platform.heard == 0


async def test_a_state_folder_that_hides_its_files_is_no_proof(
    state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Weakened: the state folder is left out of the search, so the control text in it is missed.
    def fewer(state: State, run: Run, **rest: Any) -> Searched:
        where = searched(state, run, **rest)
        return replace(where, places=tuple(place for place in where.places if place.kind is not Kind.STATE))

    monkeypatch.setattr("clawmates.proofs.claims.no_storage.searched", fewer)
    async with FakePlatform(state, run_folder) as platform:
        with pytest.raises(ProofError, match="the state folder cannot be written to"):
            await no_storage(platform, options, bench)


async def test_more_hits_than_can_be_named_are_counted(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def leak(platform: FakePlatform, message: str) -> None:
        (platform.state.root / "leaked").write_text(message * 70)

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, options, bench)
    assert result.evidence.figures["hits"] == 140
    # All of them, not only those that are named.
    assert next(row[-1] for row in result.evidence.table if row[0] == "state folder") == "140"
    assert result.evidence.found[-1] == "and 90 more"


async def test_a_mate_that_dies_by_itself_is_said(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def die(platform: FakePlatform, _message: str) -> None:
        if platform.heard == 2:
            await platform.mates["tester"].kill()

    async with FakePlatform(state, run_folder, on_message=die) as platform:
        with pytest.raises(ProofError, match="died by itself"):
            await no_storage(platform, options, bench)
        platform.mates.clear()


async def test_a_mate_that_is_gone_before_the_start_is_said(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        await platform.mates["tester"].kill()
        with pytest.raises(ProofError, match="cannot be read from /proc"):
            await no_storage(platform, options, bench)
        platform.mates.clear()


async def test_a_state_folder_that_cannot_be_written_to_is_said(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    gone = State(state.root / "nowhere")
    async with FakePlatform(gone, run_folder) as platform:
        with pytest.raises(ProofError, match=r"the state folder cannot be written to \(it is not there"):
            await no_storage(platform, options, bench)


async def test_progress_is_heard(state: State, run_folder: Run, options: Options, bench: Bench) -> None:
    heard: dict[str, int] = {}

    def listen(what: str, much: int) -> None:
        heard[what] = heard.get(what, 0) + much

    async with FakePlatform(state, run_folder) as platform:
        result = await no_storage(platform, replace(options, kills=1), replace(bench, progress=listen))
    assert (heard.pop("messages"), heard.pop("kill -9"), heard.pop("replacements")) == (7, 4, 1)
    assert sum(heard.values()) == result.evidence.figures["bytes_searched"]


async def test_the_evidence_has_a_plain_form(state: State, run_folder: Run, options: Options, bench: Bench) -> None:
    async with FakePlatform(state, run_folder) as platform:
        result = await no_storage(platform, options, bench)
    assert b'"id":"no-storage"' in encode_json(result)


# Credentials and prompts


async def test_a_credential_on_disk_breaks_the_claim_and_is_called_one(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def leak(platform: FakePlatform, _message: str) -> None:
        if platform.outside is not None:
            (platform.state.root / "token").write_text(f"123:{platform.outside.secret.stem}x")

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, options, bench)
    assert result.status is Status.BROKEN
    (found,) = result.evidence.found
    assert found.startswith(f"state folder: {state.root / 'token'}, as credential or prompt, raw")
    assert platform.outside is not None
    assert platform.outside.secret.stem not in said(result)


@pytest.mark.parametrize(("service", "broken"), [("vault", False), ("gateway", True), ("node", True)])
async def test_only_the_vault_may_hold_credentials_in_memory(
    service: str,
    broken: bool,  # noqa: FBT001 - a parameter
    state: State,
    run_folder: Run,
    options: Options,
    bench: Bench,
) -> None:
    async def hold(platform: FakePlatform, _message: str) -> None:
        if platform.outside is not None:
            await platform.services[service].hold(platform.outside.secret.mark.encode())

    async with FakePlatform(state, run_folder, on_message=hold) as platform:
        result = await no_storage(platform, options, bench)
    assert (result.status is Status.BROKEN) is broken
    assert bool(result.evidence.figures["declared_in_the_vaults_memory"]) is not broken
    assert all(one.startswith(f"memory: {service} ") for one in result.evidence.found)


async def test_a_message_in_the_vaults_memory_is_no_credential(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def hold(platform: FakePlatform, message: str) -> None:
        await platform.services["vault"].hold(message.encode())

    async with FakePlatform(state, run_folder, on_message=hold) as platform:
        assert (await no_storage(platform, options, bench)).status is Status.BROKEN


# The control text


async def test_a_control_text_is_found_in_every_kind_of_place(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        result = await no_storage(platform, options, bench)
        for kind in folders(platform, options.host):
            assert kind in result.evidence.controls[0]
    for kind in ("memory", "arguments and environment"):
        assert kind in result.evidence.controls[0]
    for folder in folders(platform, options.host).values():
        assert not list(folder.glob(".prove-*"))


@pytest.mark.parametrize("kind", [Kind.LOG, Kind.TEMP, Kind.RUN, Kind.CORE, Kind.JOURNAL, Kind.MEMORY, Kind.ARGUMENTS])
async def test_a_kind_of_place_that_is_searched_blindly_is_no_proof(
    kind: Kind, state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(*places: Any, **rest: Any) -> Findings:
        found = await look(*places, **rest)
        return replace(found, controls=found.controls - {kind})

    monkeypatch.setattr("clawmates.proofs.claims.no_storage.look", blind)
    async with FakePlatform(state, run_folder) as platform:
        with pytest.raises(ProofError, match=f"missed its own control text .{kind}"):
            await no_storage(platform, options, bench)


@pytest.mark.parametrize(
    ("controls", "gone", "said"),
    [
        ({Kind.DEVICE}, {Kind.DEVICE}, ()),
        ({Kind.DEVICE}, set(), (SHORT_LIVED,)),
        (set(), set(), (BLIND,)),
    ],
)
async def test_a_device_on_which_not_even_controls_are_found_shows_nothing(
    *,
    controls: set[Kind],
    gone: set[Kind],
    said: tuple[str, ...],
    state: State,
    run_folder: Run,
    options: Options,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def seeing(*places: Any, **rest: Any) -> Findings:
        found = await look(*places, **rest)
        rows = (*(row for row in found.rows if row.kind is not Kind.DEVICE), Row(Kind.DEVICE, 1, 1, 1, 0, 0.0))
        return replace(found, rows=rows, controls=found.controls - {Kind.DEVICE} | controls, gone=frozenset(gone))

    monkeypatch.setattr("clawmates.proofs.claims.no_storage.look", seeing)
    async with FakePlatform(state, run_folder) as platform:
        evidence = (await no_storage(platform, options, bench)).evidence
    assert {BLIND, SHORT_LIVED} & set(evidence.not_looked_at) == set(said)
    assert (FOUND_DELETED in evidence.controls) is bool(gone)


async def test_what_a_process_of_the_platform_has_started_is_searched_too(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def leak(platform: FakePlatform, message: str) -> None:
        await platform.services["node"].start_one_that_holds(message.encode())

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        result = await no_storage(platform, options, bench)
    assert result.status is Status.BROKEN
    assert any(one.startswith("memory: node > python") for one in result.evidence.found), result.evidence.found


# Messengers


async def test_what_is_written_in_a_messenger_is_a_canary_too(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, bots=("one", "two"), messenger=("two",)) as platform:
        result = await no_storage(platform, replace(options, kills=1), bench)
    assert result.status is Status.HELD
    assert (result.evidence.figures["bots"], result.evidence.figures["messages"]) == (2, 15)
    assert platform.outside is not None
    assert platform.outside.edited == ["two"]
    assert result.evidence.figures["edits"] == 1
    assert {bot for bot, _ in platform.outside.provoked} == {"one", "two"}


async def test_a_messenger_that_falls_silent_proves_nothing(
    state: State, run_folder: Run, options: Options, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_world: FakeWorld, bot: str, _text: str) -> str:
        raise ChatError(f"bot {bot} did not answer")

    monkeypatch.setattr(FakeWorld, "say", silent)
    async with FakePlatform(state, run_folder, bots=("one", "two"), messenger=("two",)) as platform:
        with pytest.raises(ChatError, match="bot two did not answer"):
            await no_storage(platform, options, bench)

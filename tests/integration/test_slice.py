"""One message through every room: real processes, real containers, real TLS; only the world outside is played."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from clawmates.base.shape import decode_json
from clawmates.mate import texts
from clawmates.selfhost import bots
from clawmates.simulator.model import Call, Failure, Fault, FaultKind, Service, TlsMode
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.boot import BOOT_FILE, Boot
from clawmates.wire.codes import Code
from clawmates.wire.desired import DesiredState
from clawmates.wire.gateway_client import GatewayClient
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState, BotStatus

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

TELEGRAM = Bot.invent("tele", ChannelKind.TELEGRAM)
TERMINAL = Bot.invent("term", ChannelKind.TERMINAL)
PERSON = 7
SECONDS = 100.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial() -> AsyncIterator[Throwaway]:
    async with throwaway() as there:
        await there.add([TELEGRAM, TERMINAL])
        await there.until_live("tele", "term")
        yield there


async def ask(trial: Throwaway, text: str, person: int = PERSON) -> str:
    before = await trial.simulator.sent(TELEGRAM.token, person)
    await trial.simulator.say(TELEGRAM.token, person, text)
    after = before[-1].message_id if before else 0
    return (await trial.simulator.wait_reply(TELEGRAM.token, person, after=after, timeout=SECONDS)).text


def offset(call: Call) -> int:
    asked = call.parameters.get("offset", 0)
    assert isinstance(asked, int)
    return asked


async def status(trial: Throwaway, name: str = "tele") -> BotStatus:
    return next(bot for bot in (await trial.live.status()).bots if bot.bot == name)


async def test_a_telegram_message_is_answered_and_the_context_kept(trial: Throwaway) -> None:
    assert "the first thing" in await ask(trial, "the first thing")
    assert "[3 messages]" in await ask(trial, "the second thing")


async def test_the_provider_is_told_not_to_store_and_gets_the_owners_prompt(trial: Throwaway) -> None:
    await ask(trial, "hello")
    call = (await trial.simulator.journal(Service.OPENAI))[-1]
    assert call.parameters["store"] is False
    assert call.parameters["instructions"] == "You are helpful."
    assert call.tls == "TLSv1.3"


async def test_the_reply_streams_and_has_no_link_preview(trial: Throwaway) -> None:
    # Long enough for a draft even where the messages before have used this second's.
    await trial.simulator.set_style(first_byte_ms=50, gap_ms=30, words=80)
    last = (await trial.simulator.status()).last_telegram
    await ask(trial, "look at https://example.org and tell me a few words about it please")
    await trial.simulator.set_style()
    drafts = await trial.simulator.journal(Service.TELEGRAM, after=last, method="sendMessageDraft")
    assert drafts
    assert all(draft.status == 200 for draft in drafts)
    assert (await trial.simulator.sent(TELEGRAM.token, PERSON))[-1].preview_disabled


async def test_an_update_is_confirmed_only_after_its_answer(trial: Throwaway) -> None:
    await trial.simulator.set_style(first_byte_ms=1500)
    last = (await trial.simulator.status()).last_telegram
    update = await trial.simulator.say(TELEGRAM.token, PERSON, "slow")
    await trial.simulator.wait_reply(
        TELEGRAM.token,
        PERSON,
        after=(await trial.simulator.sent(TELEGRAM.token, PERSON))[-1].message_id,
        timeout=SECONDS,
    )
    await trial.simulator.set_style()
    await ask(trial, "next")
    calls = await trial.simulator.journal(Service.TELEGRAM, after=last)
    sent = next(call for call in calls if call.method == "sendMessage")
    polls = [call for call in calls if call.method == "getUpdates"]
    assert all(offset(call) <= update for call in polls if call.received < sent.received)
    assert any(offset(call) > update for call in polls if call.received > sent.received)
    short = [call.received for call in polls if offset(call) == update]
    # Asked every 0.6 s; on a busy machine a question may take longer on its way than the next one.
    assert len(short) <= 3 + (sent.received - short[0]) / 0.6


async def test_the_terminal_channel_answers_through_the_console(trial: Throwaway) -> None:
    assert "hello terminal" in await trial.live.chat("term", "hello terminal")


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Failure.INVALID_API_KEY, Code.BAD_KEY),
        (Failure.INSUFFICIENT_QUOTA, Code.NO_CREDIT),
        (Failure.MODEL_NOT_FOUND, Code.UNKNOWN_MODEL),
        (Failure.OVERLOADED, Code.PROVIDER_OVERLOADED),
    ],
)
async def test_a_provider_error_is_a_sentence_for_the_person_and_a_code_for_the_owner(
    trial: Throwaway, failure: Failure, code: Code
) -> None:
    # What may pass is asked for three times before a person is told.
    times = 3 if code is Code.PROVIDER_OVERLOADED else 1
    await trial.simulator.set_fault(Service.OPENAI, Fault(kind=FaultKind.ERROR, failure=failure), times=times)
    assert await ask(trial, "hello") == texts.for_code(code)
    events = b"".join(path.read_bytes() for path in trial.state.log.glob("gateway-*.jsonl"))
    assert code.value.encode() in events
    assert "hello" in await ask(trial, "hello again")


async def test_a_dropped_connection_to_the_messenger_loses_nothing(trial: Throwaway) -> None:
    await trial.simulator.set_fault(Service.TELEGRAM, Fault(kind=FaultKind.DROP), times=2, method="sendMessage")
    assert "through the storm" in await ask(trial, "through the storm")


async def test_a_provider_that_speaks_tls_1_2_gets_nothing(trial: Throwaway) -> None:
    await trial.simulator.set_tls(Service.OPENAI, TlsMode.TLS12)
    # A warm connection of the good kind may still be there: make the stand-in drop it.
    await trial.simulator.set_fault(Service.OPENAI, Fault(kind=FaultKind.DROP), times=1)
    before = len(await trial.simulator.journal(Service.OPENAI))
    assert await ask(trial, "for no ears") == texts.for_code(Code.PROVIDER_UNREACHABLE)
    await trial.simulator.set_tls(Service.OPENAI, TlsMode.GOOD)
    await trial.simulator.clear_faults(Service.OPENAI)
    seen = (await trial.simulator.journal(Service.OPENAI))[before:]
    assert all("for no ears" not in call.body or call.fault for call in seen)


async def test_kill_9_loses_no_message_and_the_person_gets_one_answer(trial: Throwaway) -> None:
    await trial.simulator.set_style(first_byte_ms=2000)
    last = (await trial.simulator.status()).last_openai
    sent = (await trial.simulator.sent(TELEGRAM.token, PERSON))[-1].message_id
    await trial.simulator.say(TELEGRAM.token, PERSON, "survive this")
    await trial.simulator.wait_call(Service.OPENAI, "POST /v1/responses", after=last, timeout=SECONDS)
    old = await status(trial)
    os.kill(old.pid, signal.SIGKILL)
    await trial.simulator.set_style()
    reply = await trial.simulator.wait_reply(TELEGRAM.token, PERSON, after=sent, timeout=SECONDS)
    assert "survive this" in reply.text
    assert reply.text.endswith(f"\n\n{texts.of('').forgotten}")
    assert (await status(trial)).pid != old.pid
    last = (await trial.simulator.status()).last_openai
    second = await ask(trial, "after that")
    assert "after that" in second
    assert texts.of("").forgotten not in second, "it is said once"
    (told,) = await trial.simulator.journal(Service.OPENAI, after=last)
    assert "survive this" in told.body
    assert texts.of("").forgotten not in told.body
    answers = [message for message in await trial.simulator.sent(TELEGRAM.token, PERSON) if message.message_id > sent]
    assert len(answers) == 2


async def test_a_message_that_kills_the_mate_twice_is_given_up_with_a_sentence(trial: Throwaway) -> None:
    await trial.simulator.set_style(first_byte_ms=60_000)
    sent = (await trial.simulator.sent(TELEGRAM.token, PERSON))[-1].message_id
    last = (await trial.simulator.status()).last_openai
    await trial.simulator.say(TELEGRAM.token, PERSON, "poison")
    for attempt in (1, 2):
        await trial.simulator.wait_call(
            Service.OPENAI, "POST /v1/responses", after=last, count=attempt, timeout=SECONDS
        )
        os.kill((await trial.until("tele", lambda now: now.state is BotState.LIVE)).pid, signal.SIGKILL)
    reply = await trial.simulator.wait_reply(TELEGRAM.token, PERSON, after=sent, timeout=SECONDS)
    assert reply.text == texts.for_code(Code.GAVE_UP)
    await trial.simulator.set_style()
    assert len(await trial.simulator.journal(Service.OPENAI, after=last)) == 2, "not asked a third time"
    assert "whole again" in await ask(trial, "whole again")


async def test_another_model_answers_without_a_restart_and_knows_the_thread(trial: Throwaway) -> None:
    await ask(trial, "/new")
    await ask(trial, "with the first model")
    old = await status(trial)
    provider = trial.release.provider("openai")
    assert provider is not None
    other = provider.models[1].id
    await trial.simulator.add_model(other)
    now = bots.read(trial.state)
    changed = replace(bots.find(now, "tele"), model=other)
    kept = tuple(bot for bot in now.bots if bot.id != "tele")
    bots.write(trial.state, DesiredState(revision=now.revision + 1, bots=(*kept, changed)))
    async with asyncio.timeout(SECONDS):
        while other not in (said := await ask(trial, "/model")):
            assert trial.model in said
    last = (await trial.simulator.status()).last_openai
    assert "[3 messages]" in await ask(trial, "with the second model")
    (call,) = await trial.simulator.journal(Service.OPENAI, after=last)
    assert call.parameters["model"] == other
    assert (await status(trial)).pid == old.pid


async def test_the_container_is_as_tight_as_asked_and_says_so(trial: Throwaway) -> None:
    now = await status(trial)
    assert len(now.isolation) > 30
    assert [finding.name for finding in now.isolation if not finding.ok] == []


async def test_a_gateway_restart_is_healed(trial: Throwaway) -> None:
    first = (await GatewayClient(trial.live.run.gateway).status()).instance
    os.kill(trial.platform.supervisor.pid("gateway"), signal.SIGKILL)
    said = await ask(trial, "after the gateway")
    assert "after the gateway" in said
    assert texts.of("").forgotten not in said, "the mate has forgotten nothing"
    assert (await GatewayClient(trial.live.run.gateway).status()).instance != first
    assert (await status(trial)).restarts <= 3


async def test_an_answer_that_the_gateway_dies_under_is_whole_in_the_end(trial: Throwaway) -> None:
    await trial.simulator.set_style(first_byte_ms=50, gap_ms=50, words=60)
    sent = (await trial.simulator.sent(TELEGRAM.token, PERSON))[-1].message_id
    now = await trial.simulator.status()
    await trial.simulator.say(TELEGRAM.token, PERSON, "under a dying gateway")
    await trial.simulator.wait_call(
        Service.TELEGRAM, "sendMessageDraft", after=now.last_telegram, finished=True, timeout=SECONDS
    )
    os.kill(trial.platform.supervisor.pid("gateway"), signal.SIGKILL)
    await trial.simulator.set_style(words=60)
    reply = await trial.simulator.wait_reply(TELEGRAM.token, PERSON, after=sent, timeout=SECONDS)
    await trial.simulator.set_style()
    assert len(reply.text.split()) == 60
    calls = await trial.simulator.journal(Service.OPENAI, after=now.last_openai)
    assert [call.complete for call in calls] == [False, True]
    after = [one for one in await trial.simulator.sent(TELEGRAM.token, PERSON) if one.message_id > sent]
    assert after == [reply]


async def test_a_vault_that_is_down_leaves_running_bots_alone(trial: Throwaway) -> None:
    os.kill(trial.platform.supervisor.pid("vault"), signal.SIGKILL)
    assert "without the vault" in await ask(trial, "without the vault")


async def test_a_node_restart_adopts_what_runs(trial: Throwaway) -> None:
    old = await status(trial)
    os.kill(trial.platform.supervisor.pid("node"), signal.SIGKILL)
    assert "without the node" in await ask(trial, "without the node")
    (now,) = await trial.until_live("tele")
    assert now.pid == old.pid


async def test_no_token_key_or_prompt_is_in_any_file_or_argument(trial: Throwaway) -> None:
    kept = [one.encode() for bot in (TELEGRAM, TERMINAL) for one in (bot.token, bot.key)]
    files = [path for top in (trial.state.root, trial.live.run.root) for path in top.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        data = path.read_bytes()
        assert not any(secret in data for secret in kept), path
    for pid in (await trial.live.processes()).values():
        with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/environ", "rb") as environment:  # noqa: ASYNC230, PTH123
            shown = line.read() + environment.read()
        assert not any(secret in shown for secret in kept)


async def test_a_bad_token_is_a_code_and_no_hot_loop(trial: Throwaway) -> None:
    bad = Bot.invent("bad", ChannelKind.TELEGRAM)
    await trial.add([bad], known=False)
    await trial.until("bad", lambda now: now.code == Code.BAD_TOKEN)
    assert (await status(trial, "bad")).state is BotState.DEGRADED
    calls = await trial.simulator.journal(Service.TELEGRAM, method="getMe")
    assert sum(call.status in {401, 404} for call in calls) <= 3


def opened(trial: Throwaway, bot: str) -> list[int]:
    """The marks of the tickets that its mate said it had opened, in order."""
    lines = [line for path in trial.state.log.glob("gateway-*") for line in path.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    return [event["number"] for event in events if (event["code"], event.get("bot")) == (Code.OPENED, bot)]


async def until_opened(trial: Throwaway, bot: str, times: int) -> None:
    """Until the mate has opened so many tickets, and node has taken the last one away."""
    async with asyncio.timeout(60):
        while len(opened(trial, bot)) < times or in_the_folder(trial, bot):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # files set no event


def in_the_folder(trial: Throwaway, bot: str) -> bool:
    """Whether a ticket lies in a boot folder of the bot's."""
    files = (trial.live.run.boot / bot).glob(f"*/{BOOT_FILE}")
    return any(decode_json(Boot, file.read_bytes()).ticket is not None for file in files)


async def test_spent_tickets_are_taken_away_and_new_ones_arrive(trial: Throwaway) -> None:
    """A ticket lies in the boot folder until it is redeemed and no longer; a changed credential still arrives."""
    bot, name = Bot.invent("spent", ChannelKind.TERMINAL), "spent"
    await trial.add([bot])
    (first,) = await trial.until_live(name)
    await until_opened(trial, name, 1)

    await trial.add([replace(bot, key=f"sk-{secrets.token_hex(24)}")])
    await until_opened(trial, name, 2)
    (second,) = await trial.until_live(name)
    assert second.pid == first.pid, "the same life of the mate, with the new credential"
    assert await trial.live.chat(name, "hello")

    await trial.live.kill_mate(name)
    await until_opened(trial, name, 3)
    third: BotStatus = await trial.until(name, lambda now: now.pid not in {0, first.pid})
    assert third.generation > first.generation
    assert await trial.live.chat(name, "hello again")
    assert len(set(opened(trial, name))) == 3


async def test_without_a_copy_of_the_keys_no_backup_is_made(trial: Throwaway) -> None:
    """It could never be opened again, and looks like one that can."""
    out = trial.root / "a.backup"
    made = await clawmates("backup", "keygen", "--out", str(trial.root / "key"), "--no-passphrase")
    arguments = ["--to", made["data"]["public"], "--out", str(out), "--state", str(trial.state.root)]
    refused = await clawmates("backup", "create", *arguments)
    assert refused["error"]["code"] == "bad-backup"
    assert "keys_copy" in refused["error"]["message"]
    assert not out.exists()


async def clawmates(*arguments: str) -> dict[str, dict[str, str]]:
    """What a command answers; an error where it ends with 1."""
    command = [str(Path(sys.executable).with_name("clawmates")), *arguments, "--json"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    said, _ = await process.communicate()
    answer: dict[str, dict[str, str]] = json.loads(said)
    assert process.returncode == int("error" in answer)
    return answer

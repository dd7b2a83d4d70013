"""Who may talk to a real bot in a real container, and what its owner hears: across restarts of everything."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from clawmates.base.secret import Secret
from clawmates.mate import texts
from clawmates.selfhost import bots, pairing, people
from clawmates.selfhost.install import vault_of
from clawmates.simulator.model import Service, User
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.codes import Code
from clawmates.wire.desired import Access, Limits
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import People
from clawmates.wire.status import BotState

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BOT = replace(Bot.invent("family", ChannelKind.TELEGRAM), access=Access.PAIRED)
OWNER, GUEST, STRANGER, LISTED = 730_001_957, 730_002_957, 730_003_957, 730_004_957
SECONDS = 100.0
GERMAN, ENGLISH = texts.of("de"), texts.of("en")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial() -> AsyncIterator[Throwaway]:
    async with throwaway() as there:
        await there.add([BOT])
        await there.until_live(BOT.name)
        yield there


async def newest(trial: Throwaway, person: int) -> int:
    sent = await trial.simulator.sent(BOT.token, person)
    return sent[-1].message_id if sent else 0


async def hears(trial: Throwaway, person: int, after: int) -> str:
    while True:
        heard = await trial.simulator.wait_reply(BOT.token, person, after=after, timeout=SECONDS)
        if heard.text != ENGLISH.code_known:
            return heard.text
        # A code that was not confirmed to Telegram when the mate was killed comes again, and lets nobody in twice.
        after = heard.message_id


async def ask(trial: Throwaway, text: str, person: int = OWNER, language: str = "en") -> str:
    before = await newest(trial, person)
    await trial.simulator.say(BOT.token, person, text, user=User(id=person, language_code=language))
    return await hears(trial, person, before)


async def calls(trial: Throwaway) -> int:
    return len(await trial.simulator.journal(Service.OPENAI))


async def code(trial: Throwaway) -> pairing.Issued:
    return await pairing.pair(trial.state, trial.platform.settings, BOT.name, datetime.now(UTC))


async def kept(trial: Throwaway) -> People:
    async with vault_of(trial.state, trial.platform.settings) as vault:
        return await people.show(bots.find(bots.read(trial.state), BOT.name), vault)


async def kill(trial: Throwaway) -> None:
    """The mate dies and is started again."""
    old = await trial.until(BOT.name, lambda now: now.state is BotState.LIVE)
    os.kill(old.pid, signal.SIGKILL)
    await trial.until(BOT.name, lambda now: now.state is BotState.LIVE and now.pid not in {0, old.pid})


async def test_a_new_bot_answers_nobody(trial: Throwaway) -> None:
    assert await ask(trial, "hello", STRANGER) == ENGLISH.stranger_code
    for text in ("hello?", "/help", "let me in"):
        await trial.simulator.say(BOT.token, STRANGER, text, user=User(id=STRANGER))
    assert await ask(trial, "/privacy", STRANGER) == ENGLISH.stranger_privacy
    assert len(await trial.simulator.sent(BOT.token, STRANGER)) == 2
    assert await calls(trial) == 0


async def test_a_code_lets_the_owner_in_and_is_good_once(trial: Throwaway) -> None:
    issued = await code(trial)
    assert issued.link.reveal() == f"https://t.me/{BOT.username}?start={issued.code.reveal()}"
    assert issued.code.reveal() not in trial.state.desired.read_text()
    assert await ask(trial, f"/start {issued.code.reveal()}", language="de") == GERMAN.welcome_owner
    assert "ich bin es" in await ask(trial, "ich bin es", language="de")
    now = await kept(trial)
    assert (now.owner, now.people, now.language) == (str(OWNER), (str(OWNER),), "de")
    assert await ask(trial, issued.grouped, STRANGER) == ENGLISH.code_wrong
    assert await calls(trial) == 1


async def test_a_restarted_bot_knows_its_owner_and_which_codes_are_spent(trial: Throwaway) -> None:
    issued = await code(trial)
    assert await ask(trial, issued.grouped.lower(), GUEST) == ENGLISH.welcome
    before = await newest(trial, OWNER)
    await kill(trial)
    assert "still me" in await ask(trial, "still me")
    assert "and me" in await ask(trial, "and me", GUEST)
    assert await ask(trial, issued.grouped, STRANGER) == ENGLISH.code_wrong
    told = [one.text for one in await trial.simulator.sent(BOT.token, OWNER) if one.message_id > before]
    assert not any(GERMAN.changed in text for text in told), "nothing has changed meanwhile"


async def test_a_vault_that_restarts_in_between_loses_nobody(trial: Throwaway) -> None:
    os.kill(trial.platform.supervisor.pid("vault"), signal.SIGKILL)
    issued = await code(trial)
    assert await ask(trial, issued.grouped, STRANGER) == ENGLISH.welcome
    await trial.until(BOT.name, lambda now: now.state is BotState.LIVE)
    events = b"".join(path.read_bytes() for path in trial.state.log.glob("gateway-*.jsonl"))
    assert Code.TICKET_WANTED.value.encode() in events, "its session was forgotten"
    while str(STRANGER) not in (await kept(trial)).people:
        await trial.until_live(BOT.name)
    await kill(trial)
    assert "hello at last" in await ask(trial, "hello at last", STRANGER)


async def test_the_owner_hears_what_changed_in_their_language_and_the_context_stays(trial: Throwaway) -> None:
    assert "a thread to keep" in await ask(trial, "a thread to keep", language="de")
    before, asked = await newest(trial, OWNER), await calls(trial)
    spec = bots.find(bots.read(trial.state), BOT.name)
    async with vault_of(trial.state, trial.platform.settings) as vault:
        spec = await bots.replace_document(spec, ItemName.PROMPT, Secret("Speak like a pirate."), vault)
    bots.put(trial.state, replace(spec, limits=Limits(messages_per_day=1000)))
    told = await hears(trial, OWNER, before)
    assert told.startswith(GERMAN.changed)
    assert GERMAN.changes["prompt"] in told
    assert GERMAN.changes["limits"] in told
    assert "pirate" not in told
    assert await calls(trial) == asked, "it costs no call"
    assert "[3 messages]" in await ask(trial, "and on", language="de")
    call = (await trial.simulator.journal(Service.OPENAI))[-1]
    assert call.parameters["instructions"] == "Speak like a pirate."
    assert not any(GERMAN.changed in one.text for one in await trial.simulator.sent(BOT.token, GUEST))


async def test_what_changed_while_the_bot_was_down_is_told_when_it_is_back(trial: Throwaway) -> None:
    before = await newest(trial, OWNER)
    bots.pause(trial.state, BOT.name, paused=True)
    await trial.until(BOT.name, lambda now: now.state is BotState.PAUSED)
    spec = bots.find(bots.read(trial.state), BOT.name)
    provider = trial.release.provider(spec.provider)
    assert provider is not None
    other = provider.models[-1].id
    await trial.simulator.add_model(other)
    bots.put(trial.state, replace(spec, model=other, paused=False))
    assert other in await hears(trial, OWNER, before)


async def test_whom_the_owner_lists_and_removes_follows_without_a_restart(trial: Throwaway) -> None:
    before = await newest(trial, OWNER)
    spec = bots.find(bots.read(trial.state), BOT.name)
    async with vault_of(trial.state, trial.platform.settings) as vault:
        spec, now = await people.change(spec, vault, lambda all_: all_.remove(str(GUEST)).admit(str(LISTED)))
    assert now.people == (str(OWNER), str(STRANGER), str(LISTED))
    bots.put(trial.state, replace(spec, access=Access.LIST))
    assert GERMAN.accesses["list"] in await hears(trial, OWNER, before)
    assert "I am listed" in await ask(trial, "I am listed", LISTED)
    assert await ask(trial, "hello", GUEST) == ENGLISH.stranger
    with pytest.raises(pairing.PairingError, match="takes no codes"):
        await code(trial)


async def test_no_number_of_anybody_is_in_any_file_log_or_argument(trial: Throwaway) -> None:
    numbers = [str(person).encode() for person in (OWNER, GUEST, STRANGER, LISTED)]
    tops = (trial.state.root, trial.live.run.root)
    files = [path for top in tops for path in top.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert not any(number in path.read_bytes() for number in numbers), path
    for pid in (await trial.live.processes()).values():
        with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/environ", "rb") as environment:  # noqa: ASYNC230, PTH123
            shown = line.read() + environment.read()
        assert not any(number in shown for number in numbers)
    # The search finds what is there.
    (trial.state.log / "seeded").write_bytes(b"person " + numbers[0])
    assert any(numbers[0] in path.read_bytes() for path in trial.state.log.iterdir())

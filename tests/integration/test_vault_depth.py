"""The vault as its own process: leases, sessions, reading back, revocation, confinement; and a running bot's prompt."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from tests.support.forked import command
from tests.support.vault import KEY, PROMPT, SECRETS, TOKEN, VAULT_NAMES, House, Running, furnished, refusal, running

from clawmates.base.secret import Secret
from clawmates.base.x509 import Names, new_request
from clawmates.selfhost import bots, people, pki
from clawmates.selfhost.install import vault_of
from clawmates.simulator.model import Service
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire import vault_calls
from clawmates.wire.desired import BotSpec
from clawmates.wire.enrolment import EnrolmentRequest
from clawmates.wire.leases import LeaseRenewal
from clawmates.wire.names import ChannelKind, ItemName, Role, ServiceName
from clawmates.wire.people import People, dump
from clawmates.wire.reading import Reader
from clawmates.wire.vault import Assignment, Redemption, SealedItem, SessionItem, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultClient, VaultError, put_in_session, redeem, speaks_as

SECOND_PROMPT = "You answer in verse."


@pytest.fixture
def house() -> Iterator[House]:
    with furnished() as house:
        yield house


def reader(name: ItemName = PROMPT) -> Reader:
    return Reader(region="local", tenant="acme", bot="b1", name=name)


async def test_a_lease_ends_and_node_cannot_bring_it_back(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        await vault.cli.assign("b1", Assignment(tenant="acme", node="node-1", lease_seconds=5))
        (lease,) = (await vault_calls.renew(vault.node, LeaseRenewal(bots=("b1", "b2")))).leases
        assert (lease.bot, lease.seconds, lease.frozen) == ("b1", 5, False)
        await vault.take()
        async with asyncio.timeout(60):
            while True:
                if not await _may_take(vault):
                    break
                await asyncio.sleep(0.05)
        assert await refusal(vault.take()) is VaultRefusal.LEASE_ENDED
        assert (await vault_calls.renew(vault.node, LeaseRenewal(bots=("b1",)))).leases == ()
    async with running(house, weaken="import clawmates.vault.store as s; s.runs = lambda *_: True") as vault:
        await vault.take()
    async with running(house) as vault:
        assert await refusal(vault.take()) is VaultRefusal.LEASE_ENDED
        await vault.cli.assign("b1", Assignment(tenant="acme", node="node-1"))
        await vault.take()


async def _may_take(vault: Running) -> bool:
    try:
        await vault.take()
    except VaultError:
        return False
    return True


async def test_a_document_comes_back_and_a_credential_never(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        mine = reader()
        document = await vault_calls.read_back(vault.cli, "b1", PROMPT, mine.request)
        assert mine.open(document).reveal() == SECRETS[PROMPT]
        for name in (KEY, TOKEN, ItemName.INGRESS_KEY):
            assert await refusal(vault_calls.read_back(vault.cli, "b1", name, mine.request)) is VaultRefusal.NOT_ALLOWED
        for client in (vault.node, vault.mate):
            assert await refusal(vault_calls.read_back(client, "b1", PROMPT, mine.request)) is VaultRefusal.NOT_ALLOWED
    weaken = "import clawmates.wire.names as n; n.ItemName.is_document = True"
    async with running(house, weaken=weaken) as vault:
        mine = reader(KEY)
        assert mine.open(await vault_calls.read_back(vault.cli, "b1", KEY, mine.request)).reveal() == SECRETS[KEY]


async def session(vault: Running, generation: int = 1) -> Secret[str]:
    ticket = await vault.node.ticket(TicketRequest(bot="b1", generation=generation, items={KEY: 1}))
    release = await vault.mate.redeem(Redemption(bot="b1", ticket=ticket.ticket, session=True))
    assert release.session is not None
    return release.session


async def test_a_redeemed_session_keeps_what_was_born_and_ends_with_the_process(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        connection = await vault.connect()
        ticket = await vault.node.ticket(TicketRequest(bot="b1", generation=1, items={KEY: 1}))
        release = await redeem(connection, Redemption(bot="b1", ticket=ticket.ticket, session=True))
        assert release.session is not None
        item = SessionItem(bot="b1", session=release.session, version=1, value=Secret("who-was-admitted"))
        await put_in_session(connection, ItemName.PEOPLE, item)
        assert connection.reusable
        await connection.close()
        mine = reader(ItemName.PEOPLE)
        document = await vault_calls.read_back(vault.cli, "b1", ItemName.PEOPLE, mine.request)
        assert mine.open(document).reveal() == "who-was-admitted"
        for name in (KEY, TOKEN, PROMPT):
            assert await refusal(vault.mate.put_in_session(name, item)) is VaultRefusal.NOT_ALLOWED
        stranger = replace(item, session=Secret("x"))
        assert await refusal(vault.mate.put_in_session(ItemName.PEOPLE, stranger)) is VaultRefusal.SESSION_UNKNOWN
        await vault.stop(signal.SIGKILL)
    assert not any(b"who-was-admitted" in path.read_bytes() for path in house.root.rglob("*") if path.is_file())
    async with running(house) as vault:
        assert await refusal(vault.mate.put_in_session(ItemName.PEOPLE, item)) is VaultRefusal.SESSION_UNKNOWN
    weaken = "import clawmates.vault.sessions as s; s.BORN_INSIDE = frozenset(s.ItemName)"
    async with running(house, weaken=weaken) as vault:
        await vault.mate.put_in_session(KEY, replace(item, session=await session(vault), version=2))


@dataclass
class Racing:
    """The CLI's client, beside a mate that keeps a person just before the CLI does."""

    client: VaultClient
    keep: Callable[[int], Awaitable[None]]
    races: int

    def __getattr__(self, name: str) -> object:
        return getattr(self.client, name)

    async def put(self, bot: str, name: ItemName, version: int, item: SealedItem) -> None:
        if self.races:
            self.races -= 1
            await self.keep(version)
        await self.client.put(bot, name, version, item)


async def test_an_owners_edit_and_a_mates_at_the_same_time_both_stay(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        spec = BotSpec(id="b1", tenant="acme", channel=ChannelKind.TELEGRAM, provider="p", model="m", items={})
        assert await people.show(spec, vault.cli) == People()
        assert await people.ensure("b1", "acme", vault.cli) == 1
        assert await people.ensure("b1", "acme", vault.cli) == 1
        held, mates = await session(vault), [People()]

        async def keep(version: int) -> None:
            mates.append((await people.show(spec, vault.cli)).admit(f"70{version}"))
            item = SessionItem(bot="b1", session=held, version=version, value=dump(mates[-1]))
            await vault.mate.put_in_session(ItemName.PEOPLE, item)

        racing = cast(VaultClient, Racing(vault.cli, keep, races=2))
        spec, now = await people.change(spec, racing, lambda all_: all_.admit("5"))
        assert spec.items == {ItemName.PEOPLE: 4}
        assert now.people == ("702", "703", "5")
        assert await people.show(spec, vault.cli) == now
        endless = cast(VaultClient, Racing(vault.cli, keep, races=100))
        with pytest.raises((people.PeopleError, VaultError)):
            await people.change(spec, endless, lambda all_: all_.admit("6"))
        spec, now = await people.change(spec, vault.cli, lambda all_: all_, afresh=True)
        assert now == People()


async def test_a_list_that_cannot_be_read_is_begun_afresh_only_when_asked(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        spec = BotSpec(id="b1", tenant="acme", channel=ChannelKind.TELEGRAM, provider="p", model="m", items={})
        item = SessionItem(bot="b1", session=await session(vault), version=1, value=Secret('{"format":2}'))
        await vault.mate.put_in_session(ItemName.PEOPLE, item)
        for call in (people.show(spec, vault.cli), people.change(spec, vault.cli, lambda all_: all_)):
            with pytest.raises(people.PeopleError, match="--clear"):
                await call
        _spec, now = await people.change(spec, vault.cli, lambda all_: all_.admit("5"), afresh=True)
        assert now.owner == "5"


async def test_a_second_use_is_in_the_status_until_somebody_looked(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        held, ticket = await session(vault), await vault.take()
        await vault.mate.redeem(ticket)
        assert (await vault_calls.status(vault.cli)).frozen == ()
        assert await refusal(vault.mate.redeem(ticket)) is VaultRefusal.TICKET_REUSED
        assert (await vault_calls.status(vault.cli)).frozen == ("b1",)
        item = SessionItem(bot="b1", session=held, version=1, value=Secret("x"))
        assert await refusal(vault.mate.put_in_session(ItemName.PEOPLE, item)) is VaultRefusal.SESSION_UNKNOWN
    async with running(house) as vault:
        assert (await vault_calls.status(vault.cli)).frozen == ("b1",)
        assert await refusal(vault.take()) is VaultRefusal.FROZEN
        await vault.cli.unfreeze("b1")
        assert (await vault_calls.status(vault.cli)).frozen == ()
        await vault.mate.redeem(await vault.take())


async def test_a_revoked_certificate_counts_no_more_at_once(house: House) -> None:
    name = ServiceName("local", Role.NODE, "node-1")
    house.state.revoked.parent.mkdir()
    async with running(house) as vault:
        await vault.fill()
        await vault.take()
        fresh = pki.revoke(house.state, name)
        assert await refusal(vault.take()) is VaultRefusal.REVOKED
        house.certify("node-1", Names(uri=(str(fresh),)))
        again = replace(vault.mate, tls=house.tls(house.state.identity("node-1")))
        await again.ticket(TicketRequest(bot="b1", generation=1, items={KEY: 1}))
    weaken = "import clawmates.wire.revocations as r; r.Revocations.revoked = lambda *_: False"
    async with running(house, weaken=weaken) as vault:
        await vault.take()


async def test_a_vault_of_a_later_generation_is_still_the_vault(house: House) -> None:
    house.certify("vault", Names(dns=VAULT_NAMES.dns, uri=("clawmates://local/vault/vault/2",)))
    async with running(house) as vault:
        connection = await vault.connect()
        assert speaks_as(connection, "clawmates://local/vault/vault")
        assert speaks_as(connection, "clawmates://local/vault/vault/2")
        assert not speaks_as(connection, "clawmates://local/vault/vault/3")
        await connection.close()


async def test_the_process_says_how_it_is_confined_and_is(house: House) -> None:
    async with running(house, anew=True) as vault:
        await vault.fill()
        status = await vault_calls.status(vault.cli)
        assert status.confinement in {"files and network", "files", "unavailable"}
        events = "".join(path.read_text() for path in house.state.log.glob("vault-*.jsonl"))
        said = "unconfined" if status.confinement == "unavailable" else "confined"
        assert f'"code":"{said}"' in events
    # Once confined, a folder that the vault was not given cannot be used, whoever owns it.
    outside = house.root / "outside"
    outside.mkdir()
    write = (
        "import clawmates.vault.service as s; started = s.Vault.started\n"
        "async def leak(self, condition):\n"
        f" open({str(outside / 'leak')!r}, 'w').close(); await started(self, condition)\n"
        "s.Vault.started = leak"
    )
    if status.confinement != "unavailable":
        with pytest.raises(AssertionError, match="PermissionError"):
            async with running(house, weaken=write, anew=True):
                pass
        assert not (outside / "leak").exists()
    free = f"{write}\nimport clawmates.vault.process as m; m.confine = lambda reach: m.Condition().confinement"
    async with running(house, weaken=free, anew=True) as vault:
        assert (await vault_calls.status(vault.cli)).confinement == "unavailable"
    assert (outside / "leak").exists()


@pytest.mark.timeout(240)
async def test_a_running_bot_follows_a_new_prompt_without_a_restart() -> None:
    bot = Bot.invent("poet", ChannelKind.TERMINAL)
    async with throwaway() as trial:
        await trial.add([bot], prompt="You are helpful.")
        (before,) = await trial.until_live("poet")
        await trial.live.chat("poet", "one")
        assert (await trial.simulator.journal(Service.OPENAI))[-1].parameters["instructions"] == "You are helpful."
        shown = await _cli(trial.state.root, "bot", "prompt", "poet")
        assert shown == (0, "You are helpful.\n")
        assert (await _cli(trial.state.root, "bot", "prompt", "poet", "--stdin", given=SECOND_PROMPT))[0] == 0
        assert await _cli(trial.state.root, "bot", "prompt", "poet") == (0, SECOND_PROMPT + "\n")
        await _answered_with(trial, SECOND_PROMPT)
        (after,) = await trial.until_live("poet")
        assert (after.pid, after.generation, after.restarts) == (before.pid, before.generation, before.restarts)
        await _look_after(trial.state.root)
        said = b"".join(path.read_bytes() for path in trial.state.log.glob("vault-*.jsonl"))
        assert b'"code":"document-read"' in said  # under its own uid too, the vault reaches its log
        editor = trial.root / "editor"
        editor.write_text('#!/bin/sh\necho "Edited." > "$1"\nstat -f -c %T "$1" >&2\n')
        editor.chmod(0o755)
        assert (await _cli(trial.state.root, "bot", "prompt", "poet", "--edit", editor=str(editor)))[0] == 0
        assert await _cli(trial.state.root, "bot", "prompt", "poet") == (0, "Edited.\n")
        assert list(trial.live.run.root.glob("edit-*")) == []
        assert (await _cli(trial.state.root, "bot", "prompt", "poet", "--edit", editor="false"))[0] == 1
        assert (await _cli(trial.state.root, "bot", "prompt", "poet", "--edit", editor="true"))[0] == 0
        # Under its new certificate, for the old one was revoked a moment ago.
        await _answered_with(trial, "Edited.")
        async with vault_of(trial.state, trial.platform.settings) as vault:
            spec = bots.find(bots.read(trial.state), "poet")
            assert (await bots.read_document(spec, PROMPT, "local", vault)).reveal() == "Edited."
        secrets = [SECOND_PROMPT.encode(), b"Edited.\n"]
        for path in trial.state.root.rglob("*"):
            assert not path.is_file() or not any(secret in path.read_bytes() for secret in secrets), path


async def _answered_with(trial: Throwaway, prompt: str) -> None:
    async with asyncio.timeout(60):
        while True:
            await trial.live.chat("poet", "again")
            if (await trial.simulator.journal(Service.OPENAI))[-1].parameters["instructions"] == prompt:
                return


async def _look_after(state: Path) -> None:
    """The operator's other commands, and this host's own certificate revoked while everything runs."""
    code, said = await _cli(state, "vault", "status")
    assert code == 0
    assert "audit chain: " in said
    assert "frozen" not in said
    assert (await _cli(state, "vault", "unfreeze", "poet"))[0] == 0
    assert (await _cli(state, "vault", "unfreeze", "nobody"))[0] == 1
    code, said = await _cli(state, "node", "enrol", "node-7", "--json")
    token = Secret(json.loads(said)["data"]["token"])
    request = EnrolmentRequest(token=token, request=new_request()[1].decode())
    code, said = await _cli(state, "node", "admit", given=json.dumps(request.plain()))
    assert (code, said.count("BEGIN CERTIFICATE")) == (0, 2)
    assert (await _cli(state, "node", "admit", given=json.dumps(request.plain())))[0] == 2
    assert (await _cli(state, "node", "admit", given="{}"))[0] == 2
    assert (await _cli(state, "node", "revoke", "Node"))[0] == 2
    assert await _cli(state, "node", "revoke", "node-1") == (0, "node-1: earlier certificates are void\n")


async def _cli(state: Path, *words: str, given: str = "", editor: str = "") -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name != "EDITOR"}
    environment |= {"EDITOR": editor} if editor else {}
    done = await asyncio.to_thread(command, *words, "--state", str(state), given=given, environment=environment)
    return done.returncode, done.stdout

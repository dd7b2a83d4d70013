"""The vault's keys as an operator meets them: a real process, a real token, a real key service, the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.forked import command
from tests.support.moto import moto
from tests.support.softhsm import SoftToken
from tests.support.vault import PROMPT, SECRETS, House, Running, finish, furnished, launch, refusal, running

from clawmates.base.secret import Secret
from clawmates.wire import upkeep_calls
from clawmates.wire.receipt import check
from clawmates.wire.sealing import seal
from clawmates.wire.upkeep import KeysStatus, RotationRequest
from clawmates.wire.vault import Binding, Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultClient
from clawmates.wire.vault_deeds import KeyKind

pytestmark = pytest.mark.timeout(180)

MASTER, INTAKE = RotationRequest(kind=KeyKind.MASTER), RotationRequest(kind=KeyKind.INTAKE)
TENANT = RotationRequest(kind=KeyKind.TENANT, tenant="acme")


@pytest.fixture
def house() -> Iterator[House]:
    with furnished() as house:
        yield house


def configure(house: House, **vault: str) -> None:
    house.configure(more="".join(f"{name} = {json.dumps(value)}\n" for name, value in vault.items()))


async def until_quiet(client: VaultClient) -> KeysStatus:
    async with asyncio.timeout(60):
        while (now := await upkeep_calls.keys(client)).rotations or now.destroying:
            pass  # each question is answered between two steps
    return now


async def released(vault: Running, node: VaultClient, bot: str = "b1") -> dict[Any, str]:
    request = TicketRequest(bot=bot, generation=1, items=dict.fromkeys(SECRETS, 1))
    redemption = Redemption(bot=bot, ticket=(await node.ticket(request)).ticket)
    return {item.name: item.value.reveal() for item in (await vault.mate.redeem(redemption)).items}


@dataclass
class Load:
    """Releases one after the other, by several at once, until told to stop; any failure ends the test."""

    done: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def load(vault: Running, *bots: str) -> AsyncIterator[Load]:
    load = Load()
    node = vault.node

    async def work(bot: str) -> None:
        while not load.stop.is_set():
            assert await released(vault, node, bot) == SECRETS
            load.done += 1

    async with asyncio.TaskGroup() as group:
        for bot in bots:
            group.create_task(work(bot))
        yield load
        load.stop.set()


async def test_all_three_keys_rotate_under_load_without_a_failed_release(house: House) -> None:
    bots = [f"b{number}" for number in range(20)]
    async with running(house) as vault:
        for bot in bots:
            await vault.fill(bot)
        cli = vault.cli
        first = await upkeep_calls.keys(cli)
        async with load(vault, "b0", "b1", "b2") as releases:
            for number in range(3):
                before = releases.done
                for request in (MASTER, TENANT, INTAKE):
                    await upkeep_calls.rotate(cli, request)
                    await put(cli, "b3", number * 3 + [MASTER, TENANT, INTAKE].index(request) + 2)
                    await until_quiet(cli)
                async with asyncio.timeout(60):
                    while releases.done == before:  # noqa: ASYNC110 - what a sibling task does
                        await asyncio.sleep(0)
        last = await upkeep_calls.keys(cli)
        assert first.master != last.master
        assert first.intake_key != last.intake_key
        assert (last.intake_keys_honoured, last.trouble) == (3, ())
    async with running(house) as vault:
        for bot in bots[:3]:
            assert await released(vault, vault.node, bot) == SECRETS
    events = "".join(path.read_text() for path in house.state.log.glob("vault-*.jsonl"))
    assert events.count("master-exchanged") == 3
    assert events.count("storage-failed") == 0


async def put(cli: VaultClient, bot: str, version: int) -> None:
    intake = await cli.intake_key()
    binding = Binding(
        key_id=intake.key_id, region="local", tenant="acme", bot=bot, name=PROMPT, version=version, hosts=()
    )
    await cli.put(bot, PROMPT, version, seal(intake.public, binding, Secret("later")))


async def test_kill_9_under_load_in_the_middle_of_rotations(house: House) -> None:
    async with running(house) as vault:
        for number in range(10):
            await vault.fill(f"b{number}")
    # One key a step, so that there is something to interrupt.
    slow = "from clawmates.vault.master import FileMaster; FileMaster.batch = property(lambda self: 1)"
    for _ in range(3):
        async with running(house, weaken=slow) as vault:
            cli = vault.cli
            for request in (MASTER, TENANT):
                await upkeep_calls.rotate(cli, request)
            await released(vault, vault.node, "b1")
            assert (await vault.stop(signal.SIGKILL))[0] == -signal.SIGKILL
    async with running(house) as vault:
        status = await until_quiet(vault.cli)
        assert status.trouble == ()
        for number in range(10):
            assert await released(vault, vault.node, f"b{number}") == SECRETS


async def test_only_control_may_rotate_destroy_and_look(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        for client in (vault.node, vault.mate):
            for call in (
                upkeep_calls.rotate(client, INTAKE),
                upkeep_calls.keys(client),
                upkeep_calls.receipt_key(client),
                upkeep_calls.destroy_bot(client, "b1"),
                upkeep_calls.destroy_tenant(client, "acme"),
            ):
                assert await refusal(call) is VaultRefusal.NOT_ALLOWED
        assert await refusal(upkeep_calls.rotate(vault.cli, RotationRequest(kind=KeyKind.TENANT, tenant="nobody"))) is (
            VaultRefusal.UNKNOWN_TENANT
        )
        for target in ("/v1/tenants/Not-A-Name", "/v1/tenants/-"):
            assert await refusal(vault.cli.tell("DELETE", target)) is VaultRefusal.MALFORMED
        assert await refusal(vault.cli.tell("POST", "/v1/rotations", b'{"kind":"tenant"}')) is VaultRefusal.MALFORMED
        assert await released(vault, vault.node) == SECRETS


# A token


async def test_from_a_file_into_a_token_and_to_another_key_there(house: House, tmp_path: Path) -> None:
    hsm = SoftToken.make(house.root / "hsm", "vault")
    hsm.add_key("master-1", number="01")
    hsm.add_key("master-2", number="02")
    environment = ("/usr/bin/env", *(f"{name}={value}" for name, value in hsm.environment.items()))
    first, second = hsm.uri(), hsm.uri("token=vault;object=master-2")
    async with running(house) as vault:
        await vault.fill()
        assert await refusal(upkeep_calls.rotate(vault.node, MASTER)) is VaultRefusal.NOT_ALLOWED
    configure(house, master_key=first, old_master_key="file:master.key")
    async with running(house, before=environment) as vault:
        status = await until_quiet(vault.cli)
        assert await released(vault, vault.node) == SECRETS
        assert await refusal(upkeep_calls.rotate(vault.cli, MASTER)) is VaultRefusal.NO_NEW_MASTER
        configure(house, master_key=second, old_master_key=first)
        assert (await upkeep_calls.rotate(vault.cli, MASTER)).master != status.master
        await until_quiet(vault.cli)
        assert await released(vault, vault.node) == SECRETS
    (house.state.vault / "master.key").unlink()
    configure(house, master_key=second)
    async with running(house, before=environment) as vault:
        assert await released(vault, vault.node) == SECRETS
    configure(house, master_key=first)
    code, said = await finish(await launch(house, before=environment))
    assert (code, said.count("\n")) == (78, 1)
    assert "does not open" in said


async def test_an_absent_token_is_69_and_a_pin_in_the_configuration_78(house: House) -> None:
    hsm = SoftToken.make(house.root / "hsm", "vault")
    hsm.add_key("master-1")
    environment = ("/usr/bin/env", *(f"{name}={value}" for name, value in hsm.environment.items()))
    configure(house, master_key=hsm.uri("token=elsewhere;object=master-1"))
    code, said = await finish(await launch(house, before=environment))
    assert (code, said) == (69, "vault: the master key's token or service does not answer, or refuses\n")
    configure(house, master_key=hsm.uri() + "&pin-value=8231")
    code, said = await finish(await launch(house, before=environment))
    assert (code, said.count("\n")) == (78, 1)
    assert "8231" not in said
    assert "name that as pin-source" in said


@pytest.mark.parametrize("setting", ["env:MASTER", "gcp-kms:x", "master.key"])
async def test_an_unknown_kind_of_master_key_is_78(house: House, setting: str) -> None:
    configure(house, master_key=setting)
    code, said = await finish(await launch(house))
    assert (code, said.count("\n")) == (78, 1)
    assert "unknown scheme" in said


# A key service


async def test_a_key_service_holds_the_master_key_and_may_be_away(house: House) -> None:
    async with moto() as service:
        first, second = (service.setting(service.create_key()) for _ in range(2))
        configure(house, master_key=first)
        async with running(house) as vault:
            await vault.fill()
            assert await released(vault, vault.node) == SECRETS
            assert not (house.state.vault / "master.key").exists()
            for request in (INTAKE, TENANT):
                await upkeep_calls.rotate(vault.cli, request)
            await until_quiet(vault.cli)
            assert await refusal(upkeep_calls.rotate(vault.cli, MASTER)) is VaultRefusal.NO_NEW_MASTER
        configure(house, master_key=second, old_master_key=first)
        async with running(house) as vault:
            await until_quiet(vault.cli)
        configure(house, master_key=second)
        async with running(house) as vault:
            assert await released(vault, vault.node) == SECRETS
            ticket = await vault.take()
            await service.stop()
            assert await refusal(vault.mate.redeem(ticket)) is VaultRefusal.MASTER_UNAVAILABLE
        code, said = await finish(await launch(house))
        assert (code, said) == (69, "vault: the master key's token or service does not answer, or refuses\n")


# The command line


@dataclass(frozen=True)
class Shell:
    house: House

    async def __call__(self, *arguments: str, code: int = 0, given: str = "") -> tuple[str, str]:
        state = ("--state", str(self.house.state.root)) if arguments[0] == "vault" else ()
        done = await asyncio.to_thread(command, *arguments, *state, given=given)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout, done.stderr


@asynccontextmanager
async def at_the_shell(house: House) -> AsyncIterator[tuple[Running, Shell]]:
    """A vault that the command line finds."""
    async with running(house) as vault:
        (house.root / "run").mkdir(exist_ok=True)
        (house.root / "run" / "ports.json").write_text(json.dumps({"vault": vault.port}))
        assert vault.cli.tls is not None  # issues pki/cli
        yield vault, Shell(house)


async def test_rotate_shows_its_way_and_ends(house: House) -> None:
    async with at_the_shell(house) as (vault, shell):
        for number in range(4):
            await vault.fill(f"b{number}")
        before = await upkeep_calls.keys(vault.cli)
        said, shown = await shell("vault", "rotate", "--master")
        assert said.startswith("master key ")
        assert before.master not in said
        assert "keys left" in shown
        answer = json.loads((await shell("vault", "rotate", "--tenant", "acme", "--json"))[0])
        assert (answer["ok"], answer["data"]["rotations"]) == (True, [])
        await shell("vault", "rotate", "--intake")
        assert "1 older still honoured" in (await shell("vault", "keys"))[0]
        assert await released(vault, vault.node) == SECRETS


async def test_rotate_refuses_what_cannot_be_meant(house: House) -> None:
    async with at_the_shell(house) as (_, shell):
        for arguments in ((), ("--master", "--tenant", "acme"), ("--tenant", "Not A Name")):
            await shell("vault", "rotate", *arguments, code=2)
        error = json.loads((await shell("vault", "rotate", "--tenant", "nobody", "--json", code=1))[0])["error"]
        assert error["code"] == "vault-unknown-tenant"
        configure(house, master_key="file:other.key")
        error = json.loads((await shell("vault", "rotate", "--master", "--json", code=1))[0])["error"]
        assert error["code"] == "no-new-master"
        assert "old_master_key" in error["remedy"]


async def test_destroy_prints_a_receipt_that_can_be_checked_offline(house: House, tmp_path: Path) -> None:
    file, key = tmp_path / "receipt.json", tmp_path / "key"
    async with at_the_shell(house) as (vault, shell):
        for bot in ("b1", "b2", "b3"):
            await vault.fill(bot)
        key.write_text((await shell("vault", "receipt-key"))[0])
        await shell("vault", "destroy", "b1", code=1, given="n\n")
        assert await released(vault, vault.node) == SECRETS
        said, shown = await shell("vault", "destroy", "b1", "--yes", "--receipt", str(file))
        assert file.read_text() == said
        assert "bot b1 of local: destroyed 20" in shown
        again = json.loads((await shell("vault", "destroy", "b1", "--yes", "--json"))[0])
        assert again["data"] == json.loads(said)
        both = json.loads((await shell("vault", "destroy", "--tenant", "acme", "--yes", "--json"))[0])["data"]
        assert both["receipt"]["bots"] == ["b2", "b3"]
        await shell("vault", "destroy", "--yes", code=2)
        await shell("vault", "destroy", "b1", "--tenant", "acme", "--yes", code=2)
        await shell("vault", "destroy", "Not-A-Name", "--yes", code=2)
    # The platform is gone; the receipt still speaks.
    said, _ = await Shell(house)("receipt", "verify", str(file), "--key", str(key))
    assert said.startswith("good: bot b1 of local: destroyed 20")
    await Shell(house)("receipt", "verify", str(file), "--key", key.read_text().strip())
    text = file.read_text()
    for broken in (text.replace('"b1"', '"b9"'), "{}", "no receipt"):
        file.write_text(broken)
        code = "receipt-broken" if "b9" in broken else "not-a-receipt"
        answer = json.loads(
            (await Shell(house)("receipt", "verify", str(file), "--key", str(key), "--json", code=1))[0]
        )
        assert answer["error"]["code"] == code
    file.write_text(text)
    other = "A" * 43 + "="
    assert len(b64decode(other)) == 32
    await Shell(house)("receipt", "verify", str(file), "--key", other, code=1)


async def test_the_copy_of_the_keys_lies_where_it_is_configured(house: House) -> None:
    copy = house.root / "away" / "keys.db"
    copy.parent.mkdir(mode=0o700)
    configure(house, keys_copy=str(copy))
    async with running(house) as vault:
        await vault.fill()
        full = copy.stat().st_size
        signed = await upkeep_calls.destroy_bot(vault.cli, "b1")
        assert check((await upkeep_calls.receipt_key(vault.cli)).public, signed).keys_copy == "replaced"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert (full > 0, os.listdir(copy.parent)) == (True, ["keys.db"])  # noqa: PTH208 - names are compared
    copy.chmod(0o644)
    code, said = await finish(await launch(house))
    assert (code, said.count("\n")) == (78, 1)
    assert "keys.db is open to others" in said

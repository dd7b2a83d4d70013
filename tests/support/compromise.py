"""Control taken over: its certificate, the blobs that pass through it, and what it tries with them at a real vault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import releases
from tests.support.vault import HOSTS, KEY, PROMPT, Running

from clawmates.base.secret import Secret
from clawmates.base.x509 import Authority, Names
from clawmates.proofs.canary import Canary
from clawmates.proofs.search import Found, Patterns, search
from clawmates.proofs.sources import Piece
from clawmates.wire.names import ItemName
from clawmates.wire.reading import Reader
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, Redemption, SealedItem, TicketRequest
from clawmates.wire.vault_calls import audit_entries, image, read_back
from clawmates.wire.vault_client import VaultClient, VaultError, VaultUnreachableError
from clawmates.wire.vault_deeds import Tag

NAME = "control-1"
OWNER, MALLORY = "ada", "mallory"
EVIL = "keys.evil.example"
ELSEWHERE = releases.PROVIDER_HOSTS["anthropic"]
"""Of the signed catalogue, and not where the key belongs."""
FORGED = Ed25519PrivateKey.from_private_bytes(b"the release key of the attackers")
UNREACHABLE = "unreachable"
"""How an attempt ends whose caller the vault does not even talk to."""


@dataclass
class TakenOver:
    """What control has in its hands: its identity at the vault, and what owners sealed and it was to hand over.

    Of each bot the vault has a key and a prompt; a second version of both has just come, and is still here.
    """

    vault: Running
    canary: Canary
    blobs: dict[tuple[str, ItemName], SealedItem]

    @property
    def me(self) -> VaultClient:
        return self.vault.client(f"local/control/{NAME}", folder="control")

    async def seal(self, bot: str, name: ItemName, version: int, text: str, hosts: tuple[str, ...]) -> SealedItem:
        key = await self.me.intake_key()
        binding = Binding(
            key_id=key.key_id, region="local", tenant=OWNER, bot=bot, name=name, version=version, hosts=hosts
        )
        return seal(key.public, binding, Secret(text))

    async def read(self, bot: str, name: ItemName, tenant: str = OWNER) -> bool:
        """Reads a document back with a one-time key of its own; whether the canary is in it."""
        reader = Reader(region="local", tenant=tenant, bot=bot, name=name)
        return self.canary.stem in reader.open(await read_back(self.me, bot, name, reader.request)).reveal()

    async def redeem(self, asking: VaultClient, bot: str, version: int = 1) -> tuple[str, ...]:
        """The key and its hosts, where ``asking`` gets a ticket for it."""
        ticket = await asking.ticket(TicketRequest(bot=bot, generation=1, items={KEY: version}))
        (item,) = (await self.vault.mate.redeem(Redemption(bot=bot, ticket=ticket.ticket))).items
        return (item.value.reveal(), *item.hosts)


async def taken_over(vault: Running, canary: Canary, *bots: str) -> TakenOver:
    """Owners seal a key and a prompt for each bot, and then others, which control keeps."""
    taken = TakenOver(vault, canary, {})
    for bot in bots:
        await taken.me.assign(bot, Assignment(tenant=OWNER, node="node-1"))
        for name in (KEY, PROMPT):
            hosts = HOSTS.get(name, ())
            await taken.me.put(bot, name, 1, await taken.seal(bot, name, 1, f"first {canary.mark}", hosts))
            taken.blobs[bot, name] = await taken.seal(bot, name, 2, f"second {canary.mark}", hosts)
    return taken


async def reads_a_credential_back(taken: TakenOver, bot: str) -> bool:
    return await taken.read(bot, KEY)


async def asks_for_a_ticket(taken: TakenOver, bot: str) -> bool:
    """The bot is assigned to whoever asks, so that nothing but what it is stands in the way."""
    await taken.me.assign(bot, Assignment(tenant=OWNER, node=NAME))
    return taken.canary.stem in (await taken.redeem(taken.me, bot))[0]


async def moves_it_to_a_node_of_its_own(taken: TakenOver, bot: str) -> bool:
    """The node's certificate is of an authority that control made."""
    await taken.me.assign(bot, Assignment(tenant=OWNER, node="evil"))
    house = taken.vault.house
    identity = house.certify("evil", Names(uri=("clawmates://local/node/evil",)), forger())
    return (
        taken.canary.stem
        in (await taken.redeem(VaultClient("127.0.0.1", taken.vault.port, house.tls(identity)), bot))[0]
    )


async def files_a_key_as_a_document(taken: TakenOver, bot: str) -> bool:
    """Documents may be read back."""
    await taken.me.put(bot, PROMPT, 2, replace(taken.blobs[bot, KEY], hosts=()))
    return await taken.read(bot, PROMPT)


async def swaps_blobs_between_bots(taken: TakenOver, bot: str) -> bool:
    """A prompt goes to a bot of the attacker's own account, where it may be read by right."""
    mine = f"{bot}-mine"
    await taken.me.assign(mine, Assignment(tenant=MALLORY, node="node-1"))
    await taken.me.put(mine, PROMPT, 2, replace(taken.blobs[bot, PROMPT], tenant=MALLORY))
    return await taken.read(mine, PROMPT, MALLORY)


async def takes_the_bot_into_its_account(taken: TakenOver, bot: str) -> bool:
    await taken.me.assign(bot, Assignment(tenant=MALLORY, node="node-1"))
    return True


async def has_a_key_sent_to_another_host(taken: TakenOver, bot: str) -> bool:
    """A key that its owner has just sealed is handed over with the hosts of another provider."""
    await taken.me.put(bot, KEY, 2, replace(taken.blobs[bot, KEY], hosts=ELSEWHERE))
    text, *hosts = await taken.redeem(taken.vault.node, bot, 2)
    return taken.canary.stem in text and tuple(hosts) == ELSEWHERE


async def names_a_host_of_its_own(taken: TakenOver, bot: str) -> bool:
    """With a key that it seals itself: whoever served the page may have got it there."""
    await taken.me.put(bot, KEY, 2, await taken.seal(bot, KEY, 2, "sk-typed-into-a-page", (EVIL,)))
    return True


async def brings_a_catalogue_of_its_own(taken: TakenOver, bot: str) -> bool:
    """The same, where it could even write the release."""
    folder, known = taken.vault.house.state.release, releases.release()
    mine = replace(known.providers[0], id="evil", hosts=(EVIL,))
    releases.publish(folder, replace(known, providers=(*known.providers, mine)), FORGED)
    try:
        return await names_a_host_of_its_own(taken, bot)
    finally:
        releases.publish(folder)


async def reads_the_vaults_file(taken: TakenOver, _bot: str) -> bool:
    """``vault.db`` is control's for the asking, as for a backup."""
    return found(await image(taken.me), taken.canary)


async def reads_a_prompt_unseen(taken: TakenOver, bot: str) -> bool:
    """Reading it is not hard; so what counts is whether the chain is silent, also once the bot is destroyed."""
    assert await taken.read(bot, PROMPT)
    await taken.me.destroy(bot)
    after, seen = 0, False
    while page := (await audit_entries(taken.me, after)).entries:
        seen = seen or any(one.tag == Tag.DOCUMENT_READ.value and f'"{bot}"' in one.detail for one in page)
        after = page[-1].number
    return not seen


Attempt = Callable[[TakenOver, str], Awaitable[bool]]


async def outcome(attempt: Attempt, taken: TakenOver, bot: str) -> bool | str:
    """Whether it got what it wanted, or the vault's refusal."""
    try:
        return await attempt(taken, bot)
    except VaultError as error:
        return error.refusal.value
    except VaultUnreachableError:
        return UNREACHABLE


def found(raw: bytes, canary: Canary) -> bool:
    """Whether the canary stands there, in any encoding or packing."""
    return any(isinstance(one, Found) for one in search(Piece(raw), Patterns.of(canary)))


@cache
def forger() -> Authority:
    """It calls itself as the true one does."""
    return Authority.create("test authority", datetime.now(UTC))

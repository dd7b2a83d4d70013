"""A bot that exists in the vault only, with credentials that this very run has made up."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.errors import ProofError
from clawmates.proofs.trial import CLOCK_MARGIN
from clawmates.proofs.vaultcalls import VaultCalls, Who
from clawmates.wire.names import ItemName
from clawmates.wire.releases import ReleaseError, load
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, IntakeKey, Redemption, Ticket, TicketRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench
    from clawmates.proofs.vaultcalls import Answer

TENANT = "self"
ITEMS = (ItemName.CHANNEL_TOKEN, ItemName.PROVIDER_KEY, ItemName.PROMPT)


@dataclass(slots=True)
class Victim:
    """``canary`` stands in every text that was sealed, so that one search finds any of them."""

    name: str
    node: str
    calls: VaultCalls
    canary: Canary
    since: float = 0.0
    """The kernel's time before which nothing of it existed."""
    generation: int = 1

    @property
    def items(self) -> dict[ItemName, int]:
        """All of them, in their only version."""
        return dict.fromkeys(ITEMS, 1)

    def text(self, item: ItemName) -> str:
        """What was sealed as ``item``."""
        return f"{item.value}: {self.canary.mark}"

    async def ticket(self, who: Who = Who.NODE, generation: int = 0) -> Answer:
        """Asks for a ticket."""
        wanted = TicketRequest(bot=self.name, generation=generation or self.generation, items=self.items)
        return await self.calls.ask(who, "POST", "/v1/tickets", wanted)

    async def good_ticket(self, generation: int = 0) -> Secret[str]:
        """One that must be given. Raises :class:`ProofError`."""
        answer = await self.ticket(generation=generation)
        try:
            return decode_json(Ticket, answer.body).ticket
        except ShapeError:
            raise ProofError(f"the vault gives this node no ticket for a bot of its own: {answer.word}") from None

    async def redeem(self, ticket: Secret[str], bot: str = "") -> Answer:
        """Shows a ticket, as a mate does: without a certificate."""
        shown = Redemption(bot=bot or self.name, ticket=ticket).plain()
        return await self.calls.ask(Who.NOBODY, "POST", "/v1/redeem", shown)

    async def destroy(self) -> Answer:
        """Ends it."""
        return await self.calls.ask(Who.CLI, "DELETE", f"/v1/bots/{self.name}")


@asynccontextmanager
async def victim(platform: Platform, calls: VaultCalls, bench: Bench) -> AsyncIterator[Victim]:
    """Seals it in, and destroys it at the end. Raises :class:`ProofError`."""
    name = f"proof-{bench.entropy(6).hex()}"
    node = platform.settings.node.name
    one = Victim(name, node, calls, mint(bench.entropy), bench.clock.now().timestamp() - CLOCK_MARGIN)
    _done(await calls.ask(Who.CLI, "PUT", f"/v1/bots/{name}", Assignment(tenant=TENANT, node=node)))
    try:
        key = decode_json(IntakeKey, (await calls.ask(Who.CLI, "GET", "/v1/intake-key")).body)
        hosts = _hosts(platform)
        for item in ITEMS:
            binding = Binding(
                key_id=key.key_id,
                region=key.region,
                tenant=TENANT,
                bot=name,
                name=item,
                version=1,
                hosts=hosts.get(item, ()),
            )
            sealed = seal(key.public, binding, Secret(one.text(item)))
            _done(await calls.ask(Who.CLI, "PUT", f"/v1/bots/{name}/items/{item.value}/1", sealed))
        yield one
    finally:
        await one.destroy()


def _hosts(platform: Platform) -> dict[ItemName, tuple[str, ...]]:
    """Hosts of the signed catalogue, without which the vault keeps no credential."""
    try:
        release = load(platform.state.release, platform.settings.node.release_key)
    except ReleaseError:
        raise ProofError("the signed release cannot be read") from None
    return {
        ItemName.CHANNEL_TOKEN: next(channel.hosts for channel in release.channels if channel.hosts),
        ItemName.PROVIDER_KEY: release.providers[0].hosts,
    }


def _done(answer: Answer) -> None:
    if answer.word != "done":
        raise ProofError(f"the vault does not take a bot of this trial's own: {answer.word}")

"""Control taken over, at a vault that really runs: what it tries with its identity and with what passes through it.

Each attempt ends in the refusal that it should end in, and each gets what it wants from a build in which the one check
that stands in its way was taken out. What follows at a node and in a container is in ``test_compromised_node.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support import compromise
from tests.support.compromise import UNREACHABLE, Attempt, forger, outcome, taken_over
from tests.support.vault import House, furnished, running

from clawmates.proofs.canary import mint
from clawmates.wire.vault import Binding, VaultRefusal

_UNBOUND = """import clawmates.wire.vault as w; from dataclasses import replace as r
e = w.Binding.encode
w.Binding.encode = lambda s: e(r(s, {}))"""
"""What is sealed is bound to less; sealing and opening change alike."""
_UNSEEN = """from clawmates.vault.auditor import Auditor as A
record = A.record
async def silent(self, tag, detail):
    if tag.value != 'vault.document.read':
        await record(self, tag, detail)
A.record = silent"""
_ANYBODYS = """import clawmates.vault.store as s
s.Store.assign = lambda self, bot, a, now: self.records.assign(bot, a.tenant, a.node, None) or False"""
_PLAIN = """import clawmates.vault.store as s; from clawmates.base.secret import Secret
s.lock = lambda _key, _layer, _about, text, _random: text.reveal()
s.unlock = lambda _key, _layer, _about, box: Secret(box)"""
ATTEMPTS: dict[Attempt, tuple[VaultRefusal | str | bool, str]] = {
    compromise.reads_a_credential_back: (
        VaultRefusal.NOT_ALLOWED,
        "import clawmates.wire.names as n; n.ItemName.is_document = property(lambda _self: True)",
    ),
    compromise.asks_for_a_ticket: (
        VaultRefusal.NOT_ALLOWED,
        "import clawmates.vault.identity as i; object.__setattr__(i.NODE, 'roles', None)",
    ),
    compromise.moves_it_to_a_node_of_its_own: (UNREACHABLE, ""),  # weakened by whom the vault believes
    compromise.files_a_key_as_a_document: (
        VaultRefusal.CANNOT_OPEN,
        _UNBOUND.format("name=w.ItemName.PROMPT, hosts=()"),
    ),
    compromise.swaps_blobs_between_bots: (VaultRefusal.CANNOT_OPEN, _UNBOUND.format("bot='', tenant=''")),
    compromise.takes_the_bot_into_its_account: (VaultRefusal.NOT_ALLOWED, _ANYBODYS),
    compromise.has_a_key_sent_to_another_host: (VaultRefusal.CANNOT_OPEN, _UNBOUND.format("hosts=()")),
    compromise.names_a_host_of_its_own: (
        VaultRefusal.HOSTS_NOT_LISTED,
        "import clawmates.vault.catalogue as c; c.lists = lambda *_: True",
    ),
    compromise.brings_a_catalogue_of_its_own: (
        VaultRefusal.RELEASE_UNSIGNED,
        "import clawmates.wire.releases as r; r._check_signature = lambda *_: None",
    ),
    compromise.reads_the_vaults_file: (False, _PLAIN),
    compromise.reads_a_prompt_unseen: (False, _UNSEEN),
}


@pytest.fixture
def house() -> Iterator[House]:
    with furnished() as house:
        yield house


async def test_nothing_that_control_tries_at_the_vault_gets_it_what_it_wants(house: House) -> None:
    canary = mint()
    names = [f"b{number}" for number in range(len(ATTEMPTS))]
    async with running(house) as vault:
        taken = await taken_over(vault, canary, *names)
        found = {attempt: await outcome(attempt, taken, bot) for attempt, bot in zip(ATTEMPTS, names, strict=True)}
    assert found == {attempt: expected for attempt, (expected, _) in ATTEMPTS.items()}


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.__name__)
async def test_without_the_one_check_it_would(house: House, attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    weaken = ATTEMPTS[attempt][1]
    if attempt is compromise.moves_it_to_a_node_of_its_own:
        with house.state.authority.open("ab") as trusted:
            trusted.write(forger().pair.certificate)
    if weaken.startswith(_UNBOUND[:30]):
        monkeypatch.setattr(Binding, "encode", Binding.encode)  # so that it is put back
        exec(weaken, {})  # what owners seal with is of the same build
    async with running(house, weaken=weaken) as vault:
        assert await outcome(attempt, await taken_over(vault, mint(), "b1"), "b1") is True

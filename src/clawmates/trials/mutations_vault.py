"""Defects of how credentials are kept, given out and destroyed."""

from __future__ import annotations

from clawmates.proofs.result import Claim
from clawmates.trials.mutation import Change, Mutation

MUTATIONS = (
    Mutation(
        id="associated-data-forgotten",
        what="ciphertexts are bound to nothing, so they can be swapped",
        changes=(
            Change(
                file="src/clawmates/vault/envelope.py",
                old=".encrypt(nonce, plaintext.reveal(), layer.value + about)",
                new=".encrypt(nonce, plaintext.reveal(), layer.value)",
            ),
            Change(
                file="src/clawmates/vault/envelope.py",
                old=".decrypt(nonce, sealed, layer.value + about)",
                new=".decrypt(nonce, sealed, layer.value)",
            ),
        ),
        claim=Claim.VAULT,
    ),
    Mutation(
        id="ticket-reusable",
        what="a ticket opens as often as it is shown",
        changes=(
            Change(
                file="src/clawmates/vault/tickets.py",
                old="        entry.refusal = VaultRefusal.TICKET_REUSED\n        return entry.grant\n",
                new="        return entry.grant\n",
            ),
        ),
        claim=Claim.VAULT,
        quick=True,
    ),
    Mutation(
        id="records-destroyed-keys-kept",
        what="a destruction deletes the records and leaves their keys",
        changes=(
            Change(
                file="src/clawmates/vault/destruction.py",
                old='"DELETE FROM data_keys WHERE bot = ?", [(bot,) for bot in target.bots]',
                new='"DELETE FROM data_keys WHERE bot = ?", [("",) for bot in target.bots]',
            ),
        ),
        claim=Claim.VAULT,
        quick=True,
    ),
    Mutation(
        id="one-data-key",
        what="all records share one data key",
        changes=(
            Change(
                file="src/clawmates/vault/envelope.py",
                old="    return Secret(random(KEY_BYTES))\n",
                new='    return Secret(bytes(KEY_BYTES - 1) + b"k")\n',
            ),
        ),
        claim=Claim.VAULT,
    ),
    Mutation(
        id="tickets-for-any-node",
        what="a node gets tickets for bots that are assigned to another",
        changes=(
            Change(
                file="src/clawmates/vault/store.py",
                old="        if bot.node != grant.node:\n",
                new="        if not bot.node:\n",
            ),
        ),
        claim=Claim.VAULT,
    ),
    Mutation(
        id="credentials-read-back",
        what="the owner may read back a credential as if it were a prompt",
        changes=(
            Change(
                file="src/clawmates/vault/store.py",
                old="        if not name.is_document:\n",
                new="        if not name:\n",
            ),
        ),
        claim=Claim.VAULT,
    ),
)

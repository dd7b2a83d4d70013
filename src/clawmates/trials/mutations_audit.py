"""Defects of leases (ADR 19) and of the audit chains (ADR 20), each with the test that sees it."""

from __future__ import annotations

from clawmates.trials.mutation import Change, Mutation

MUTATIONS = (
    Mutation(
        id="door-outlives-its-lease",
        what="the gateway does not cut a bot whose lease is over, so that the bot of a node that is gone runs twice",
        changes=(
            Change(
                file="src/clawmates/gateway/lease.py",
                old="        return self._now() < self._until\n",
                new="        return self._now() < math.inf\n",
            ),
        ),
        test="tests/unit/gateway/test_lease.py::test_at_the_end_of_its_lease_a_door_is_cut_and_closed",
    ),
    Mutation(
        id="door-without-an-end",
        what="node does not tell the gateway until when a door may be open",
        changes=(
            Change(
                file="src/clawmates/node/steps.py",
                old="        await self.gateway.put(replace(door, until=until))\n",
                new="        await self.gateway.put(replace(door, until=None if until else until))\n",
            ),
        ),
        test="tests/unit/control/test_moving.py::test_a_node_that_dies_before_the_vault_has_spoken_leaves_no_door_open",
    ),
    Mutation(
        id="run-without-a-lease",
        what="node keeps and starts a bot whose lease has ended",
        changes=(
            Change(
                file="src/clawmates/node/keeper.py",
                old="        if self.leases.ends(hold.bot) <= self.now:\n            return Trouble.LEASE_ENDED\n",
                new="",
            ),
        ),
        test="tests/unit/node/test_keeper.py"
        "::test_a_bot_whose_lease_has_ended_is_stopped_and_comes_back_with_a_new_one",
    ),
    Mutation(
        id="controls-entry-unchained",
        what="an entry of control's chain does not follow from the one before",
        changes=(
            Change(
                file="src/clawmates/control/audit/chain.py",
                old="        previous = chained(previous, number, at, tag, detail, one.subject)\n",
                new="        previous = chained(bytes(len(previous)), number, at, tag, detail, one.subject)\n",
            ),
        ),
        test="tests/unit/control/test_audit_chain.py"
        "::test_entries_follow_from_each_other_and_come_with_what_they_record",
    ),
    Mutation(
        id="vaults-entry-unchained",
        what="an entry of the vault's chain does not follow from the one before",
        changes=(
            Change(
                file="src/clawmates/vault/ledger.py",
                old="            previous = chained(previous, number, at, note.tag.value, detail)\n",
                new="            previous = chained(GENESIS, number, at, note.tag.value, detail)\n",
            ),
        ),
        test="tests/unit/vault/test_audit.py::test_an_entry_follows_from_the_one_before",
    ),
    Mutation(
        id="vault-signs-any-head",
        what="the vault countersigns a head of control's that does not follow from the last one",
        changes=(
            Change(
                file="src/clawmates/vault/ledger.py",
                old="        if said.before != known or said.head.number <= known.number:\n",
                new="        if said.head.number < 0:\n",
            ),
        ),
        test="tests/unit/vault/test_audit.py"
        "::test_the_vault_signs_no_head_of_control_that_is_cut_forged_or_another_ones",
    ),
    Mutation(
        id="control-signs-any-head",
        what="control countersigns a head of the vault's that does not follow from the last one",
        changes=(
            Change(
                file="src/clawmates/control/audit/meeting.py",
                old="        if said.before != before or said.head.number < before.number:\n",
                new="        if said.head.number < 0:\n",
            ),
        ),
        test="tests/unit/control/test_audit_meeting.py::test_control_signs_no_head_of_the_vault_that_does_not_follow",
    ),
)

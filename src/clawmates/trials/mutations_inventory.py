"""Defects of what is kept and told: each must turn claim *inventory* red, and no other."""

from __future__ import annotations

from clawmates.proofs.result import Claim
from clawmates.trials.mutation import Change, Mutation

MUTATIONS = (
    Mutation(
        id="column-nobody-declared",
        what="a column of control's database is not in the inventory",
        changes=(
            Change(file="src/clawmates/inventory/control.py", old='            "control.nodes.capacity",\n', new=""),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="column-of-the-vaults",
        what="the vault keeps in one table more when it last saw whom",
        changes=(
            Change(
                file="src/clawmates/vault/records.py",
                old="    additions=LEASES + SPENT + AUDIT,\n",
                new="    additions=LEASES + SPENT + AUDIT"
                ' + "CREATE TABLE IF NOT EXISTS seen (bot TEXT, at TEXT) STRICT;",\n',
            ),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="declared-and-not-there",
        what="the inventory names a column that there is not, so that the list cannot be trusted",
        changes=(
            Change(
                file="src/clawmates/inventory/control.py",
                old='            "control.nodes.capacity",\n',
                new='            "control.nodes.capacity",\n            "control.nodes.colour",\n',
            ),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="file-nobody-declared",
        what="control leaves a second copy of the key of its hashes beside the first",
        changes=(Change(file="src/clawmates/control/pepper.py", old="        fresh.unlink()\n", new="        pass\n"),),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="log-field-nobody-declared",
        what="lines of the event log say on which kernel they were written",
        changes=(
            Change(
                file="src/clawmates/base/eventlog.py",
                old='"process": self._process} | encode(event))',
                new='"process": self._process, "host": os.uname().release} | encode(event))',
            ),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="page-without-a-row",
        what="the public page leaves out the first thing that the mission page does not name",
        changes=(
            Change(
                file="src/clawmates/control/privacy/telling.py",
                old="    rest = INVENTORY[len(PAGE) :]\n",
                new="    rest = INVENTORY[len(PAGE) + 1 :]\n",
            ),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="row-in-other-words",
        what="the inventory, and so the page, keeps the e-mail address for more than the mission page says",
        changes=(
            Change(
                file="src/clawmates/inventory/page.py",
                old='why=Said("Authentication and billing", "Anmeldung und Abrechnung"),',
                new='why=Said("Authentication, billing and news", "Anmeldung, Abrechnung und Neues"),',
            ),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="subprocessor-in-the-dark",
        what="a provider that bots may reach is not on the page of who else processes anything",
        changes=(
            Change(
                file="src/clawmates/control/privacy/processors.py",
                old="            if one.hosts != (OLLAMA_HOST,)\n",
                new='            if one.hosts != (OLLAMA_HOST,) and one.id != "anthropic"\n',
            ),
        ),
        claim=Claim.INVENTORY,
    ),
    Mutation(
        id="export-with-a-credential",
        what="bot tokens are declared to be part of what is exported",
        changes=(
            Change(
                file="src/clawmates/inventory/page.py",
                old="        seen_by=(Viewer.MATE, Viewer.VAULT, Viewer.MESSENGER),\n        form=Form.SEALED,\n",
                new="        seen_by=(Viewer.MATE, Viewer.VAULT, Viewer.MESSENGER),\n        form=Form.SEALED,\n"
                "        exported=True,\n",
            ),
        ),
        test="tests/unit/inventory/test_declared.py::test_every_kind_of_item_is_declared_by_itself",
    ),
)

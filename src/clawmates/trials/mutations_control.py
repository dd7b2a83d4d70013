"""Defects of control, and of what holds where control is taken over."""

from __future__ import annotations

from clawmates.trials.mutation import Change, Mutation

MUTATIONS = (
    Mutation(
        id="anybodys-form",
        what="control takes a form that another site's page has sent",
        changes=(
            Change(
                file="src/clawmates/control/frame.py",
                old='    if request.headers.get("origin") != context_of(request).origin:\n',
                new='    if not request.headers.get("origin", context_of(request).origin):\n',
            ),
        ),
        test="tests/unit/control/test_gates.py::test_no_address_takes_another_sites_form",
    ),
    Mutation(
        id="text-for-ciphertext",
        what="control keeps what a page's script has forgotten to seal",
        changes=(
            Change(
                file="src/clawmates/control/bots/secrets.py",
                old=" or not _KEY_ID.fullmatch(item.key_id) or _is_text(blob):",
                new=" or not _KEY_ID.fullmatch(item.key_id):",
            ),
        ),
        test="tests/unit/control/bots/test_life.py::test_blobs_that_are_none_are_refused_at_once",
    ),
    Mutation(
        id="tickets-for-control",
        what="the vault gives control a ticket, as if it were a node",
        changes=(
            Change(
                file="src/clawmates/vault/identity.py",
                old="NODE = Gate(frozenset({Role.NODE}))",
                new="NODE = Gate(frozenset({Role.NODE, Role.CONTROL}))",
            ),
        ),
        test="tests/integration/test_compromise.py::test_nothing_that_control_tries_at_the_vault_gets_it_what_it_wants",
    ),
    Mutation(
        id="prompts-read-unseen",
        what="the audit chain is silent when a prompt is read back",
        changes=(
            Change(
                file="src/clawmates/vault/service.py",
                old="        await self.audit.record(Tag.DOCUMENT_READ, DocumentRead(bot=bot, item=name, "
                "version=document.version))\n",
                new="",
            ),
        ),
        test="tests/integration/test_compromise.py::test_nothing_that_control_tries_at_the_vault_gets_it_what_it_wants",
    ),
)

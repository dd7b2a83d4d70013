"""docs/vault.md says what each can and cannot do if taken over; every such clause has a test that shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SHOWN: dict[str, tuple[str, str]] = {
    # the vault's process
    "read every credential and document of its region": ("unit/vault/test_destruction.py", 'EVERYTHING, "the control"'),
    "use its master key": ("unit/vault/test_token.py", "def test_a_whole_vault_under_a_token"),
    "take a master key away that is in a token or service": (
        "unit/vault/test_token.py",
        "def test_a_key_that_is_not_the_one_or_may_leave_stops_the_start",
    ),
    "read a message: none passes here": ("integration/test_vault.py", "def test_no_file_of_the_state_folder"),
    "rewrite what node has countersigned unseen": (
        "unit/vault/test_audit.py",
        "def test_a_thousand_mutations_and_every_one_shows",
    ),
    "where landlock is, read or write other files of the host": (
        "unit/vault/test_confine.py",
        "def test_what_is_outside_is_out_of_reach",
    ),
    # control
    "replace an item or destroy it, destroy a bot or a tenant, move it to another node, begin a rotation": (
        "integration/test_vault_keys.py",
        "def test_only_control_may_rotate_destroy_and_look",
    ),
    "read a document by asking for it with a key of its own, which the audit chain shows": (
        "unit/vault/test_documents.py",
        "def test_the_newest_version_comes_back_to_the_key_that_asked",
    ),
    "take a copy of `vault.db`, which opens nothing and which the audit chain shows": (
        "unit/vault/test_service.py",
        "def test_a_copy_for_a_backup_is_whole_noted_and_without_keys",
    ),
    "read a credential": ("integration/test_vault_depth.py", "def test_a_document_comes_back_and_a_credential_never"),
    "send a credential to a host it was not sealed for": (
        "unit/vault/test_store.py",
        "def test_an_item_sealed_for_anything_else_does_not_open",
    ),
    "bring in a credential for a host outside the signed release": (
        "unit/vault/test_catalogue.py",
        "def test_a_credential_for_another_host_is_refused",
    ),
    "bring an old version back": ("unit/vault/test_store.py", "def test_an_old_version_never_comes_back"),
    "choose a master key": ("unit/vault/test_rotation.py", "def test_without_another_key_named_there_is_none"),
    "sign a receipt": (
        "unit/vault/test_destruction.py",
        "def test_a_receipt_that_was_changed_or_is_anothers_is_refused",
    ),
    # a node
    "get tickets for the bots assigned to it while its leases run, and so their items": (
        "unit/vault/test_leases.py",
        "def test_no_ticket_after_the_end",
    ),
    "get any other bot's": ("unit/vault/test_service.py", "def test_a_node_gets_tickets_for_its_own_bots_only"),
    "renew a lease that has ended": (
        "unit/vault/test_leases.py",
        "def test_node_renews_what_runs_and_cannot_revive_what_has_ended",
    ),
    "change the audit chain unseen": (
        "unit/vault/test_audit.py",
        "def test_a_word_that_contradicts_the_chain_or_nodes_own_list_is_refused",
    ),
    # whoever has files
    "count bots and items, see names, hosts and versions": (
        "unit/vault/test_store.py",
        "def test_a_record_moved_or_relabelled_in_the_file_does_not_open",
    ),
    "open one": ("unit/vault/test_store.py", "def test_nothing_readable_lies_in_the_folder"),
    "open what was not destroyed when the copy of `keys.db` was made": (
        "unit/vault/test_destruction.py",
        "def test_an_old_backup_opens_before_and_is_noise_after",
    ),
    "open what was destroyed before": (
        "unit/vault/test_destruction.py",
        "def test_an_old_backup_opens_before_and_is_noise_after",
    ),
    # a mate
    "redeem its own tickets": ("unit/vault/test_service.py", "def test_a_ticket_releases_once"),
    "freeze its own bot": (
        "unit/vault/test_service.py",
        "def test_a_second_use_alarms_and_freezes_until_somebody_looked",
    ),
    "replace its own *people* and *ingress-key*": (
        "unit/vault/test_sessions.py",
        "def test_a_session_puts_what_is_born_inside_and_nothing_else",
    ),
    "reach another bot's items": ("integration/test_vault.py", "def test_without_a_certificate_only_redeem_answers"),
    "keep any other item": (
        "unit/vault/test_sessions.py",
        "def test_a_session_puts_what_is_born_inside_and_nothing_else",
    ),
}


def clauses(text: str) -> set[str]:
    table = text.partition("## Taken over, what then?")[2].partition("\n\nLimits")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines() if row.startswith("| ") and "---" not in row][1:]
    assert len(rows) >= 6
    return {clause.strip() for row in rows for cell in row[1:] for clause in cell.split(";")}


def test_every_clause_of_the_page_is_shown_by_a_test() -> None:
    assert clauses((ROOT / "docs" / "vault.md").read_text()) == set(SHOWN)


@pytest.mark.parametrize(("file", "what"), sorted(set(SHOWN.values())))
def test_the_test_that_shows_it_is_there(file: str, what: str) -> None:
    assert what in (ROOT / "tests" / file).read_text()


def test_a_new_clause_would_be_noticed() -> None:
    page = (ROOT / "docs" / "vault.md").read_text()
    assert clauses(page.replace("freeze its own bot", "freeze its own bot; fly")) - set(SHOWN) == {"fly"}


def test_the_settings_of_the_page_are_the_settings() -> None:
    page = (ROOT / "docs" / "vault.md").read_text()
    named = set(re.findall(r"`\[vault\] ([a-z_]+)`", page)) | set(re.findall(r"`(old_master_key|keys_copy)`", page))
    settings = (ROOT / "src" / "clawmates" / "base" / "settings.py").read_text()
    assert named == {"master_key", "old_master_key", "keys_copy"}
    assert all(f"    {name}: str" in settings for name in named)

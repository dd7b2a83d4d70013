"""What docs/gateway.md says of a takeover, clause by clause, with the tests that show it."""

from __future__ import annotations

import pytest
from tests.support.sentences import clauses, test_names

U, I = "tests/unit/gateway/", "tests/integration/"  # noqa: E741 - unit and integration
TAKEOVER, NO_TLS = U + "test_takeover.py", I + "test_gateway.py"
SHOWN = {
    "It can:": (TAKEOVER, "test_it_can_cut_and_see_and_send_elsewhere"),
    "stop or slow traffic;": (TAKEOVER, "test_it_can_cut_and_see_and_send_elsewhere"),
    "keep a replaced bot from remembering;": (
        "tests/unit/mate/test_handover.py",
        "test_a_life_whose_context_is_not_taken_goes_on_as_it_was",
    ),
    "see which bot talks to which host, when, and how much;": (U + "test_tunnel.py", "test_counted"),
    "count a bot's chats;": (U + "test_turns.py", "test_kept_only_as_keyed_hashes"),
    "connect anywhere;": (U + "test_tunnel.py", "test_weakened_check_would_dial_it"),
    "lie about quotas, turns and events, so that a message is answered twice or not at all;": (
        TAKEOVER,
        "test_it_can_lie_about_turns",
    ),
    "connect a mate, or somebody who calls it, to another server.": (
        TAKEOVER,
        "test_it_can_cut_and_see_and_send_elsewhere",
    ),
    "It cannot:": (TAKEOVER, "test_it_cannot_read_or_change_what_is_said"),
    "read or change what a mate and its messenger, its AI provider or the vault say to each other, for TLS ends in "
    "the container, and what the mate trusts is mounted there by node and never comes through the door;": (
        TAKEOVER,
        "test_it_cannot_read_or_change_what_is_said",
    ),
    "read or answer for a mate what a caller from outside says;": (TAKEOVER, "test_it_cannot_answer_a_caller"),
    "obtain a credential, for tickets do not pass in the clear;": (
        NO_TLS,
        "test_no_tls_library_is_loaded_and_nothing_but_events_is_written",
    ),
    "pass itself off as the vault or a provider;": (TAKEOVER, "test_it_cannot_pass_itself_off_as_another"),
    "read what a bot hands to its next life, put words into it, or have two lives of a bot speak at once;": (
        "tests/unit/mate/test_handover.py",
        "test_a_gateway_in_the_middle_gets_nothing",
    ),
    "run code in a container.": (TAKEOVER, "test_the_door_gives_nothing_that_is_run"),
    "A taken-over mate can talk, through TLS 1.3, to the hosts on its own list, and cannot reach another host, another "
    "bot's door, an address inside the network, or the gateway's control socket.": (
        I + "test_gateway_depth.py",
        "test_egress_trial_holds_and_its_control_does_not",
    ),
    "What it says inside its own TLS to a listed host nobody outside can see:": (U + "test_tunnel.py", "test_counted"),
    "a host that serves many customers behind one name is as one host here.": (
        TAKEOVER,
        "test_two_customers_behind_one_name_are_one_host",
    ),
    "It can lie about its own tokens, and about nobody else's.": (
        U + "test_doors.py",
        "test_bots_know_nothing_of_each_other",
    ),
    "A taken-over resolver helper learns the listed names that are asked for and can give wrong addresses, which are "
    "checked like any others;": (I + "test_gateway_depth.py", "test_listed_names_are_asked_of_that_server_alone"),
    "it knows no bot, and holds nothing.": (TAKEOVER, "test_helper_is_told_a_name_and_nothing_else"),
}


def test_every_clause_has_a_test_and_every_test_a_clause() -> None:
    assert clauses("docs/gateway.md", "If it is taken over") == list(SHOWN)


@pytest.mark.parametrize("clause", SHOWN)
def test_named_test_exists(clause: str) -> None:
    file, name = SHOWN[clause]
    assert name in test_names(file)


def test_a_new_clause_would_be_missed() -> None:
    assert "It can lie about the weather." not in SHOWN
    assert [*clauses("docs/gateway.md", "If it is taken over"), "It can lie about the weather."] != list(SHOWN)

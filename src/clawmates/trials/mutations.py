"""Every seeded defect, and the page that lists them. A test holds each of them against the sources as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.trials import (
    mutations_audit,
    mutations_control,
    mutations_inventory,
    mutations_isolation,
    mutations_retention,
    mutations_seen_by_tests,
    mutations_storage,
    mutations_vault,
    mutations_wire,
)

if TYPE_CHECKING:
    from clawmates.trials.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    *mutations_storage.MUTATIONS,
    *mutations_wire.MUTATIONS,
    *mutations_vault.MUTATIONS,
    *mutations_isolation.MUTATIONS,
    *mutations_control.MUTATIONS,
    *mutations_audit.MUTATIONS,
    *mutations_inventory.MUTATIONS,
    *mutations_retention.MUTATIONS,
    *mutations_seen_by_tests.MUTATIONS,
)
UNSEEN: tuple[str, ...] = ()
"""Those that no finished run with every claim has met since they were made, or since what they change was."""
HEAD = """# Seeded defects

A claim that stays green while the thing it claims is broken proves nothing, and one that turns red for something else
sends people the wrong way. So `make mutate` copies this checkout, makes one small defect at a time in the copy, builds
and signs the copy's image with a key of its own, starts a platform from it and tries every claim: exactly the one named
here must turn red. What no claim can see from outside names the test that does. `make test` tries those that are
marked, each with its own claim on a platform as small as can be. A defect whose lines have moved stops the tests until
it follows.

This page is made from `clawmates.trials.mutations`; a test compares them.

| defect | what is broken | who must see it | in `make test` |
|---|---|---|---|
"""
SEEN = """
## How it went

On 30 November 2026, by `make mutate` for some of them at a time and not in one go, while others worked on the same two
processors and on the sources, which therefore differ between the parts: without a defect every claim held. {caught} of
{all} defects were caught by exactly the one named above, and none by another. {rest} Some were caught at the second try
only: the first ended without a verdict, for want of time on a busy machine, or because the defect itself, or a proof,
had to be put right.
"""


def markdown() -> str:
    """``docs/mutations.md``."""
    rows = (
        f"| {one.id} | {one.what} | {'`' + one.test + '`' if one.test else '*' + str(one.claim) + '*'} |"
        f" {'yes' if one.quick else ''} |\n"
        for one in MUTATIONS
    )
    rest = "None is left."
    if UNSEEN:
        rest = f"Not met by every claim yet, but each caught by its own, tried alone: {', '.join(UNSEEN)}."
    return HEAD + "".join(rows) + SEEN.format(caught=len(MUTATIONS) - len(UNSEEN), all=len(MUTATIONS), rest=rest)

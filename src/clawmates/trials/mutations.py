"""Every seeded defect. A test holds each of them against the sources as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.trials import mutations_isolation, mutations_seen_by_tests, mutations_storage

if TYPE_CHECKING:
    from clawmates.trials.mutation import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    *mutations_isolation.MUTATIONS,
    *mutations_storage.MUTATIONS,
    *mutations_seen_by_tests.MUTATIONS,
)

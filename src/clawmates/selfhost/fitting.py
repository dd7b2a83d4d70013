"""A bot that comes from elsewhere, cut to what this release's model takes. What is cut is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from clawmates.selfhost.openclaw.words import Lost
from clawmates.selfhost.wish import Nothing

if TYPE_CHECKING:
    from clawmates.selfhost.wish import Wish
    from clawmates.wire.release import Release


def fit(wish: Wish, release: Release) -> tuple[Wish, tuple[Lost, ...]]:
    """A provider or model that the release does not have stays, for its owner to choose another."""
    provider = release.provider(wish.provider or "")
    model = provider.model(wish.model or "") if provider is not None else None
    if model is None:
        return wish, ()
    lost = []
    if not model.temperature and wish.temperature not in {None, Nothing.NONE}:
        wish = replace(wish, temperature=None)
        lost.append(Lost(wish.name, f"its temperature; {model.id} takes none."))
    most = wish.max_output_tokens
    if isinstance(most, int) and most > model.output_tokens:
        wish = replace(wish, max_output_tokens=None)
        lost.append(
            Lost(wish.name, f"how long an answer may be; {model.id} writes {model.output_tokens} tokens at most.")
        )
    return wish, tuple(lost)

"""What the public pages say, held against the declaration, the mission page and the signed release."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from clawmates.inventory.whole import INVENTORY
from clawmates.inventory.words import BASIS, FORM, STORE, VIEWER, end
from clawmates.proofs.errors import ProofError
from clawmates.proofs.kept.seven import SEVEN
from clawmates.wire.door import OLLAMA_HOST
from clawmates.wire.releases import ReleaseError, load

if TYPE_CHECKING:
    from clawmates.inventory.datum import Datum
    from clawmates.proofs.kept.pages import Row
    from clawmates.proofs.platform import Platform

ENGLISH = "en"
LANGUAGES = (ENGLISH, "de")
LOCAL = frozenset({"", "localhost", "127.0.0.1", "[::1]"})


def against_list(shown: tuple[Row, ...], language: str) -> tuple[str, ...]:
    """What is wrong with the list of everything that is stored."""
    found = []
    if language == ENGLISH:
        first = [(row.what, row.why, row.end) for row in shown[: len(SEVEN)]]
        found += [
            f"row {number} is not the mission page's: {' · '.join(mine) if mine else 'not there'}"
            for number, (wanted, mine) in enumerate(
                zip(SEVEN, [*first, *[()] * (len(SEVEN) - len(first))], strict=True), 1
            )
            if mine != wanted
        ]
    declared = {datum.id: datum for datum in INVENTORY}
    times = Counter(row.id for row in shown)
    found += [f"{name} is declared and not on the page" for name in declared if name not in times]
    found += [f"{name} is on the page {count} times" for name, count in times.items() if count > 1]
    for row in shown:
        datum = declared.get(row.id)
        if datum is None:
            found.append(f"{row.id} is on the page and not declared")
        else:
            found += _against_row(row, datum, language)
    return tuple(f"{language}: {one}" for one in found)


def _against_row(row: Row, datum: Datum, language: str) -> list[str]:
    said = {
        "what it is": (datum.what, row.what),
        "why": (datum.why, row.why),
        "until when": (end(datum), row.end),
    }
    found = [
        f"{row.id}: {what} is another than declared" for what, (one, mine) in said.items() if one.to(language) != mine
    ]
    below = {
        "who sees it": ", ".join(VIEWER[one].to(language) for one in datum.seen_by),
        "where it is": ", ".join(STORE[one].to(language) for one in datum.stores),
        "on what basis": BASIS[datum.basis].to(language),
        "in what form": FORM[datum.form].to(language) if datum.form.value != "clear" else "",
    }
    return found + [f"{row.id}: {what} is not said" for what, words in below.items() if words not in row.more]


def wanted_hosts(platform: Platform) -> frozenset[str]:
    """Whoever may get anything: the signed release's hosts, and the mail server of the configuration.

    Raises :class:`ProofError`.
    """
    try:
        release = load(platform.state.release, platform.settings.node.release_key)
    except ReleaseError:
        raise ProofError("the signed release cannot be read") from None
    named = {host for one in release.providers for host in one.hosts}
    named |= {host for one in release.channels for host in one.hosts}
    mail = platform.settings.control.smtp.host.rpartition(":")[0]
    return frozenset(named - {OLLAMA_HOST} | ({mail} - LOCAL))

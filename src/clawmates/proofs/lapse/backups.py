"""A backup of before a deletion, which is kept after it: what can be read in it, and with which keys."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.proofs.errors import BlindError
from clawmates.proofs.lapse.retained import Opened, opened

if TYPE_CHECKING:
    from clawmates.proofs.lapse.person import Person
    from clawmates.proofs.lapse.region import Region
    from clawmates.proofs.trial import Bench

NOISE = "vault: ciphertext"
LEAST = frozenset({"accounts.email", "accounts.pseudonym_key", "bots.name", "bot_states.username"})
"""What a backup shows of everybody who is in it."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One of before the deletion, which is kept: what its operator and the holder of keys can read in it."""

    inside: Opened
    stolen: bytes = field(repr=False)
    """``keys.db`` of then."""
    master: bytes = field(repr=False)
    shown: tuple[str, ...]
    """What of the person it shows, with those keys."""

    @classmethod
    async def made(cls, region: Region, bench: Bench, people: tuple[Person, Person]) -> Backup:
        """Made and opened. Raises :class:`ProofError`, and ``BlindError`` where it shows too little."""
        path = await region.backup()
        bench.progress("backups", 1)
        inside = opened(path.read_bytes(), region.operator)
        folder = region.state.vault
        master, keys = (folder / "master.key").read_bytes(), (folder / "keys.db").read_bytes()
        shown = [seen(one, inside.of(one.account, keys, master)) for one in people]
        if not all(set(one) >= LEAST for one in shown):
            raise BlindError("a backup that was just made does not show what must be in it, so that it stays closed")
        return cls(inside, keys, master, tuple(shown[0]))

    def against(self, region: Region, gone: Person, here: Person) -> list[str]:
        """What is wrong with it after the deletion. Raises ``BlindError``."""
        now = (region.state.vault / "keys.db").read_bytes()
        if not seen(gone, self.inside.of(gone.account, self.stolen, self.master)):
            raise BlindError("the backup does not open with the keys of then, so that it stays closed shows nothing")
        if not seen(here, self.inside.of(here.account, now, self.master)):
            raise BlindError("the backup does not open for anybody, so that it stays closed for one shows nothing")
        found = []
        for name, keys in (("keys", now), ("the separate copy of the keys", region.copy.read_bytes())):
            if left := seen(gone, self.inside.of(gone.account, keys, self.master)):
                found.append(f"after the deletion a backup of before, with {name} of now, shows: {', '.join(left)}")
        return found


def seen(one: Person, text: bytes) -> list[str]:
    """What of somebody stands in a backup's text, where bytes are Base64; ciphertext without its key is noise."""
    marks = {where: mark for where, mark in one.marks.items() if where != NOISE}
    return sorted(where for where, mark in marks.items() if mark in text or b64encode(mark) in text)

"""Everything that must and must not open of what a vault keeps, tried by the independent reader. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clawmates.proofs.vaultfile import AES_256, Kept, data_key, disguises, open_record, seal_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CONTROL_TEXT = b"a text that nobody kept"
CONTROL_BYTES = 2 * AES_256 + 3 * 12


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of attempt; ``good`` is how many of ``count`` went as they must."""

    what: str
    count: int
    must: str
    good: int

    @property
    def ok(self) -> bool:
        """Whether all did."""
        return self.good == self.count

    @property
    def row(self) -> tuple[str, ...]:
        """For the report."""
        return self.what, str(self.count), self.must, f"{self.good} of {self.count}", "yes" if self.ok else "no"

    @property
    def objection(self) -> str:
        """What is wrong."""
        return f"{self.what}: {self.count - self.good} of {self.count} do not {self.must}"


def examine(rows: Sequence[Kept], master: bytes, stranger: bytes) -> tuple[Check, ...]:
    """All attempts; ``stranger`` is another key of the master key's kind."""
    keys = [key for one in rows if (key := data_key(one, master)) is not None]
    nonces = [nonce for one in rows for nonce in one.nonces]
    next_to = [*rows[1:], *rows[:1]] if len(rows) > 1 else []
    swapped = [replace(one, box=other.box) for one, other in zip(rows, next_to, strict=False)]
    flipped = [replace(one, box=one.box[:-1] + bytes([one.box[-1] ^ 1])) for one in rows]
    return (
        Check("records, with the master key", len(rows), "open", len(rows) - _closed(rows, master)),
        Check("records, with another key of its kind", len(rows), "stay closed", _closed(rows, stranger)),
        *_disguised(rows, master),
        Check("ciphertexts swapped between records", len(swapped), "stay closed", _closed(swapped, master)),
        Check("records with one bit changed", len(flipped), "stay closed", _closed(flipped, master)),
        Check("data keys", len(rows), "have 256 bits", sum(len(key) == AES_256 for key in keys)),
        Check("data keys", len(rows), "differ from each other", len(set(keys))),
        Check("nonces", len(nonces), "differ from each other", len(set(nonces))),
    )


def _disguised(rows: Sequence[Kept], master: bytes) -> list[Check]:
    kinds: dict[str, list[Kept]] = {}
    for one in rows:
        for what, other in disguises(one).items():
            kinds.setdefault(what, []).append(other)
    return [
        Check(f"records, said to be of {what}", len(others), "stay closed", _closed(others, master))
        for what, others in kinds.items()
    ]


def _closed(rows: Iterable[Kept], key: bytes) -> int:
    return sum(open_record(one, key) is None for one in rows)


def loose(one: Kept, master: bytes, random: bytes) -> tuple[Kept, Kept]:
    """The control: a record that opens as another bot's, and again with the same keys and nonces.

    ``random`` has :data:`CONTROL_BYTES` bytes.
    """
    other = disguises(one)["another bot"]
    found = seal_record(other, master, CONTROL_TEXT, random)
    return found, replace(found, binding=one.binding)


def objects(one: Kept, master: bytes, random: bytes) -> bool:
    """Whether the examination objects to that control in all the ways in which it is bad."""
    checks = examine(loose(one, master, random), master, master)
    wanted = {"records, with another key of its kind", "data keys", "nonces"}
    return wanted <= {check.what for check in checks if not check.ok} and any(
        not check.ok for check in checks if check.what == "records, with the master key"
    )

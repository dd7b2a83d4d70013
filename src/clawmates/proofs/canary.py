"""Text that nobody but this run can have written, and that no encoding leaves unchanged."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ALPHABET = string.ascii_letters + string.digits
STEM_LENGTH = 20
"""119 bits: a chance match does not happen."""
_TAIL = ' "é⚘🐤">>>???'
"""Changes under every encoding: the space and quotes under percent-encoding and JSON, the letters under
JSON and both Unicode widths, ``>>>???`` gives the standard and the URL-safe Base64 alphabet at any offset."""


@dataclass(frozen=True, slots=True)
class Canary:
    """One run's canary; it lives in this process's memory and nowhere else."""

    stem: str = field(repr=False)
    """Letters and digits: the same bytes in every ASCII-compatible encoding."""

    @property
    def mark(self) -> str:
        """What every message holds: the stem and a tail by which the encoding is told."""
        return self.stem + _TAIL

    def message(self, number: int) -> str:
        """The text of one message: unlike every other, with the mark at another offset each time.

        It begins with the stem, so that whoever keeps only the first few words, for a preview, keeps a canary too; and
        it has a style, which comes back in the answer, so that it can be refused.
        """
        dots = "." * (number % 7)
        return (
            f"{self.stem} Please answer in **one** word. Note {number}{dots} {self.mark} {self.stem[::3]}{number:05d}"
        )


def mint(entropy: Callable[[int], bytes] = os.urandom) -> Canary:
    """A fresh canary; ``entropy`` gives that many random bytes."""
    while True:
        letters = [_ALPHABET[byte % len(_ALPHABET)] for byte in entropy(64) if byte < 248]
        stem = "".join(letters[:STEM_LENGTH])
        if len(stem) == STEM_LENGTH and stem.encode().hex() != stem.encode().hex().upper():
            return Canary(stem)
